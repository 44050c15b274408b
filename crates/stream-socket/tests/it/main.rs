//! The library seen from outside, through its public names alone: one module for each concept.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests may do what tests may"
)]

mod documentation;
mod engine;
#[cfg(feature = "simulation")]
mod engine_schedules;
mod examples;
mod php_address;
mod url_properties;
