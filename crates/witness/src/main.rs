//! `rtr-witness`: run by the police, on the police's machine, with the police's key.

use anyhow::{Context, Result};
use chrono::Utc;
use clap::{Parser, Subcommand};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::mpsc,
    time::Duration,
};
use witness::{Refusal, Witness, http, log_directory};

/// Checks that the ledger only grows, and cosigns it.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Prints the witness's public key, made when there is none yet.
    Key {
        /// The witness's key file (made with mode 0600).
        #[arg(long)]
        key: PathBuf,
        /// The name under which it signs.
        #[arg(long, default_value = NAME)]
        name: String,
    },
    /// Reads the log's folder again and again and leaves the cosigned checkpoint in it.
    Cosign {
        /// The log's published folder.
        #[arg(long)]
        log: PathBuf,
        /// How often: `10s`, `1m`; `once` for a single round.
        #[arg(long, default_value = "60s", value_parser = interval)]
        every: Interval,
        #[command(flatten)]
        who: Who,
    },
    /// Serves `POST /add-checkpoint` (C2SP tlog-witness) over plain HTTP.
    Serve {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:7411")]
        listen: SocketAddr,
        #[command(flatten)]
        who: Who,
    },
}

const NAME: &str = "rtr-witness";

#[derive(clap::Args)]
struct Who {
    /// The witness's key file (made with mode 0600 when it is not there).
    #[arg(long)]
    key: PathBuf,
    /// The file that remembers what was signed. Losing it means trusting the log anew.
    #[arg(long)]
    state: PathBuf,
    /// The log's public key (text, or a file with it), brought here by hand.
    #[arg(long)]
    log_key: String,
    /// The name under which it signs.
    #[arg(long, default_value = NAME)]
    name: String,
}

impl Who {
    fn witness(&self) -> Result<Witness> {
        let log_key = match fs::read_to_string(&self.log_key) {
            Ok(text) => text,
            Err(_) => self.log_key.clone(),
        };
        let witness = Witness::open(&self.key, &self.name, &self.state, &log_key)?;
        println!("witness {}", witness.vkey());
        Ok(witness)
    }
}

#[derive(Clone, Copy)]
enum Interval {
    Once,
    Every(Duration),
}

fn interval(text: &str) -> Result<Interval, String> {
    if text == "once" {
        return Ok(Interval::Once);
    }
    let (number, unit) = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 60),
        _ => return Err("write it as 10s, 1m or once".to_owned()),
    };
    match number.parse::<u64>() {
        Ok(n) if (1..=3600).contains(&n) => Ok(Interval::Every(Duration::from_secs(n * unit))),
        _ => Err("between 1s and 3600s".to_owned()),
    }
}

fn main() -> Result<()> {
    match Arguments::parse().verb {
        Verb::Key { key, name } => {
            println!("{}", ledger::note::CosignerKey::load_or_create(&key, &name)?.vkey());
            Ok(())
        }
        Verb::Serve { listen, who } => {
            let mut witness = who.witness()?;
            let listener = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
            println!("ready http://{}", listener.local_addr()?);
            Ok(http::serve(&listener, &mut witness)?)
        }
        Verb::Cosign { log, every, who } => {
            let mut witness = who.witness()?;
            let Interval::Every(pause) = every else {
                let done = log_directory::cosign(&mut witness, &log, Utc::now())?;
                println!("cosigned {} entries, {} of them new", done.size, done.new);
                return Ok(());
            };
            let (stop, stopped) = mpsc::channel();
            ctrlc::set_handler(move || {
                // Nobody listens any more: then it is ending already.
                stop.send(()).ok();
            })?;
            loop {
                match log_directory::cosign(&mut witness, &log, Utc::now()) {
                    Ok(done) => println!("cosigned {} entries, {} of them new", done.size, done.new),
                    Err(e @ Refusal::Inconsistent { .. }) => eprintln!("ALARM: {e}"),
                    Err(e) => eprintln!("not cosigned: {e}"),
                }
                if stopped.recv_timeout(pause).is_ok() {
                    return Ok(());
                }
            }
        }
    }
}
