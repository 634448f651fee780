//! The register from a terminal: enter, apply, verify, read as it stood, look ahead.

mod entering;
mod reading;

use crate::show;
use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use entering::{apply_folder, confirm, declare, end, enter, extend, proposals, revoke, verify, withdraw};
use protocol::client::Session;
use reading::{
    captured, destroy_quarantined, endings, explanation, figures, history, list_facts, look_ahead, quarantine,
};
use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Enters the facts of a TOML file; where a second person is needed, they wait for `verify`
    Enter {
        /// The file, in the format of `config/municipalities`
        file: PathBuf,
        /// Why, for the second person
        #[arg(long)]
        note: Option<String>,
    },
    /// Brings a folder of TOML in as proposals, after printing what differs from the register
    Apply(Apply),
    /// Lists what waits for a second person
    Proposals {
        /// Also what was verified or withdrawn
        #[arg(long)]
        all: bool,
        #[arg(long)]
        json: bool,
    },
    /// Confirms what somebody else entered; several take effect together
    Verify {
        /// Their numbers
        #[arg(required_unless_present = "all")]
        proposals: Vec<u64>,
        /// Everything that waits and that your role may confirm
        #[arg(long, conflicts_with = "proposals")]
        all: bool,
        #[command(flatten)]
        ahead: Ahead,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Takes back a proposal that waits
    Withdraw {
        /// Its number
        proposal: u64,
    },
    /// Lists facts: every version, or the register as known at an instant
    Facts(Facts),
    /// Prints every version of one fact, who entered and who verified it
    History {
        /// `decree`, `period`, `revocation`, `authorisation` …
        kind: String,
        /// Its id
        id: String,
        #[arg(long)]
        json: bool,
    },
    /// Revokes a decree; looks and recordings that rest on it end at once
    Revoke {
        /// The decree
        decree: String,
        /// From when; now, if not given
        #[arg(long, value_parser = show::read_instant)]
        from: Option<DateTime<Utc>>,
        /// When it was published
        #[arg(long, value_parser = show::read_instant)]
        published_at: Option<DateTime<Utc>>,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Proposes an extension of a decree
    Extend {
        /// The decree
        decree: String,
        /// The new end
        #[arg(long, value_parser = show::read_instant)]
        until: DateTime<Utc>,
        /// When it was published
        #[arg(long, value_parser = show::read_instant)]
        published_at: DateTime<Utc>,
        /// The evaluation it rests on
        #[arg(long)]
        evaluation: Option<String>,
    },
    /// Ends a period, position, agreement, authorisation, shift, instruction or technical work by a new version
    End {
        /// Its kind
        kind: String,
        /// Its id
        id: String,
        /// When; now, if not given
        #[arg(long, value_parser = show::read_instant)]
        at: Option<DateTime<Utc>>,
    },
    /// Enters an emergency window after the mayor's order and a telephone call with the prosecutor; in force at once
    Emergency(Emergency),
    /// Proposes the mayor's written confirmation of an emergency window
    Confirm {
        /// The window
        window: String,
        /// When it was confirmed
        #[arg(long, value_parser = show::read_instant)]
        at: DateTime<Utc>,
    },
    /// When a camera, a person or a municipality is open between two dates
    Periods(Periods),
    /// What ends or is due within so many days, and emergencies that wait for written confirmation
    Endings {
        #[arg(long, default_value_t = 90)]
        days: u32,
        #[arg(long)]
        json: bool,
    },
    /// Why something was permitted or refused on a night in the past, computed again
    Explain(Explain),
    /// Footage that turned out to lack a basis
    Quarantine {
        #[arg(long)]
        json: bool,
    },
    /// Decides that such footage is destroyed now, before its term; its keys are gone when this returns
    DestroyQuarantined {
        /// Its number in `quarantine`
        id: u64,
        /// Why
        #[arg(long)]
        reason: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Under which bases a camera's footage was captured
    Captured {
        #[arg(long)]
        camera: String,
        #[arg(long, value_parser = show::read_instant)]
        from: Option<DateTime<Utc>>,
        #[arg(long, value_parser = show::read_instant)]
        until: Option<DateTime<Utc>>,
    },
    /// Figures of a period without persons
    Report(Report),
}

/// Where what a change opens and closes is looked at.
#[derive(Args, Clone, Copy)]
pub(crate) struct Ahead {
    /// Look at what opens and closes from here; now, if not given
    #[arg(long, value_parser = show::read_instant)]
    from: Option<DateTime<Utc>>,
    /// And until here, at most 366 days later; four weeks after the last change, if not given
    #[arg(long, value_parser = show::read_instant)]
    until: Option<DateTime<Utc>>,
}

#[derive(Args)]
pub(crate) struct Apply {
    /// The folder (or one file)
    folder: PathBuf,
    /// Only print the differences
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    ahead: Ahead,
    /// Why, for the second person
    #[arg(long)]
    note: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(Args)]
pub(crate) struct Facts {
    /// The register as it was known at this instant
    #[arg(long, value_parser = show::read_instant)]
    known_at: Option<DateTime<Utc>>,
    /// Only what holds at this instant
    #[arg(long, value_parser = show::read_instant)]
    at: Option<DateTime<Utc>>,
    #[arg(long)]
    kind: Option<String>,
    #[arg(long)]
    id: Option<String>,
    #[arg(long)]
    municipality: Option<String>,
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Emergency {
    /// The decree inside which it lies
    decree: String,
    /// The area; every area of the decree, if not given
    #[arg(long)]
    area: Option<String>,
    /// `mayor` or `mayor_mandated`
    #[arg(long, default_value = "mayor")]
    ordered_by: String,
    /// When the order was given
    #[arg(long, value_parser = show::read_instant)]
    ordered_at: DateTime<Utc>,
    /// When the prosecutor was telephoned
    #[arg(long, value_parser = show::read_instant)]
    telephoned_at: DateTime<Utc>,
    /// Whom
    #[arg(long)]
    prosecutor: String,
    /// What came of it
    #[arg(long)]
    outcome: String,
    /// Start as ordered; at once, if not given or already passed
    #[arg(long, value_parser = show::read_instant)]
    from: Option<DateTime<Utc>>,
    /// End
    #[arg(long, value_parser = show::read_instant)]
    until: DateTime<Utc>,
    /// Why
    #[arg(long)]
    ground: String,
}

#[derive(Args)]
#[group(required = true, multiple = false, id = "whose")]
struct Whose {
    #[arg(long)]
    camera: Option<String>,
    #[arg(long)]
    person: Option<String>,
    #[arg(long)]
    municipality: Option<String>,
}

#[derive(Args)]
pub(crate) struct Periods {
    #[command(flatten)]
    whose: Whose,
    /// From when; now, if not given
    #[arg(long, value_parser = show::read_instant)]
    from: Option<DateTime<Utc>>,
    /// Until when; four weeks later, if not given
    #[arg(long, value_parser = show::read_instant)]
    until: Option<DateTime<Utc>>,
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Report {
    #[arg(long)]
    municipality: Option<String>,
    /// From when; four weeks ago, if not given
    #[arg(long, value_parser = show::read_instant)]
    from: Option<DateTime<Utc>>,
    /// Until when; now, if not given
    #[arg(long, value_parser = show::read_instant)]
    until: Option<DateTime<Utc>>,
    /// `json`, `csv` or `html`
    #[arg(long, default_value = "csv")]
    format: String,
    /// Where to write it; to the terminal, if not given
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Explain {
    #[arg(long)]
    camera: String,
    /// Who; the platform itself (recording), if not given
    #[arg(long, requires = "role")]
    person: Option<String>,
    #[arg(long)]
    role: Option<String>,
    /// What; if not given: to watch live, for the platform to record
    #[arg(long)]
    action: Option<String>,
    /// The instant that is asked about
    #[arg(long, value_parser = show::read_instant)]
    at: DateTime<Utc>,
    /// As known when; at that instant, if not given
    #[arg(long, value_parser = show::read_instant)]
    known_at: Option<DateTime<Utc>>,
    /// The incident that was open then
    #[arg(long)]
    incident: Option<String>,
    /// Of footage: its first instant; a minute before, if not given
    #[arg(long, value_parser = show::read_instant)]
    from: Option<DateTime<Utc>>,
    /// Of footage: its end; the instant that is asked about, if not given
    #[arg(long, value_parser = show::read_instant)]
    until: Option<DateTime<Utc>>,
    /// The purpose that was said then: `investigation`, `public_order` …
    #[arg(long)]
    said_purpose: Option<String>,
    /// The offence that was said then
    #[arg(long)]
    offence: Option<String>,
    /// The case number that was said then
    #[arg(long)]
    case: Option<String>,
    /// To whom it was to go; the police, if not given
    #[arg(long)]
    recipient_kind: Option<String>,
    /// One of the four purposes of Wpg 32a
    #[arg(long, default_value = "lawfulness")]
    purpose: String,
    #[arg(long)]
    json: bool,
}

/// Runs a verb of the register.
pub(crate) async fn run(session: &Session, verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Enter { file, note } => enter(session, &file, note).await,
        Verb::Apply(apply) => apply_folder(session, apply).await,
        Verb::Proposals { all, json } => proposals(session, all, json).await,
        Verb::Verify { proposals, all, ahead, yes } => verify(session, proposals, all, ahead, yes).await,
        Verb::Withdraw { proposal } => withdraw(session, proposal).await,
        Verb::Facts(facts) => list_facts(session, facts).await,
        Verb::History { kind, id, json } => history(session, &kind, &id, json).await,
        Verb::Revoke { decree, from, published_at, reason } => {
            revoke(session, &decree, from, published_at, reason).await
        }
        Verb::Extend { decree, until, published_at, evaluation } => {
            extend(session, &decree, until, published_at, evaluation).await
        }
        Verb::End { kind, id, at } => end(session, &kind, &id, at).await,
        Verb::Emergency(emergency) => declare(session, emergency).await,
        Verb::Confirm { window, at } => confirm(session, &window, at).await,
        Verb::Periods(periods) => look_ahead(session, periods).await,
        Verb::Endings { days, json } => endings(session, days, json).await,
        Verb::Explain(explain) => explanation(session, explain).await,
        Verb::Quarantine { json } => quarantine(session, json).await,
        Verb::DestroyQuarantined { id, reason, yes } => destroy_quarantined(session, id, reason, yes).await,
        Verb::Captured { camera, from, until } => captured(session, camera, from, until).await,
        Verb::Report(report) => figures(session, report).await,
    }
}

/// Asks a person at a terminal; anything but a clear yes is no.
fn agreed(question: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        bail!("nobody can answer here: add --yes");
    }
    print!("{question} [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "yes" | "j" | "ja"))
}
