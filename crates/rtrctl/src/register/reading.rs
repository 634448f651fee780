//! Reading: the register as it stood, what is ahead, why something was permitted, and what footage lacks a basis.

use super::{Explain, Facts, Periods, Report, Whose, agreed};
use crate::show;
use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use protocol::{
    api::{DestroyQuarantined, Quarantine},
    client::{FactFilter, OutlookOf, Session},
};

pub(super) async fn list_facts(session: &Session, asked: Facts) -> anyhow::Result<()> {
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

pub(super) async fn history(session: &Session, kind: &str, id: &str, json: bool) -> anyhow::Result<()> {
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

const NEVER: &str = "      not in this stretch";

pub(super) async fn look_ahead(session: &Session, asked: Periods) -> anyhow::Result<()> {
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
        show::stretches_or("  use", &mandate::outlook::joined(&camera.used), NEVER);
        show::stretches_or("  live", &mandate::outlook::joined(&camera.live), NEVER);
    }
    if let Some(person) = &outlook.person {
        for role in &person.roles {
            let head = format!("{} as {} in {}", person.person, show::word(&role.role), role.municipality);
            show::stretches_or(&head, &mandate::outlook::joined(&role.openings), NEVER);
        }
        if person.cameras.is_empty() {
            println!("watches no camera in this stretch");
        }
        for (camera, intervals) in &person.cameras {
            show::stretches(&format!("watches {camera}"), intervals);
        }
    }
    Ok(())
}

pub(super) async fn endings(session: &Session, days: u32, json: bool) -> anyhow::Result<()> {
    let endings = session.endings(days).await?;
    if json {
        return show::json(&endings);
    }
    for ending in &endings.endings {
        let left = (ending.at - endings.now).num_days();
        let municipalities: Vec<&str> =
            ending.municipalities.iter().map(mandate::MunicipalityId::as_str).collect();
        println!(
            "{:>4} days  {}  {} {} ({})",
            left,
            show::instant(ending.at),
            show::word(&ending.kind),
            ending.fact.id,
            if *ending.about == *ending.fact.id { municipalities.join(", ") } else { ending.about.clone() }
        );
    }
    for window in &endings.unconfirmed {
        let overdue = if window.overdue { "OVERDUE" } else { "waits" };
        println!(
            "{overdue}  emergency window {} ({}{}) must be confirmed in writing by {}",
            window.window,
            window.decree,
            window.area.as_ref().map(|area| format!(", {area}")).unwrap_or_default(),
            show::instant(window.due_at)
        );
        let unknown = || "?".to_owned();
        println!(
            "       {} – {}, ordered {}, entered by {}",
            show::instant(window.from),
            show::instant(window.until),
            window.ordered_at.map_or_else(unknown, show::instant),
            window.entered_by.as_ref().map_or_else(unknown, ToString::to_string)
        );
    }
    for duty in &endings.duties {
        let left = (duty.due_at - endings.now).num_days();
        let when = if duty.overdue { "OVERDUE".to_owned() } else { format!("{left:>4} days") };
        println!(
            "{when}  {}  {} must be done: {} {}",
            show::instant(duty.due_at),
            show::word(&duty.kind),
            show::word(&duty.fact.kind),
            duty.fact.id
        );
    }
    println!("{} end within {days} days", endings.endings.len());
    Ok(())
}

pub(super) async fn explanation(session: &Session, asked: Explain) -> anyhow::Result<()> {
    let answer = session
        .explain(&[
            ("purpose", Some(asked.purpose)),
            ("camera", Some(asked.camera)),
            ("person", asked.person),
            ("role", asked.role),
            ("action", asked.action),
            ("at", Some(show::stamp(asked.at))),
            ("known_at", asked.known_at.map(show::stamp)),
            ("incident", asked.incident),
            ("from", asked.from.map(show::stamp)),
            ("until", asked.until.map(show::stamp)),
            ("said_purpose", asked.said_purpose),
            ("offence_ref", asked.offence),
            ("case_number", asked.case),
            ("recipient_kind", asked.recipient_kind),
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

fn print_quarantined(q: &Quarantine) {
    println!("{:>5}  {}  {} – {}", q.id, q.camera, show::instant(q.from), show::instant(q.until));
    let fact = q.fact.as_ref().map(|f| format!(" ({} v{})", f.id, f.version)).unwrap_or_default();
    println!("       {} {}{fact}, as known {}", show::word(&q.code), q.sentence.nl, q.known);
    println!("       recorded on {}", references(&q.captured_on));
    println!("       found {}", show::instant(q.found_at));
    match (&q.decided_by, q.destroyed_at) {
        (Some(by), Some(at)) => println!("       destroyed {}, decided by {by}", show::instant(at)),
        (Some(by), None) => {
            println!("       {by} decided that it goes, but its keys are not gone: decide again");
        }
        (None, _) => println!(
            "       goes {} at the latest; a decision takes {} – {}, with {} min of lawful footage",
            show::instant(q.destroyed_by),
            show::instant(q.hours.from),
            show::instant(q.hours.until),
            q.lawful_seconds.div_ceil(60)
        ),
    }
}

pub(super) async fn quarantine(session: &Session, json: bool) -> anyhow::Result<()> {
    let list = session.quarantine().await?;
    if json {
        return show::json(&list);
    }
    list.iter().for_each(print_quarantined);
    println!("{} stretches of footage are closed off", list.len());
    Ok(())
}

pub(super) async fn figures(session: &Session, asked: Report) -> anyhow::Result<()> {
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

pub(super) async fn destroy_quarantined(
    session: &Session,
    id: u64,
    reason: String,
    yes: bool,
) -> anyhow::Result<()> {
    let list = session.quarantine().await?;
    let found = list.iter().find(|q| q.id == id).with_context(|| format!("there is no stretch {id}"))?;
    print_quarantined(found);
    println!("Whoever needs some of it for a case secures that first: what a hold keeps stays.");
    if !agreed("Destroy it for ever?", yes)? {
        println!("Nothing was destroyed.");
        return Ok(());
    }
    print_quarantined(&session.destroy_quarantined(id, &DestroyQuarantined { reason }).await?);
    Ok(())
}

pub(super) async fn captured(
    session: &Session,
    camera: String,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
) -> anyhow::Result<()> {
    for span in session.capture_basis(&camera.into(), from, until).await? {
        println!("{} – {}  head {}", show::instant(span.from), show::instant(span.until), span.register_head);
        println!("    {}", references(&span.basis));
    }
    Ok(())
}
