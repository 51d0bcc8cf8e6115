//! The portal as browsers see it: requests to the router, over a real store.

mod changes;
mod looks;
mod safety;
mod ways;
mod world;
