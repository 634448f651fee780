//! `rtrctl`: RTR from a terminal. It opens no key store: what it can do with footage it asks the daemon for.

mod check;
mod law;

use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(name = "rtrctl", version, about = "RTR from a terminal")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Says whether a configuration is right, without starting anything
    Check {
        /// The daemon's configuration file
        #[arg(default_value = "config/rtr.toml")]
        file: PathBuf,
    },
    /// The rules themselves
    #[command(subcommand)]
    Law(Law),
}

#[derive(Subcommand)]
enum Law {
    /// Runs a file of scenarios and ends with `N passed, N failed`
    Check {
        /// The scenarios, JSON
        file: PathBuf,
    },
    /// Prints who may do what, if the conditions hold
    Matrix,
}

fn main() -> ExitCode {
    match Arguments::parse().verb {
        Verb::Check { file } => check::run(&file),
        Verb::Law(Law::Check { file }) => law::check(&file),
        Verb::Law(Law::Matrix) => law::matrix(),
    }
}
