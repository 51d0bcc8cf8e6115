//! Errors' bodies as providers pack them.

use claviger_core::health::MAX_BODY;
use claviger_gateway::decode;

/// A packed body: the encodings as a line, and then the bytes.
pub fn encoding(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let encodings = String::from_utf8_lossy(&data[..end]);
    let body = data.get(end + 1..).unwrap_or_default();
    for most in [MAX_BODY, 100, 0] {
        let decoded = decode(&encodings, body, most);
        assert!(decoded.as_ref().is_none_or(|decoded| decoded.len() <= most), "more than may be held");
        assert_eq!(decoded, decode(&encodings, body, most), "the same body, decoded otherwise");
    }
}
