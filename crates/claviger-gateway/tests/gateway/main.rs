//! The gateway against a provider that misbehaves on demand, over real sockets.

mod bodies;
mod faults;
mod fixture;
mod providers;
mod refusals;
