//! The portal in a real Chromium, as the people of a workspace meet it.

mod activity;
mod console;
mod dialogs;
mod embedding;
mod finding;
mod keyboard;
mod keys;
mod leaks;
mod looks;
mod plain;
mod roles;
mod sessions;
mod stage;
