//! Chores around the PHP extension: run a script with it, install it, and PHP's own tests on it.

mod extension;
mod install;
mod phpt;
mod run;
mod sources;

pub(crate) use install::SUBCOMMAND as INSTALL;
pub(crate) use phpt::{SUBCOMMAND as PHPT, step as phpt_step};
pub(crate) use run::SUBCOMMAND as RUN;
