//! The console as browsers see it: requests to the router, over a real store.

mod keys;
mod lists;
mod owners;
mod safety;
mod tokens;
mod ways;
mod world;
