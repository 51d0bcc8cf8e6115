//! A WebSocket that says back what it hears.

use std::io;

use aws_lc_rs::digest;
use bytes::{Buf, BytesMut};
use data_encoding::BASE64;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::body::AnswerBody;
use crate::relay::plain;

/// RFC 6455, section 1.3.
const ACCEPT_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MAX_PAYLOAD: u64 = 64 << 20;

const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The 101 that agrees to the upgrade.
pub(crate) fn accept(asked: &HeaderMap) -> Response<AnswerBody> {
    let mut response = plain(StatusCode::SWITCHING_PROTOCOLS, bytes::Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Some(key) = asked.get(SEC_WEBSOCKET_KEY) {
        let accepted = HeaderValue::try_from(accept_value(key.as_bytes())).expect("base64 is a header value");
        headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    }
    if let Some(protocol) = chosen_protocol(asked) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

fn accept_value(key: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(ACCEPT_SALT);
    BASE64.encode(context.finish().as_ref())
}

/// The first protocol on offer. Browsers have no other place than this list for a key, which must not be said back.
fn chosen_protocol(asked: &HeaderMap) -> Option<HeaderValue> {
    let offered = asked.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let protocol = offered.split(',').map(str::trim).find(|protocol| !protocol.contains("key"))?;
    HeaderValue::from_str(protocol).ok()
}

/// Echoes messages until the client leaves. A client that does not speak WebSocket frames is sent its bytes back as
/// they came, so that a test can do with plain text.
pub(crate) async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut heard = BytesMut::with_capacity(16 << 10);
    while heard.len() < 2 {
        if stream.read_buf(&mut heard).await? == 0 {
            return stream.write_all(&heard).await;
        }
    }
    let speaks_frames = is_frame(&heard);
    loop {
        if speaks_frames {
            while let Some(frame) = take_frame(&mut heard)? {
                let is_close = frame.opcode == CLOSE;
                stream.write_all(&frame.reply()).await?;
                if is_close {
                    return Ok(());
                }
            }
        } else {
            stream.write_all(&heard.split()).await?;
        }
        if stream.read_buf(&mut heard).await? == 0 {
            return Ok(());
        }
    }
}

/// Whether the bytes begin like a client's frame: no reserved bit, a known opcode, masked. No ASCII text does.
fn is_frame(bytes: &[u8]) -> bool {
    bytes[0] & 0x70 == 0 && matches!(bytes[0] & 0x0f, 1 | 2 | CLOSE | PING | PONG) && bytes[1] & 0x80 != 0
}

struct Frame {
    first_byte: u8,
    opcode: u8,
    payload: BytesMut,
}

impl Frame {
    /// The frame as a server sends it: unmasked. A ping becomes a pong; a pong asks for nothing.
    fn reply(self) -> Vec<u8> {
        let length = self.payload.len();
        let first = match self.opcode {
            PING => 0x80 | PONG,
            PONG => return Vec::new(),
            _ => self.first_byte,
        };
        let mut bytes = Vec::with_capacity(length + 10);
        bytes.push(first);
        if let Ok(short) = u8::try_from(length)
            && short < 126
        {
            bytes.push(short);
        } else if let Ok(medium) = u16::try_from(length) {
            bytes.push(126);
            bytes.extend(medium.to_be_bytes());
        } else {
            bytes.push(127);
            bytes.extend((length as u64).to_be_bytes());
        }
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

/// Takes the next frame out of what was heard, if it is there in full.
fn take_frame(heard: &mut BytesMut) -> io::Result<Option<Frame>> {
    let refused = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut rest = &heard[..];
    let (Ok(first_byte), Ok(second)) = (rest.try_get_u8(), rest.try_get_u8()) else { return Ok(None) };
    if second & 0x80 == 0 {
        return Err(refused("a client's frame is masked"));
    }
    let length = match second & 0x7f {
        126 => rest.try_get_u16().map(u64::from),
        127 => rest.try_get_u64(),
        short => Ok(u64::from(short)),
    };
    let (Ok(length), Ok(mask)) = (length, rest.try_get_u32()) else { return Ok(None) };
    if length > MAX_PAYLOAD {
        return Err(refused("the frame is too large"));
    }
    let length = usize::try_from(length).map_err(|_| refused("the frame is too large"))?;
    if rest.len() < length {
        return Ok(None);
    }
    let before_payload = heard.len() - rest.len();
    heard.advance(before_payload);
    let mut payload = heard.split_to(length);
    for (byte, mask) in payload.iter_mut().zip(mask.to_be_bytes().into_iter().cycle()) {
        *byte ^= mask;
    }
    Ok(Some(Frame { first_byte, opcode: first_byte & 0x0f, payload }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_value_is_that_of_the_standards_example() {
        assert_eq!(accept_value(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn an_unfinished_frame_waits_for_its_rest() {
        let whole = [0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];
        for end in 0..whole.len() {
            assert!(take_frame(&mut BytesMut::from(&whole[..end])).unwrap().is_none());
        }
        let frame = take_frame(&mut BytesMut::from(&whole[..])).unwrap().unwrap();
        assert_eq!(frame.reply(), [0x81, 2, b'h', b'i']);
    }
}
