//! Undoing what a provider packed an error's body in, to look into it. What goes to the caller stays as it came.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// The beginning of a body without its encodings, at most so many bytes; `None` where one of them is not known. A body
/// that was cut short gives what there is.
pub(crate) fn decode(encodings: &str, body: &[u8], most: usize) -> Option<Vec<u8>> {
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
            _ => return None,
        };
    }
    Some(decoded)
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

    use super::*;

    const BODY: &[u8] = br#"{"error":{"code":"insufficient_quota"}}"#;

    #[test]
    fn what_sdks_ask_for_is_undone() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        for encoder in [&mut gzip as &mut dyn Write, &mut zlib, &mut bare] {
            encoder.write_all(BODY).unwrap();
        }
        // Brotli's bare form (RFC 7932, 9): a window of 16 bits, one piece that is not packed, and an empty last one.
        let head = (u32::try_from(BODY.len()).unwrap() - 1) << 4 | 1 << 20;
        let brotli = [&head.to_le_bytes()[..3], BODY, &[3]].concat();
        for (encoding, body) in [
            ("identity", BODY.to_vec()),
            ("GZip", gzip.finish().unwrap()),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", bare.finish().unwrap()),
            ("br", brotli),
        ] {
            assert_eq!(decode(encoding, &body, 1_000).unwrap(), BODY, "{encoding}");
            assert!(BODY.starts_with(&decode(encoding, &body[..body.len() / 2], 1_000).unwrap()), "{encoding}, cut");
        }
        assert_eq!(decode("zstd", BODY, 1_000), None);
    }
}
