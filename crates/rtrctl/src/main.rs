//! `rtrctl`: RTR from a terminal. It opens no key store: what it can do with footage it asks the daemon for.

// Before the others: its `println!` is theirs.
#[macro_use]
mod output;

mod check;
mod clock;
mod enrol;
mod holds;
mod law;
mod ledger;
mod register;
mod requests;
mod session;
mod show;
mod vault;

use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(name = "rtrctl", version, about = "RTR from a terminal")]
struct Arguments {
    /// The file that holds the session; in the user's own folder, if not given
    #[arg(long, global = true, env = "RTR_SESSION")]
    session: Option<PathBuf>,
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
    /// The log: checked, read and handed over without trusting its host
    #[command(subcommand)]
    Ledger(Box<ledger::Verb>),
    /// Logs in; the password comes from RTR_PASSWORD or is asked for
    Login(session::Login),
    /// Ends the session
    Logout,
    /// Says who is logged in
    Me,
    /// First start: enrols a police authoriser and a user admin with the token that `rtrd init` printed
    Init(Box<enrol::Init>),
    /// Chooses your password with an invitation
    Enrol(enrol::Enrol),
    /// Invites a person whom the register knows to choose a password
    Invite {
        /// Log-in name
        person: String,
        /// As an authoriser of the police: confirms that somebody who has an account was invited to choose a new password
        #[arg(long)]
        confirm: bool,
    },
    /// The server's clock
    #[command(subcommand)]
    Clock(clock::Verb),
    #[command(flatten)]
    Register(register::Verb),
    #[command(flatten)]
    Requests(requests::Verb),
    #[command(flatten)]
    Holds(holds::Verb),
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
    let arguments = Arguments::parse();
    match arguments.verb {
        Verb::Check { file } => check::run(&file),
        Verb::Vault(Vault::Check { dir, rebuild_index }) => vault::run(&dir, rebuild_index),
        Verb::Law(Law::Check { file }) => law::check(&file),
        Verb::Law(Law::Matrix) => law::matrix(),
        Verb::Ledger(verb) => ledger::run(*verb, arguments.session),
        verb => match online(arguments.session, verb) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("rtrctl: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

/// The verbs that speak with the daemon.
fn online(session: Option<PathBuf>, verb: Verb) -> anyhow::Result<()> {
    let file = session::file(session)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match verb {
            Verb::Login(given) => session::log_in(given, &file).await,
            Verb::Logout => session::log_out(&file).await,
            Verb::Me => {
                let session = session::resume(&file).await?;
                let me = session.me();
                println!(
                    "{} ({}) as {}, until {}",
                    me.name,
                    me.person,
                    show::word(&me.role),
                    show::instant(me.expires_at)
                );
                Ok(())
            }
            Verb::Init(given) => enrol::first_start(*given).await,
            Verb::Enrol(given) => enrol::enrol(given).await,
            Verb::Invite { person, confirm } => {
                let session = session::resume(&file).await?;
                if confirm {
                    let confirmed = session.confirm_invitation(&person.into()).await?;
                    println!("{} may choose a new password.", confirmed.person);
                } else {
                    enrol::print(&session.invite(&person.into()).await?);
                }
                Ok(())
            }
            Verb::Clock(verb) => clock::run(&session::resume(&file).await?, verb).await,
            Verb::Register(verb) => register::run(&session::resume(&file).await?, verb).await,
            Verb::Requests(verb) => requests::run(&session::resume(&file).await?, verb).await,
            Verb::Holds(verb) => holds::run(&session::resume(&file).await?, verb).await,
            // The others never come here: they need no daemon.
            _ => Ok(()),
        }
    })
}
