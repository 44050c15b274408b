//! Chores around the PHP extension: run a script with it, install it, PHP's own tests on it, and
//! other PHPs.

mod compiled;
mod debian13;
mod extension;
pub(crate) mod frameworks;
mod install;
mod memory;
mod others;
mod phpize;
mod phpt;
mod run;
mod soak;
mod sources;
mod stress;

pub(crate) use install::SUBCOMMAND as INSTALL;
pub(crate) use memory::step as memory_step;
pub(crate) use others::{debian13_step, debug_step, zts_step};
pub(crate) use phpize::step as phpize_step;
pub(crate) use phpt::{SUBCOMMAND as PHPT, step as phpt_step};
pub(crate) use run::SUBCOMMAND as RUN;
pub(crate) use soak::run as soak;
pub(crate) use stress::run as stress;
