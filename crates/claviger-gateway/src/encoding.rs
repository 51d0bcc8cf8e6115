//! Undoing what a provider packed an error's body in, to look into it. What goes to the caller stays as it came.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The beginning of a body without its encodings, at most so many bytes; `None` where one of them is not known. A body
/// that was cut short gives what there is.
#[must_use]
pub fn decode(encodings: &str, body: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut decoded = body[..body.len().min(most)].to_vec();
    // The last one was put on last.
    for encoding in encodings.split(',').rev() {
        decoded = match encoding.trim().to_ascii_lowercase().as_str() {
            "identity" | "" => decoded,
            "gzip" | "x-gzip" => read(MultiGzDecoder::new(&*decoded), most),
            // The name means zlib's form, and some send the bare one.
            "deflate" => match read(ZlibDecoder::new(&*decoded), most) {
                none if none.is_empty() => read(DeflateDecoder::new(&*decoded), most),
                some => some,
            },
            "br" => read(brotli_decompressor::Decompressor::new(&*decoded, 4_096), most),
            "zstd" => zstd(&decoded, most),
            _ => return None,
        };
    }
    Some(decoded)
}

/// The largest window that senders may use over HTTP (RFC 9659). Nothing is set aside for it: what is held is what was
/// decoded, which is `most` and a block of 128 KiB at most.
const ZSTD_WINDOW: u64 = 8 * 1024 * 1024;
/// An empty last block, and a checksum that nobody compares: by these a frame ends where it was cut.
const ZSTD_END: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

fn zstd(mut packed: &[u8], most: usize) -> Vec<u8> {
    let mut decoded = Vec::new();
    while !packed.is_empty() && decoded.len() < most {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(ZSTD_WINDOW);
        match frame.init(&mut packed) {
            Ok(()) => {}
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                packed = usize::try_from(length).ok().and_then(|length| packed.get(length..)).unwrap_or_default();
                continue;
            }
            Err(_) => break,
        }
        // Whatever was decoded before an error stays.
        let is_whole =
            frame.decode_blocks(&mut packed, BlockDecodingStrategy::UptoBytes(most)).is_ok_and(|whole| whole);
        if !is_whole && frame.decode_blocks(&ZSTD_END[..], BlockDecodingStrategy::All).is_err() {
            break;
        }
        decoded.extend(frame.collect().unwrap_or_default());
        if !is_whole {
            break;
        }
    }
    decoded.truncate(most);
    decoded
}

fn read(from: impl Read, most: usize) -> Vec<u8> {
    let mut decoded = Vec::new();
    // Whatever was read before an error stays.
    let _ = from.take(most as u64).read_to_end(&mut decoded);
    decoded
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    const MOST: usize = 64 * 1024;
    const BODY: &[u8] = br#"{"error":{"code":"insufficient_quota"}}"#;

    #[test]
    fn what_sdks_ask_for_is_undone() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        for encoder in [&mut gzip as &mut dyn Write, &mut zlib, &mut bare] {
            encoder.write_all(BODY).unwrap();
        }
        let zstd = compress_to_vec(BODY, CompressionLevel::Fastest);
        // Brotli's bare form (RFC 7932, 9): a window of 16 bits, one piece that is not packed, and an empty last one.
        let head = (u32::try_from(BODY.len()).unwrap() - 1) << 4 | 1 << 20;
        let brotli = [&head.to_le_bytes()[..3], BODY, &[3]].concat();
        for (encoding, body) in [
            ("identity", BODY.to_vec()),
            ("GZip", gzip.finish().unwrap()),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", bare.finish().unwrap()),
            ("br", brotli),
            ("zstd", zstd),
        ] {
            assert_eq!(decode(encoding, &body, 1_000).unwrap(), BODY, "{encoding}");
            assert!(BODY.starts_with(&decode(encoding, &body[..body.len() / 2], 1_000).unwrap()), "{encoding}, cut");
        }
        assert_eq!(decode("compress", BODY, 1_000), None);
    }

    /// A frame's head: its magic number, and a window of so many times 2 from 1 KiB on.
    fn zstd_head(window: u8) -> Vec<u8> {
        [&0xfd2f_b528_u32.to_le_bytes()[..], &[0, window << 3]].concat()
    }

    /// A block that is one byte, so many times.
    fn zstd_run(byte: u8, times: u32, is_last: bool) -> [u8; 4] {
        let head = (times << 3 | 1 << 1 | u32::from(is_last)).to_le_bytes();
        [head[0], head[1], head[2], byte]
    }

    #[test]
    fn zstd_is_undone_as_far_as_it_came() {
        let text = BODY.repeat(40);
        let whole = compress_to_vec(&*text, CompressionLevel::Fastest);
        assert!(whole.len() < text.len());
        assert_eq!(decode("zstd", &whole, MOST).unwrap(), text);
        // Several frames, and between them one to be skipped.
        let skipped = [&0x184d_2a53_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"abc"].concat();
        let two = [whole.clone(), skipped, whole.clone()].concat();
        assert_eq!(decode("zstd", &two, MOST).unwrap(), text.repeat(2));
        // Blocks that are whole are there, where the next one is cut.
        let blocks =
            [zstd_head(0), zstd_run(b'a', 20, false).to_vec(), zstd_run(b'b', 20, true)[..2].to_vec()].concat();
        assert_eq!(decode("zstd", &blocks, MOST).unwrap(), b"a".repeat(20));
        // The same twice, packed twice.
        let twice = compress_to_vec(&*whole, CompressionLevel::Fastest);
        assert_eq!(decode("zstd, zstd", &twice, MOST).unwrap(), text);
    }

    #[test]
    fn a_bomb_of_zstd_is_not_let_off() {
        let runs = zstd_run(b'x', 128 * 1024, false).repeat(MOST / 4 - 4);
        let window_of_8_mib = 13;
        let bomb = [zstd_head(window_of_8_mib), runs.clone()].concat();
        assert_eq!(decode("zstd", &bomb, MOST).unwrap(), b"x".repeat(MOST));
        assert_eq!(decode("zstd", &bomb, 10).unwrap(), b"x".repeat(10));
        // Larger windows than senders may use.
        for window in [window_of_8_mib + 1, 31] {
            assert_eq!(decode("zstd", &[zstd_head(window), runs.clone()].concat(), MOST).unwrap(), b"");
        }
        // Many bombs.
        let one = [zstd_head(7), zstd_run(b'x', 128 * 1024, true).to_vec()].concat();
        assert_eq!(decode("zstd", &one.repeat(1_000), MOST).unwrap().len(), MOST);
    }
}
