//! `rtrctl`: RTR from a terminal. It opens no key store: what it can do with footage it asks the daemon for.

mod check;
mod law;
mod vault;

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
    /// The footage store's folder, without keys and without the daemon
    #[command(subcommand)]
    Vault(Vault),
    /// The rules themselves
    #[command(subcommand)]
    Law(Law),
}

#[derive(Subcommand)]
enum Vault {
    /// Checks structure, hashes, index, keys' commitments and gaps; ends with 1 when something is wrong
    Check {
        /// The vault's folder; the daemon must not run
        dir: PathBuf,
        /// Make the index anew from the volumes first
        #[arg(long)]
        rebuild_index: bool,
    },
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
        Verb::Vault(Vault::Check { dir, rebuild_index }) => vault::run(&dir, rebuild_index),
        Verb::Law(Law::Check { file }) => law::check(&file),
        Verb::Law(Law::Matrix) => law::matrix(),
    }
}
