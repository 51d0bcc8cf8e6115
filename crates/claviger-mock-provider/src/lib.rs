//! Stands in for every provider: in `claviger dev`, in tests, and as the upstream of benchmarks.
//!
//! Every provider is mounted under its id, followed by the provider's own path: `/openai/v1/chat/completions`,
//! `/anthropic/v1/messages`, `/google/v1beta/models/gemini-2.5-flash:generateContent`. The model APIs answer in shapes
//! that the official SDKs parse; everything else is answered with a JSON echo of what arrived.
//!
//! A request without a key is refused with 401. Any key is good, unless [`MockProvider::set_behaviour`] says otherwise.
//!
//! A streamed answer is steered by the request: `x-mock-chunks: N` (default 5) text chunks, `x-mock-gap-ms: M`
//! (default 0) between them. Every chunk leaves in a write of its own.
//!
//! # Control
//!
//! | request | body or answer |
//! |---|---|
//! | `PUT /_mock/behaviours` | `{"provider":"openai","key":"<key or *>","behaviour":{…}}`, see [`Behaviour`]; 204 |
//! | `DELETE /_mock/behaviours` | 204 |
//! | `GET /_mock/counts` | [`Counts`] |
//! | `PUT /_mock/recording` | `{"enabled":true}`; 204 |
//! | `GET /_mock/requests` | a list of [`RecordedRequest`], oldest first |
//! | `POST /_mock/reset` | forgets counts, behaviours, recordings and files, and stops recording; 204 |
//!
//! The control endpoints and the recordings show keys in the clear, and ask nobody who they are: listen on a loopback
//! address only.

mod answer;
mod anthropic;
mod behaviour;
mod body;
mod call;
mod control;
mod counts;
mod echo;
mod files;
mod gemini;
mod keys;
mod openai;
mod prompt;
mod recording;
mod refusal;
mod relay;
mod route;
mod server;
mod state;
mod threads;
mod websocket;

pub use behaviour::{ANY_KEY, Behaviour, InvalidBehaviour};
pub use counts::{Counts, KeyCount};
pub use recording::RecordedRequest;
pub use server::MockProvider;
pub use threads::Threads;
