//! The gateway against a provider that misbehaves on demand, over real sockets.

mod bodies;
mod connections;
mod faults;
mod fixture;
mod providers;
mod refusals;
