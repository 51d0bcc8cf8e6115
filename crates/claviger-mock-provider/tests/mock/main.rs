//! The mock over real sockets, as Claviger and the SDKs meet it.

mod anthropic;
mod behaviours;
mod client;
mod control;
mod gemini;
mod openai;
mod transport;
