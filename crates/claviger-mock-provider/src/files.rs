//! Uploaded files: only their names and sizes are kept.

use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use memchr::memmem;
use parking_lot::Mutex;

use crate::answer::{Answer, CREATED, CREATED_AT, Quoted};
use crate::call::Call;
use crate::refusal::refuse;
use crate::route::Dialect;

/// Beyond this, the oldest files are forgotten.
const KEPT: usize = 10_000;
const ID_PREFIX: &str = "file_mock_";

#[derive(Clone, Debug)]
struct File {
    name: String,
    bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<BTreeMap<u64, File>>);

impl Files {
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}

pub(crate) fn upload(call: &Call<'_>, dialect: Dialect) -> Answer {
    let file = uploaded(call);
    let answer = describe(dialect, call.number, &file);
    let mut files = call.state.files.0.lock();
    if files.len() == KEPT {
        files.pop_first();
    }
    files.insert(call.number, file);
    answer
}

/// `GET` or `DELETE` of one file.
pub(crate) fn one(call: &Call<'_>, dialect: Dialect, id: &str) -> Answer {
    let mut files = call.state.files.0.lock();
    let number = id.strip_prefix(ID_PREFIX).and_then(|number| number.parse().ok());
    let Some((number, file)) = number.and_then(|number| files.get(&number).map(|file| (number, file))) else {
        return refuse(dialect, StatusCode::NOT_FOUND, "no such file");
    };
    if call.head.method == Method::GET {
        return describe(dialect, number, file);
    }
    files.remove(&number);
    Answer::json(match dialect {
        Dialect::Anthropic => format!(r#"{{"id":"{ID_PREFIX}{number}","type":"file_deleted"}}"#),
        _ => format!(r#"{{"id":"{ID_PREFIX}{number}","object":"file","deleted":true}}"#),
    })
}

fn describe(dialect: Dialect, number: u64, file: &File) -> Answer {
    let name = Quoted(&file.name);
    let bytes = file.bytes;
    Answer::json(match dialect {
        Dialect::Anthropic => format!(
            r#"{{"id":"{ID_PREFIX}{number}","type":"file","filename":{name},"mime_type":"application/octet-stream","size_bytes":{bytes},"created_at":"{CREATED_AT}","downloadable":false}}"#
        ),
        _ => format!(
            r#"{{"id":"{ID_PREFIX}{number}","object":"file","bytes":{bytes},"created_at":{CREATED},"filename":{name},"purpose":"user_data","status":"processed"}}"#
        ),
    })
}

/// The file of a multipart upload, or the whole body where there is none.
fn uploaded(call: &Call<'_>) -> File {
    let content_type = call.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = content_type.split("boundary=").nth(1).map(|boundary| boundary.trim_matches('"'));
    boundary
        .and_then(|boundary| in_multipart(&call.body.bytes, call.body.length, boundary))
        .unwrap_or_else(|| File { name: "upload".to_owned(), bytes: call.body.length })
}

/// `length` is that of the whole body, of which `body` may hold only the beginning. A file that goes beyond it is
/// taken to reach the end of the body, which is a few bytes too many.
fn in_multipart(body: &[u8], length: u64, boundary: &str) -> Option<File> {
    let delimiter = format!("\r\n--{boundary}");
    let named = memmem::find(body, b"filename=")?;
    let head_end = named + memmem::find(&body[named..], b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&body[named..head_end]);
    let quoted = head.strip_prefix("filename=\"").and_then(|rest| rest.split_once('"'));
    let start = head_end + 4;
    let bytes = match memmem::find(&body[start..], delimiter.as_bytes()) {
        Some(bytes) => bytes as u64,
        None => length - start as u64,
    };
    Some(File { name: quoted.map_or("upload", |(name, _)| name).to_owned(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_own_bytes_count() {
        let body = b"--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n--b\r\n\
            content-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\ncontent-type: x/y\r\n\r\n\
            one\r\ntwo\r\n--b--\r\n";
        let file = in_multipart(body, body.len() as u64, "b").unwrap();
        assert_eq!((file.name.as_str(), file.bytes), ("a.bin", 8));
        assert!(in_multipart(b"no parts", 8, "b").is_none());
    }
}
