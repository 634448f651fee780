//! `query` and `rebuild-index`.

use super::{LogAndKeys, purpose::Purpose, readable::Readable, say};
use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use ledger::{Filter, Index, Indexed, MonthKeys, Published, leaves_in_order};
use std::{path::PathBuf, process::ExitCode, time::Instant};

/// Entries that are indexed in one transaction.
const STEP: usize = 4096;

/// `rtrctl ledger query`
#[derive(Args)]
pub(crate) struct Query {
    #[command(flatten)]
    log: LogAndKeys,
    /// The index; `index.sqlite` in the log's folder otherwise
    #[arg(long)]
    index: Option<PathBuf>,
    /// The person who acted, by id; needs the months' keys
    #[arg(long, requires = "months")]
    who: Option<String>,
    /// The pseudonym of a person in a month, as it stands in the entries
    #[arg(long, conflicts_with = "who")]
    pseudonym: Option<String>,
    /// The case number; needs the months' keys
    #[arg(long, requires = "months")]
    case: Option<String>,
    /// The folder of the months' keys
    #[arg(long, value_name = "FOLDER", requires = "purpose")]
    months: Option<PathBuf>,
    /// For what a person or a case is looked for
    #[arg(long, value_enum)]
    purpose: Option<Purpose>,
    /// The camera
    #[arg(long)]
    camera: Option<String>,
    /// The municipality
    #[arg(long)]
    municipality: Option<String>,
    /// collect, alter, consult, disclose, combine, destroy, `access_denied`, admin or maintenance
    #[arg(long)]
    operation: Option<String>,
    /// The action, or the beginning of it with a dot at its end: `live_view.`
    #[arg(long)]
    action: Option<String>,
    /// permit, deny, done, failed or unknown
    #[arg(long)]
    outcome: Option<String>,
    /// The incident
    #[arg(long)]
    incident: Option<String>,
    /// The look that ties start and stop together
    #[arg(long)]
    look: Option<String>,
    /// From this instant on, for example 2026-11-01T00:00:00Z
    #[arg(long)]
    since: Option<DateTime<Utc>>,
    /// Before this instant
    #[arg(long)]
    until: Option<DateTime<Utc>>,
    /// Newest first
    #[arg(long)]
    newest: bool,
    /// At most so many
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// Lines for people instead of the entries' own text: a look on one line, signs of life as a count
    #[arg(long)]
    text: bool,
    /// Prints how many there are, not the entries
    #[arg(long)]
    count: bool,
}

impl Query {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let mut log = Published::open(&self.log.folder(), &self.log.policy()?.log)?;
        let path = self.index.clone().unwrap_or_else(|| self.log.folder().join("index.sqlite"));
        let index = Index::open_to_read(&path, |size| log.tree().root_at(size))
            .filter(|index| index.size() == log.size())
            .with_context(|| {
                format!(
                    "{} does not cover this very log: make it with `rtrctl ledger rebuild-index` (a running daemon's index is \
                     ahead of its checkpoint; give yours another place with --index)",
                    path.display()
                )
            })?;
        let months = self.months.as_deref().map(MonthKeys::open).transpose()?;
        let mut pseudonyms: Vec<String> = self.pseudonym.iter().cloned().collect();
        let mut tags = Vec::new();
        if let (Some(months), Some(who)) = (&months, &self.who) {
            pseudonyms = months.pseudonyms(who)?;
        }
        if let (Some(months), Some(case)) = (&months, &self.case) {
            tags = months.case_tags(case)?;
        }
        let filter = Filter {
            who: self.who.clone().or_else(|| self.pseudonym.clone()),
            case: self.case.clone(),
            camera: self.camera.clone(),
            municipality: self.municipality.clone(),
            operation: self.operation.clone(),
            action: self.action.clone(),
            outcome: self.outcome.clone(),
            incident: self.incident.clone(),
            look: self.look.clone(),
            from: self.since,
            until: self.until,
            newest_first: self.newest,
            limit: self.limit,
            ..Filter::default()
        };
        let began = Instant::now();
        let found = index.find(&filter, &pseudonyms, &tags)?;
        let took = began.elapsed();
        if self.count {
            say(found.len());
        } else if self.text {
            let mut readable = Readable::default();
            let mut rising = found.clone();
            rising.sort_unstable();
            for seq in rising {
                readable.add(seq, &log.leaf(seq)?);
            }
            readable.into_lines().for_each(say);
        } else {
            for seq in &found {
                say(format!("{seq}\t{}", String::from_utf8_lossy(&log.leaf(*seq)?)));
            }
        }
        let more = if found.len() == self.limit { "; there may be more (--limit)" } else { "" };
        let purpose = self.purpose.map_or_else(String::new, |purpose| format!(", for {}", purpose.word()));
        eprintln!("{} entries found in {:.1} ms{more}{purpose}", found.len(), took.as_secs_f64() * 1000.0);
        Ok(ExitCode::SUCCESS)
    }
}

/// `rtrctl ledger rebuild-index`
#[derive(Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    log: LogAndKeys,
    /// Where to write it; `index.sqlite` in the log's folder otherwise. Not on a running daemon's own
    #[arg(long)]
    index: Option<PathBuf>,
    /// The folder of the months' keys, so that case numbers are indexed too
    #[arg(long, value_name = "FOLDER", requires = "purpose")]
    months: Option<PathBuf>,
    /// For what they are opened
    #[arg(long, value_enum)]
    purpose: Option<Purpose>,
}

impl Rebuild {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let folder = self.log.folder();
        let log = Published::open(&folder, &self.log.policy()?.log)?;
        let path = self.index.clone().unwrap_or_else(|| folder.join("index.sqlite"));
        let mut details =
            self.months.as_deref().map(|months| MonthKeys::open(months)?.details(&folder)).transpose()?;
        let began = Instant::now();
        let mut index = Index::start(&path)?;
        index.skip_to(log.first());
        let mut batch: Vec<Indexed> = Vec::with_capacity(STEP);
        for (seq, leaf) in leaves_in_order(&log) {
            let leaf = match leaf {
                Ok(leaf) => leaf,
                Err(finding) => bail!("{finding}"),
            };
            let tag = match &mut details {
                Some(details) if leaf.windows(13).any(|w| w == b"\"case_number\"") => {
                    details.case_tag(seq, &leaf)?
                }
                _ => None,
            };
            batch.push(Indexed { leaf, tag });
            if batch.len() == STEP || seq + 1 == log.size() {
                let root = log.tree().root_at(seq + 1).context("the tree ends before its entries")?;
                index.extend(&batch, root)?;
                batch.clear();
            }
        }
        index.finish()?;
        let purpose = self.purpose.map_or_else(String::new, |purpose| format!(", for {}", purpose.word()));
        say(format!(
            "{} entries indexed in {:.1} s{purpose}",
            log.size() - log.first(),
            began.elapsed().as_secs_f64()
        ));
        Ok(ExitCode::SUCCESS)
    }
}
