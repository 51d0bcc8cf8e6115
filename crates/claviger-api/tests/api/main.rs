//! The control plane as callers see it: requests to the router, over a real store.

mod audit;
mod bodies;
mod document;
mod faults;
mod health;
mod inherited;
mod keys;
mod log;
mod operations;
mod organizations;
mod outcome;
mod owners;
mod platform;
mod portal;
mod resolve;
mod rights;
mod secrets;
mod tokens;
mod webhooks;
mod workspaces;
mod world;
