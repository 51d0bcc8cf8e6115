//! The gateway against a provider that misbehaves on demand, over real sockets.

mod bodies;
mod connections;
mod courier;
mod door;
mod faults;
mod fixture;
mod health;
mod panics;
mod providers;
mod refusals;
mod second_keys;
mod slow;
mod tls;
mod unread;
