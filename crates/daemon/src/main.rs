//! `rtrd --config FILE` serves; `rtrd --config FILE init --accounts FILE` fills an empty register once.

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
    /// Record the configured facts in an empty register and make the accounts, once.
    Init {
        /// Where the random passwords are written, mode 0600.
        #[arg(long)]
        accounts: PathBuf,
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
    let arguments = Arguments::parse();
    let settings = settings::load(&arguments.config).context("the configuration cannot be used")?;
    // Cameras have threads of their own; these serve consoles.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match arguments.command.unwrap_or(Command::Serve) {
            Command::Serve => daemon::server::serve(settings).await,
            Command::Init { accounts } => daemon::server::init(&settings, &accounts).await,
            Command::Epoch(Epoch::Prepare) => daemon::epoch::prepare(&settings),
            Command::Epoch(Epoch::Begin { grant }) => daemon::epoch::begin(&settings, &grant).await,
        }
    })
}
