//! Footage requests from a terminal: ask, decide, fetch. A fetched file is kept only when its hash is the approved one.

use crate::show;
use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use mandate::{CameraId, ExportId, PersonId, Purpose, RecipientKind};
use protocol::{
    api::{Approval, ExportFile, FootageRequest, NewFootageRequest},
    client::Session,
};
use sha2::{Digest as _, Sha256};
use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Asks for footage of a concrete offence; another person approves
    Request(Request),
    /// Lists the footage requests that are yours to see, or prints one with its files and what is left out
    Requests {
        /// One request
        id: Option<String>,
        #[arg(long)]
        json: bool,
    },
    /// Approves somebody else's footage request; the footage is secured before this returns
    Approve {
        /// The request
        id: String,
        /// For how many hours its files may be fetched
        #[arg(long, default_value_t = 72)]
        hours: u32,
    },
    /// Refuses a footage request; the reason is kept
    Refuse {
        /// The request
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Ends an approval and releases the footage that was secured for it
    Close {
        /// The request
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Fetches the files of an approved request, as its named recipient; each can be fetched once
    Download {
        /// The request
        id: String,
        /// One file, by its number; all, if not given
        #[arg(long)]
        file: Option<u32>,
        /// The folder they go to
        #[arg(long, default_value = ".")]
        to: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct Request {
    /// A camera; may be given several times
    #[arg(long = "camera", required = true)]
    cameras: Vec<String>,
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
    /// What is asked for and why, in words
    #[arg(long)]
    description: Option<String>,
    /// Who will fetch it; you, if not given
    #[arg(long)]
    recipient: Option<String>,
    /// For the public prosecution service instead of the police
    #[arg(long)]
    prosecutor: bool,
}

/// Runs one of these verbs.
pub(crate) async fn run(session: &Session, verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Request(given) => {
            let new = NewFootageRequest {
                cameras: given.cameras.into_iter().map(CameraId::from).collect(),
                from: given.from,
                until: given.until,
                purpose: Purpose::Investigation,
                offence_ref: Some(given.offence),
                case_number: Some(given.case),
                description: given.description,
                recipient: given.recipient.map(PersonId::from),
                recipient_kind: if given.prosecutor {
                    RecipientKind::PublicProsecutor
                } else {
                    RecipientKind::Police
                },
            };
            print(&session.request_footage(&new).await?);
        }
        Verb::Requests { id: Some(id), json } => {
            let request = session.footage_request(&ExportId::from(id)).await?;
            if json { println!("{}", serde_json::to_string_pretty(&request)?) } else { print(&request) }
        }
        Verb::Requests { id: None, json } => {
            let all = session.footage_requests().await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&all)?);
            } else {
                for request in &all {
                    println!("{}", line(request));
                }
            }
        }
        Verb::Approve { id, hours } => {
            let approval = Approval { download_hours: hours };
            print(&session.approve_request(&ExportId::from(id), &approval).await?);
        }
        Verb::Refuse { id, reason } => {
            print(&session.refuse_request(&ExportId::from(id), &reason).await?);
        }
        Verb::Close { id, reason } => print(&session.close_request(&ExportId::from(id), &reason).await?),
        Verb::Download { id, file, to } => {
            let request = session.footage_request(&ExportId::from(id)).await?;
            let wanted: Vec<&ExportFile> =
                request.files.iter().filter(|f| file.is_none_or(|number| f.number == number)).collect();
            if wanted.is_empty() && file.is_none() && request.files.is_empty() {
                // The daemon says why, and logs that it was tried.
                session.download(&request.id, 0).await?;
            }
            ensure!(!wanted.is_empty(), "request {} has no such file", request.id);
            for file in wanted {
                let path = fetch(session, &request, file, &to).await?;
                println!("{}  {}", file.sha256, path.display());
            }
        }
    }
    Ok(())
}

/// Fetches one file beside its place and moves it there when it is whole and the approved one.
async fn fetch(
    session: &Session,
    request: &FootageRequest,
    file: &ExportFile,
    folder: &Path,
) -> anyhow::Result<PathBuf> {
    ensure!(!file.name.contains('/') && !file.name.starts_with('.'), "the server gave no name of a file");
    let place = folder.join(&file.name);
    ensure!(!place.exists(), "{} exists already", place.display());
    let beside = folder.join(format!("{}.part", file.name));
    let mut out = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .with_context(|| format!("{} cannot be made", beside.display()))?;
    let mut digest = Sha256::new();
    let got = async {
        let mut told = false;
        let mut download = session
            .download_witnessed(&request.id, file.number, || {
                if !std::mem::replace(&mut told, true) {
                    eprintln!(
                        "{}: permitted and logged; waiting until the police's witness has seen it",
                        file.name
                    );
                }
            })
            .await?;
        while let Some(bytes) = download.next().await? {
            digest.update(&bytes);
            out.write_all(&bytes)?;
        }
        out.sync_all()?;
        anyhow::Ok(())
    };
    let got = got.await;
    let mut hash = String::new();
    for byte in digest.finalize() {
        write!(hash, "{byte:02x}")?;
    }
    if got.is_err() || hash != file.sha256 {
        // Footage that is not evidence must not lie about.
        fs::remove_file(&beside)?;
        got?;
        bail!("what came has the hash {hash}, not the approved {}", file.sha256);
    }
    fs::rename(&beside, &place).with_context(|| format!("{} cannot be written", place.display()))?;
    Ok(place)
}

fn line(request: &FootageRequest) -> String {
    let asked = &request.asked;
    let cameras: Vec<_> = asked.cameras.iter().map(CameraId::as_str).collect();
    format!(
        "{:>5}  {:<9}  {} – {}  {}  {} → {}",
        request.id.as_str(),
        show::word(&request.state),
        show::instant(asked.from),
        show::instant(asked.until),
        cameras.join(" "),
        request.requested_by,
        asked.recipient
    )
}

fn print(request: &FootageRequest) {
    println!("{}", line(request));
    for (what, text) in [
        ("offence", &request.asked.offence_ref),
        ("case", &request.asked.case_number),
        ("description", &request.asked.description),
        ("refused because", &request.refusal_reason),
    ] {
        if let Some(text) = text {
            println!("       {what}: {text}");
        }
    }
    if let (Some(by), Some(at)) = (&request.decided_by, request.decided_at) {
        println!("       decided by {by} at {}", show::instant(at));
    }
    if let Some(until) = request.download_until {
        println!("       to be fetched before {}", show::instant(until));
    }
    for file in &request.files {
        println!(
            "       file {}: {}  {} – {}  {} pictures, {} bytes, fetched {} times",
            file.number,
            file.name,
            show::instant(file.from),
            show::instant(file.until),
            file.pictures,
            file.bytes,
            file.downloads
        );
        println!("         sha256 {}", file.sha256);
    }
    for gap in &request.left_out {
        println!(
            "       left out: {}  {} – {}  {} ({})",
            gap.camera,
            show::instant(gap.from),
            show::instant(gap.until),
            gap.en,
            gap.reason
        );
    }
}
