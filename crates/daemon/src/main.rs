//! `rtrd --config FILE` serves; `rtrd --config FILE init` makes an empty register ready, once.

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// The daemon of the RTR control room.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file, `rtr.toml`.
    #[arg(long)]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT (the default).
    Serve,
    /// First start, once: prints a token with which `rtrctl init` enrols the first two people within the hour.
    Init {
        /// Instead record the configured facts and make an account for every person; the random passwords are written
        /// to this file, mode 0600. For a demonstration, or where the files were verified on paper.
        #[arg(long)]
        accounts: Option<PathBuf>,
    },
    /// Begin the log anew after a loss, as the police granted.
    #[command(subcommand)]
    Epoch(Epoch),
}

#[derive(Subcommand)]
enum Epoch {
    /// Make the new log's key, under the new `origin`.
    Prepare,
    /// Put the old log aside and begin the new one.
    Begin {
        /// The grant that `rtr-witness epoch` wrote.
        #[arg(long)]
        grant: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    daemon::tls::install_provider();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "info,retina=warn".into()),
        )
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    daemon::protection::keep_memory_private();
    let arguments = Arguments::parse();
    let settings = settings::load(&arguments.config).context("the configuration cannot be used")?;
    // Cameras have threads of their own; these serve consoles.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match arguments.command.unwrap_or(Command::Serve) {
            Command::Serve => daemon::server::serve(settings).await,
            Command::Init { accounts: Some(accounts) } => daemon::server::init(&settings, &accounts).await,
            Command::Init { accounts: None } => daemon::server::first_start(&settings).await,
            Command::Epoch(Epoch::Prepare) => daemon::epoch::prepare(&settings),
            Command::Epoch(Epoch::Begin { grant }) => daemon::epoch::begin(&settings, &grant).await,
        }
    })
}
