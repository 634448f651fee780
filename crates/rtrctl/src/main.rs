//! `rtrctl`: RTR from a terminal. It opens no key store: what it can do with footage it asks the daemon for.

mod check;

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
}

fn main() -> ExitCode {
    match Arguments::parse().verb {
        Verb::Check { file } => check::run(&file),
    }
}
