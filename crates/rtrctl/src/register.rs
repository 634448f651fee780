//! The register from a terminal: enter, apply, verify, read as it stood, look ahead.

use crate::show;
use anyhow::{Context as _, bail};
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use mandate::{
    FactBody, Role,
    facts::{DecidedBy, Extension, Revocation},
};
use protocol::{
    api::{
        ChangeState, NewEmergency, NewPreview, NewProposal, Preview, Proposal, ProposalState,
        TelephoneConsultation,
    },
    client::{FactFilter, OutlookOf, Session},
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
    /// Ends a period, position, agreement, authorisation, shift or instruction by a new version
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
    /// What ends within so many days, and emergencies that wait for written confirmation
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

#[derive(Args)]
pub(crate) struct Apply {
    /// The folder (or one file)
    folder: PathBuf,
    /// Only print the differences
    #[arg(long)]
    dry_run: bool,
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
    /// Start; now, if not given
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
    #[arg(long, default_value = "live_view")]
    action: String,
    /// The instant that is asked about
    #[arg(long, value_parser = show::read_instant)]
    at: DateTime<Utc>,
    /// As known when; at that instant, if not given
    #[arg(long, value_parser = show::read_instant)]
    known_at: Option<DateTime<Utc>>,
    /// The incident that was open then
    #[arg(long)]
    incident: Option<String>,
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
        Verb::Proposals { all, json } => {
            let list = if all { session.proposals().await? } else { session.open_proposals().await? };
            if json {
                return show::json(&list);
            }
            list.iter().for_each(print_proposal);
            println!("{} proposals", list.len());
            Ok(())
        }
        Verb::Verify { proposals, all, yes } => verify(session, proposals, all, yes).await,
        Verb::Withdraw { proposal } => {
            print_proposal(&session.withdraw(proposal).await?);
            Ok(())
        }
        Verb::Facts(facts) => list_facts(session, facts).await,
        Verb::History { kind, id, json } => history(session, &kind, &id, json).await,
        Verb::Revoke { decree, from, published_at, reason } => {
            // A moment ahead on the daemon's own clock, so that nothing is recorded between this instant and its effect.
            let now = session.client().about().await?.now + TimeDelta::milliseconds(300);
            let revocation = Revocation {
                decree: decree.as_str().into(),
                revoked_from: from.unwrap_or(now),
                published_at,
                reason: Some(reason.clone()),
            };
            propose(session, FactBody::Revocation(revocation), Some(reason)).await
        }
        Verb::Extend { decree, until, published_at, evaluation } => {
            let extensions = newest(session, "extension").await?;
            let before = extensions.iter().filter_map(|body| match body {
                FactBody::Extension(e) if e.decree.as_str() == decree => Some(e.number),
                _ => None,
            });
            let extension = Extension {
                number: before.max().unwrap_or(0) + 1,
                decree: decree.as_str().into(),
                published_at: Some(published_at),
                valid_until: until,
                evaluation_ref: evaluation,
            };
            propose(session, FactBody::Extension(extension), None).await
        }
        Verb::End { kind, id, at } => {
            let now = session.client().about().await?.now + TimeDelta::milliseconds(300);
            end(session, &kind, &id, at.unwrap_or(now)).await
        }
        Verb::Emergency(emergency) => declare(session, emergency).await,
        Verb::Confirm { window, at } => {
            let windows = newest(session, "extra_window").await?;
            let found = windows.into_iter().find_map(|body| match body {
                FactBody::ExtraWindow(w) if w.id.as_str() == window => Some(w),
                _ => None,
            });
            let mut found = found.with_context(|| format!("there is no window `{window}`"))?;
            found.written_confirmation_at = Some(at);
            propose(session, FactBody::ExtraWindow(found), None).await
        }
        Verb::Periods(periods) => look_ahead(session, periods).await,
        Verb::Endings { days, json } => endings(session, days, json).await,
        Verb::Explain(explain) => explanation(session, explain).await,
        Verb::Quarantine { json } => quarantine(session, json).await,
        Verb::Captured { camera, from, until } => {
            for span in session.capture_basis(&camera.into(), from, until).await? {
                println!(
                    "{} – {}  head {}",
                    show::instant(span.from),
                    show::instant(span.until),
                    span.register_head
                );
                println!("    {}", references(&span.basis));
            }
            Ok(())
        }
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

fn print_proposal(p: &Proposal) {
    let by = p.verified_by.as_ref().map(|by| format!(", verified by {by}")).unwrap_or_default();
    let (kind, id) = p.body.key();
    println!(
        "{:>5}  {} {} {id}  (entered by {} at {}{by})",
        p.id,
        show::word(&p.state),
        show::word(&kind),
        p.entered_by,
        show::instant(p.entered_at)
    );
    println!("       {}", show::fields(&p.body));
    if let Some(note) = &p.note {
        println!("       note: {note}");
    }
}

async fn propose(session: &Session, body: FactBody, note: Option<String>) -> anyhow::Result<()> {
    let proposal = session.propose(&NewProposal { body, note }).await?;
    print_proposal(&proposal);
    if proposal.state == ProposalState::Open {
        println!("A second person makes it effective: rtrctl verify {}", proposal.id);
    }
    Ok(())
}

/// The newest version of every fact of a kind.
async fn newest(session: &Session, kind: &str) -> anyhow::Result<Vec<FactBody>> {
    let filter =
        FactFilter { known_at: Some(Utc::now()), kind: Some(kind.to_owned()), ..FactFilter::default() };
    Ok(session.facts_where(&filter).await?.into_iter().map(|fact| fact.body).collect())
}

/// What references may lead to: the register, and what waits.
async fn known(session: &Session) -> anyhow::Result<Vec<FactBody>> {
    let mut known: Vec<FactBody> = session.facts().await?.into_iter().map(|f| f.body).collect();
    known.extend(session.open_proposals().await?.into_iter().map(|p| p.body));
    Ok(known)
}

async fn enter(session: &Session, file: &std::path::Path, note: Option<String>) -> anyhow::Result<()> {
    for body in settings::load_facts(file, &known(session).await?)? {
        propose(session, body, note.clone()).await?;
    }
    Ok(())
}

async fn apply_folder(session: &Session, apply: Apply) -> anyhow::Result<()> {
    let bodies = settings::load_facts(&apply.folder, &known(session).await?)?;
    if bodies.is_empty() {
        bail!("{} holds no facts", apply.folder.display());
    }
    let asked = NewPreview { bodies: bodies.clone(), proposals: Vec::new(), complete: true };
    let preview = session.preview(&asked).await?;
    show::preview(&preview);
    let role = session.me().role;
    let mut others: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    let mut mine = Vec::new();
    let mut refused = 0;
    for (body, difference) in bodies.into_iter().zip(&preview.differences) {
        let changes = matches!(difference.state, ChangeState::New | ChangeState::Changed);
        if !changes || difference.waits.is_some() {
            continue;
        }
        if !difference.enter.contains(&role) {
            let roles: Vec<String> = difference.enter.iter().map(show::word).collect();
            *others.entry(roles.join(" or ")).or_default() += 1;
        } else if difference.refused.is_some() {
            refused += 1;
        } else {
            mine.push(body);
        }
    }
    for (roles, count) in &others {
        println!("{count} of them are entered by another role: {roles}");
    }
    if refused > 0 {
        bail!("{refused} would be refused; nothing was entered");
    }
    if apply.dry_run || mine.is_empty() {
        println!("Nothing was entered.");
        return Ok(());
    }
    if !agreed(&format!("Enter {} proposals as {}?", mine.len(), show::word(&role)), apply.yes)? {
        println!("Nothing was entered.");
        return Ok(());
    }
    let mut waiting = Vec::new();
    for body in mine {
        let proposal = session.propose(&NewProposal { body, note: apply.note.clone() }).await?;
        if proposal.state == ProposalState::Open {
            waiting.push(proposal.id);
        }
    }
    let numbers: Vec<String> = waiting.iter().map(u64::to_string).collect();
    println!("Entered. A second person makes them effective: rtrctl verify {}", numbers.join(" "));
    Ok(())
}

async fn verify(session: &Session, mut proposals: Vec<u64>, all: bool, yes: bool) -> anyhow::Result<()> {
    let open = session.open_proposals().await?;
    if all {
        proposals = open.iter().map(|p| p.id).collect();
    }
    let asked = NewPreview { bodies: Vec::new(), proposals: proposals.clone(), complete: false };
    let mut preview: Preview = session.preview(&asked).await?;
    if all {
        // What another role confirms is left for them.
        let role: Role = session.me().role;
        let may: Vec<bool> = preview.differences.iter().map(|d| d.confirm.contains(&role)).collect();
        let mine = proposals.iter().zip(&may).filter(|(_, may)| **may).map(|(id, _)| *id).collect();
        proposals = mine;
        let asked = NewPreview { bodies: Vec::new(), proposals: proposals.clone(), complete: false };
        preview = session.preview(&asked).await?;
    }
    if proposals.is_empty() {
        println!("Nothing waits for you.");
        return Ok(());
    }
    for p in open.iter().filter(|p| proposals.contains(&p.id)) {
        print_proposal(p);
    }
    show::preview(&preview);
    if !agreed(&format!("Confirm {}?", proposals.len()), yes)? {
        println!("Nothing was confirmed.");
        return Ok(());
    }
    for done in session.verify_together(proposals).await? {
        print_proposal(&done);
    }
    Ok(())
}

async fn list_facts(session: &Session, asked: Facts) -> anyhow::Result<()> {
    let filter = FactFilter {
        known_at: asked.known_at,
        holding_at: asked.at,
        kind: asked.kind,
        id: asked.id,
        municipality: asked.municipality,
    };
    let facts = session.facts_where(&filter).await?;
    if asked.json {
        return show::json(&facts);
    }
    for fact in &facts {
        let (kind, id) = fact.body.key();
        println!(
            "{} {id} v{}  known from {}",
            show::word(&kind),
            fact.version,
            show::instant(fact.known_from)
        );
        println!("    {}", show::fields(&fact.body));
    }
    println!("{} facts", facts.len());
    Ok(())
}

async fn history(session: &Session, kind: &str, id: &str, json: bool) -> anyhow::Result<()> {
    let records = session.history(kind, id).await?;
    if json {
        return show::json(&records);
    }
    for record in records {
        let who = |person: Option<mandate::PersonId>, none: &str| {
            person.map_or_else(|| none.to_owned(), |p| p.to_string())
        };
        println!(
            "v{}  in force in the register from {}, entered by {}, verified by {}, log entry {}",
            record.fact.version,
            show::instant(record.fact.known_from),
            who(record.entered_by, "first start"),
            who(record.verified_by, "nobody"),
            record.ledger_seq
        );
        show::field_changes(&record.changes);
    }
    Ok(())
}

async fn end(session: &Session, kind: &str, id: &str, at: DateTime<Utc>) -> anyhow::Result<()> {
    let facts = newest(session, kind).await?;
    let Some(mut body) = facts.into_iter().find(|body| &*body.key().1 == id) else {
        bail!("there is no {kind} `{id}`");
    };
    match &mut body {
        FactBody::Period(f) => f.effective_until = Some(at),
        FactBody::ExtraWindow(f) => f.until = at,
        FactBody::Position(f) => f.until = Some(at),
        FactBody::Agreement(f) => f.valid_until = Some(at),
        FactBody::Authorisation(f) => f.until = at,
        FactBody::Shift(f) => f.until = at,
        FactBody::Instruction(f) => f.until = at,
        FactBody::Signage(f) => f.removed_at = Some(at),
        FactBody::Ordinance(f) => f.in_force_until = Some(at),
        FactBody::Decree(_) => bail!("a decree is revoked: rtrctl revoke {id} --reason …"),
        _ => bail!("a {kind} has no end"),
    }
    propose(session, body, None).await
}

async fn declare(session: &Session, given: Emergency) -> anyhow::Result<()> {
    let ordered_by: DecidedBy = crate::session::word(&given.ordered_by, "--ordered-by")?;
    let declared = session
        .declare_emergency(&NewEmergency {
            decree: given.decree.as_str().into(),
            area: given.area.as_deref().map(Into::into),
            ordered_by,
            ordered_at: given.ordered_at,
            consultation: TelephoneConsultation {
                held_at: given.telephoned_at,
                prosecutor: given.prosecutor,
                outcome: given.outcome,
            },
            from: given.from,
            until: given.until,
            ground: given.ground,
        })
        .await?;
    println!(
        "{} is in force from {} until {}.",
        declared.window,
        show::instant(declared.from),
        show::instant(declared.until)
    );
    println!(
        "The mayor confirms it in writing before {}: rtrctl confirm {} --at …",
        show::instant(declared.confirm_by),
        declared.window
    );
    Ok(())
}

async fn look_ahead(session: &Session, asked: Periods) -> anyhow::Result<()> {
    let of = match asked.whose {
        Whose { camera: Some(id), .. } => OutlookOf::Camera(id.into()),
        Whose { person: Some(id), .. } => OutlookOf::Person(id.into()),
        Whose { municipality: Some(id), .. } => OutlookOf::Municipality(id.into()),
        _ => bail!("name --camera, --person or --municipality"),
    };
    let outlook = session.outlook(&of, asked.from, asked.until).await?;
    if asked.json {
        return show::json(&outlook);
    }
    println!("{} – {}", show::instant(outlook.from), show::instant(outlook.until));
    for camera in &outlook.cameras {
        println!("camera {}", camera.camera);
        show::stretches("  use", &mandate::outlook::joined(&camera.used));
        show::stretches("  live", &mandate::outlook::joined(&camera.live));
    }
    if let Some(person) = &outlook.person {
        for role in &person.roles {
            let head = format!("{} as {} in {}", person.person, show::word(&role.role), role.municipality);
            show::stretches(&head, &mandate::outlook::joined(&role.openings));
        }
        for (camera, intervals) in &person.cameras {
            show::stretches(&format!("watches {camera}"), intervals);
        }
    }
    Ok(())
}

async fn endings(session: &Session, days: u32, json: bool) -> anyhow::Result<()> {
    let endings = session.endings(days).await?;
    if json {
        return show::json(&endings);
    }
    for ending in &endings.endings {
        let left = (ending.at - endings.now).num_days();
        println!(
            "{:>4} days  {}  {} {} ({})",
            left,
            show::instant(ending.at),
            show::word(&ending.kind),
            ending.fact.id,
            ending.about
        );
    }
    for window in &endings.unconfirmed {
        let overdue = if window.overdue { "OVERDUE" } else { "waits" };
        println!(
            "{overdue}  emergency window {} ({}) must be confirmed in writing by {}",
            window.window,
            window.decree,
            show::instant(window.due_at)
        );
    }
    println!("{} end within {days} days", endings.endings.len());
    Ok(())
}

async fn explanation(session: &Session, asked: Explain) -> anyhow::Result<()> {
    let answer = session
        .explain(&[
            ("purpose", Some(asked.purpose)),
            ("camera", Some(asked.camera)),
            ("person", asked.person),
            ("role", asked.role),
            ("action", Some(asked.action)),
            ("at", Some(show::stamp(asked.at))),
            ("known_at", asked.known_at.map(show::stamp)),
            ("incident", asked.incident),
        ])
        .await?;
    if asked.json {
        return show::json(&answer);
    }
    let verdict = if answer.permitted { "permitted" } else { "refused" };
    println!("At {}, as known at {}: {verdict}.", show::instant(answer.at), show::instant(answer.known_at));
    println!("  {}", answer.sentence.nl);
    if let Some(code) = answer.code {
        println!("  code {}", show::word(&code));
    }
    for (fact, line) in answer.basis.iter().zip(&answer.lines) {
        println!("  {} {} v{}  {}", show::word(&fact.kind), fact.id, fact.version, line.nl);
    }
    if let Some(until) = answer.until {
        println!("  until {}", show::instant(until));
    }
    println!("  register head {}", answer.register_head);
    println!("  {}", answer.policy_version);
    Ok(())
}

/// Facts by kind, id and version, on one line.
fn references(facts: &[mandate::FactRef]) -> String {
    let names = facts.iter().map(|f| format!("{} {} v{}", show::word(&f.kind), f.id, f.version));
    names.collect::<Vec<_>>().join(", ")
}

async fn quarantine(session: &Session, json: bool) -> anyhow::Result<()> {
    let list = session.quarantine().await?;
    if json {
        return show::json(&list);
    }
    for q in &list {
        println!("{:>5}  {}  {} – {}", q.id, q.camera, show::instant(q.from), show::instant(q.until));
        let fact = q.fact.as_ref().map(|f| format!(" ({} v{})", f.id, f.version)).unwrap_or_default();
        println!("       {} {}{fact}, as known {}", show::word(&q.code), q.sentence.nl, q.known);
        println!(
            "       found {}, destroyed by {} at the latest",
            show::instant(q.found_at),
            show::instant(q.destroyed_by)
        );
        println!("       recorded on {}", references(&q.captured_on));
    }
    println!("{} stretches of footage are closed off", list.len());
    Ok(())
}

async fn figures(session: &Session, asked: Report) -> anyhow::Result<()> {
    let text = session
        .report(&[
            ("municipality", asked.municipality),
            ("from", asked.from.map(show::stamp)),
            ("until", asked.until.map(show::stamp)),
            ("format", Some(asked.format)),
        ])
        .await?;
    match asked.out {
        Some(file) => {
            std::fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
            println!("{}", file.display());
        }
        None => println!("{text}"),
    }
    Ok(())
}
