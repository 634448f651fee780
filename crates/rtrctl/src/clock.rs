//! `rtrctl clock`: the server's clock, and the police's word that it is right.

use crate::show;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use protocol::{
    api::{ClockAcceptance, ClockView},
    client::Session,
};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Shows what the server's clock shows and what is believed of it
    Show,
    /// Police: the server's clock is right. It must agree with this machine's within five minutes; what is due by it is
    /// destroyed
    Accept {
        /// What was checked, for the log
        #[arg(long)]
        reason: String,
        /// The time on your own watch (RFC 3339), instead of this machine's clock
        #[arg(long)]
        time: Option<DateTime<Utc>>,
    },
}

/// Runs a verb.
pub(crate) async fn run(session: &Session, verb: Verb) -> anyhow::Result<()> {
    let view = match verb {
        Verb::Show => session.clock().await?,
        Verb::Accept { reason, time } => {
            session.accept_clock(&ClockAcceptance { time: time.unwrap_or_else(Utc::now), reason }).await?
        }
    };
    print(&view);
    Ok(())
}

fn print(view: &ClockView) {
    println!("the server's clock shows {}", show::instant(view.wall));
    println!("believed is              {}", show::instant(view.believed));
    let behind = view.believed - view.wall;
    if view.doubted {
        println!("the clock is ahead and nobody confirms it: nothing is destroyed, no look begins");
    } else if behind > chrono::TimeDelta::seconds(30) {
        println!("the clock is behind: time goes on without it");
    } else {
        println!("the clock is believed");
    }
}
