//! Entering: files and folders as proposals, the second person, and the acts that are one call.

use super::{Ahead, Apply, Emergency, agreed};
use crate::show;
use anyhow::{Context as _, bail};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{
    Action, FactBody, Role,
    facts::{DecidedBy, Extension, Revocation},
    roles::may_ever,
};
use protocol::{
    api::{
        ChangeState, NewEmergency, NewPreview, NewProposal, Preview, Proposal, ProposalState,
        TelephoneConsultation,
    },
    client::{FactFilter, Session},
};

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
    if p.waits_for_witness {
        println!("       gives nothing before the police's witness has seen its entry in the log");
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

/// The facts of a file or folder. Whoever keeps the machines enters cameras and announces work without reading the register:
/// where their references lead the daemon says.
async fn read(session: &Session, path: &std::path::Path) -> anyhow::Result<Vec<FactBody>> {
    if may_ever(session.me().role, Action::ReadRegister) {
        Ok(settings::load_facts(path, &known(session).await?)?)
    } else {
        Ok(settings::read_facts(path)?)
    }
}

pub(super) async fn enter(
    session: &Session,
    file: &std::path::Path,
    note: Option<String>,
) -> anyhow::Result<()> {
    for body in read(session, file).await? {
        propose(session, body, note.clone()).await?;
    }
    Ok(())
}

pub(super) async fn apply_folder(session: &Session, apply: Apply) -> anyhow::Result<()> {
    let bodies = read(session, &apply.folder).await?;
    if bodies.is_empty() {
        bail!("{} holds no facts", apply.folder.display());
    }
    let asked = NewPreview {
        bodies: bodies.clone(),
        complete: true,
        from: apply.ahead.from,
        until: apply.ahead.until,
        ..NewPreview::default()
    };
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

pub(super) async fn verify(
    session: &Session,
    mut proposals: Vec<u64>,
    all: bool,
    ahead: Ahead,
    yes: bool,
) -> anyhow::Result<()> {
    let of = |proposals: &[u64]| NewPreview {
        proposals: proposals.to_vec(),
        from: ahead.from,
        until: ahead.until,
        ..NewPreview::default()
    };
    let open = session.open_proposals().await?;
    if all {
        proposals = open.iter().map(|p| p.id).collect();
    }
    let mut preview: Preview = session.preview(&of(&proposals)).await?;
    if all {
        // What another role confirms is left for them.
        let role: Role = session.me().role;
        let may: Vec<bool> = preview.differences.iter().map(|d| d.confirm.contains(&role)).collect();
        let mine = proposals.iter().zip(&may).filter(|(_, may)| **may).map(|(id, _)| *id).collect();
        proposals = mine;
        preview = session.preview(&of(&proposals)).await?;
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

pub(super) async fn end(
    session: &Session,
    kind: &str,
    id: &str,
    at: Option<DateTime<Utc>>,
) -> anyhow::Result<()> {
    let at = at.unwrap_or(soon(session).await?);
    let facts = newest(session, kind).await?;
    let Some(mut body) = facts.into_iter().find(|body| &*body.key().1 == id) else {
        bail!("there is no {kind} `{id}`");
    };
    // What has not begun by then is called off: it ends where it would have begun.
    match &mut body {
        FactBody::Period(f) => f.effective_until = Some(at.max(f.effective_from)),
        FactBody::ExtraWindow(f) => f.until = at.max(f.from),
        FactBody::Position(f) => f.until = Some(at.max(f.from)),
        FactBody::Agreement(f) => f.valid_until = Some(at.max(f.valid_from)),
        FactBody::Authorisation(f) => f.until = at.max(f.from),
        FactBody::Shift(f) => f.until = at.max(f.from),
        FactBody::Instruction(f) => f.until = at.max(f.from),
        FactBody::Maintenance(f) => f.until = at.max(f.from),
        FactBody::Signage(f) => f.removed_at = Some(at),
        FactBody::Ordinance(f) => f.in_force_until = Some(at.max(f.in_force_from)),
        FactBody::Decree(_) => bail!("a decree is revoked: rtrctl revoke {id} --reason …"),
        _ => bail!("a {kind} has no end"),
    }
    propose(session, body, None).await
}

pub(super) async fn declare(session: &Session, given: Emergency) -> anyhow::Result<()> {
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
    if let Some(ordered) = declared.ordered_from {
        println!(
            "Ordered from {}; what was entered later holds from its entry on, and nothing before has a basis.",
            show::instant(ordered)
        );
    }
    println!(
        "The mayor confirms it in writing before {}: rtrctl confirm {} --at …",
        show::instant(declared.confirm_by),
        declared.window
    );
    Ok(())
}

pub(super) async fn proposals(session: &Session, all: bool, json: bool) -> anyhow::Result<()> {
    let list = if all { session.proposals().await? } else { session.open_proposals().await? };
    if json {
        return show::json(&list);
    }
    list.iter().for_each(print_proposal);
    println!("{} proposals", list.len());
    Ok(())
}

pub(super) async fn withdraw(session: &Session, proposal: u64) -> anyhow::Result<()> {
    print_proposal(&session.withdraw(proposal).await?);
    Ok(())
}

/// A moment ahead on the daemon's own clock, so that nothing is recorded between this instant and its effect.
async fn soon(session: &Session) -> anyhow::Result<DateTime<Utc>> {
    Ok(session.client().about().await?.now + TimeDelta::milliseconds(300))
}

pub(super) async fn revoke(
    session: &Session,
    decree: &str,
    from: Option<DateTime<Utc>>,
    published_at: Option<DateTime<Utc>>,
    reason: String,
) -> anyhow::Result<()> {
    let revocation = Revocation {
        decree: decree.into(),
        revoked_from: from.unwrap_or(soon(session).await?),
        published_at,
        reason: Some(reason.clone()),
    };
    propose(session, FactBody::Revocation(revocation), Some(reason)).await
}

pub(super) async fn extend(
    session: &Session,
    decree: &str,
    until: DateTime<Utc>,
    published_at: DateTime<Utc>,
    evaluation: Option<String>,
) -> anyhow::Result<()> {
    let extensions = newest(session, "extension").await?;
    let before = extensions.iter().filter_map(|body| match body {
        FactBody::Extension(e) if e.decree.as_str() == decree => Some(e.number),
        _ => None,
    });
    let extension = Extension {
        number: before.max().unwrap_or(0) + 1,
        decree: decree.into(),
        published_at: Some(published_at),
        valid_until: until,
        evaluation_ref: evaluation,
    };
    propose(session, FactBody::Extension(extension), None).await
}

/// The mayor's letter about an emergency window.
pub(super) async fn confirm(session: &Session, window: &str, at: DateTime<Utc>) -> anyhow::Result<()> {
    let windows = newest(session, "extra_window").await?;
    let found = windows.into_iter().find_map(|body| match body {
        FactBody::ExtraWindow(w) if w.id.as_str() == window => Some(w),
        _ => None,
    });
    let mut found = found.with_context(|| format!("there is no window `{window}`"))?;
    found.written_confirmation_at = Some(at);
    propose(session, FactBody::ExtraWindow(found), None).await
}
