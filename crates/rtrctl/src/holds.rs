//! Securing footage for a case from a terminal, seeing what is secured with its review date, and releasing it.

use crate::show;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use mandate::CameraId;
use protocol::{
    api::{HoldView, NewHold},
    client::Session,
};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Secures footage for a case (veiligstelling): it outlives its term until it is released
    Hold(Hold),
    /// Lists what is secured, for which case, and when it is to be looked at again
    Holds {
        /// Also what was released
        #[arg(long)]
        all: bool,
        #[arg(long)]
        json: bool,
    },
    /// Releases what was secured; what is past its term is destroyed at once
    Release {
        /// The hold
        id: String,
        /// Why it is no longer needed
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args)]
pub(crate) struct Hold {
    /// The camera
    #[arg(long)]
    camera: String,
    /// First instant
    #[arg(long, value_parser = show::read_instant)]
    from: DateTime<Utc>,
    /// End
    #[arg(long, value_parser = show::read_instant)]
    until: DateTime<Utc>,
    /// The concrete offence, for example `Sr 300`
    #[arg(long)]
    offence: String,
    /// The police case number
    #[arg(long)]
    case: String,
    /// When it is to be looked at again; in 28 days, if not given
    #[arg(long, value_parser = show::read_instant)]
    review: Option<DateTime<Utc>>,
}

/// Runs one of these verbs.
pub(crate) async fn run(session: &Session, verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Hold(given) => {
            let hold = session
                .hold(&NewHold {
                    camera: CameraId::from(given.camera),
                    from: given.from,
                    until: given.until,
                    case_number: given.case,
                    offence: given.offence,
                    review_at: given.review,
                })
                .await?;
            println!("{}", line(&hold));
            for id in &hold.further {
                println!("{id:<12}  secures another stretch of it");
            }
            for gap in &hold.left_out {
                eprintln!(
                    "not secured: {} – {}  {}  {}",
                    show::instant(gap.from),
                    show::instant(gap.until),
                    gap.reason,
                    gap.en
                );
            }
            if !hold.witnessed {
                eprintln!("secured; it counts beyond its term once the police's witness has seen it");
            }
        }
        Verb::Holds { all, json } => {
            let mut holds = session.holds().await?;
            holds.retain(|hold| all || hold.released_at.is_none());
            if json {
                println!("{}", serde_json::to_string_pretty(&holds)?);
            } else {
                for hold in &holds {
                    println!("{}", line(hold));
                }
            }
        }
        Verb::Release { id, reason } => println!("{}", line(&session.release_hold(&id, &reason).await?)),
    }
    Ok(())
}

fn line(hold: &HoldView) -> String {
    let state = match (&hold.released_at, hold.witnessed, hold.review_due, hold.whole) {
        (Some(at), ..) => format!("released {}", show::instant(*at)),
        (None, false, ..) => "waits for the witness".to_owned(),
        (None, _, true, _) => format!("REVIEW WAS DUE {}", show::instant(hold.review_at)),
        (None, _, _, false) => "NOT ON BOTH DEVICES".to_owned(),
        _ => format!("review {}", show::instant(hold.review_at)),
    };
    format!(
        "{:<12}  {}  {} – {}  case {}  {}  {} bytes  {state}",
        hold.id,
        hold.camera,
        show::instant(hold.from),
        show::instant(hold.until),
        hold.case_number,
        hold.offence,
        hold.bytes
    )
}
