//! `OpenAI`'s API, which many other providers offer too.

mod chat;
mod embeddings;
mod responses;

pub(crate) use chat::chat;
pub(crate) use embeddings::embeddings;
pub(crate) use responses::responses;

use crate::answer::{Answer, CREATED, MODEL};

pub(crate) fn models() -> Answer {
    Answer::json(format!(
        r#"{{"object":"list","data":[{{"id":"{MODEL}","object":"model","created":{CREATED},"owned_by":"mock"}}]}}"#
    ))
}
