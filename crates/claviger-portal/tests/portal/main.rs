//! The portal as browsers see it: requests to the router, over a real store.

mod activity;
mod changes;
mod frames;
mod health;
mod looks;
mod safety;
mod sessions;
mod ways;
mod world;
