//! The figures of a period, municipality by municipality: made of the register's decisions, the incident register, the
//! footage requests and the counters, never of the access log (Wpg 22, 32a lid 2). Nothing in them is about a person; small counts are not told.

use crate::{
    exports::{ExportError, Exports},
    incidents::{IncidentError, Incidents},
    tally::{Tally, TallyError, hour_of},
};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Europe::Amsterdam;
use evidence::{FootageRequest, RequestState};
use mandate::{
    Fact, FactBody, MunicipalityId, PositionId, Register, RegisterError,
    outlook::{View, camera_openings, joined},
    retention_term,
};
use protocol::api::{CostKey, Counted, Figure, Hours, MunicipalityReport, Report};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Deref,
};

const HOUR_SECONDS: f64 = 3600.0;
const TERABYTE: f64 = 1e12;
const DAY_HOURS: f64 = 24.0;

/// What a report is made of.
pub struct Figures<'a> {
    /// The decisions.
    pub register: &'a Register,
    /// Every version of every fact of that register.
    pub facts: &'a [Fact],
    /// The counters.
    pub tally: &'a Tally,
    /// The incident register.
    pub incidents: &'a Incidents,
    /// The footage requests.
    pub exports: &'a Exports,
    /// Cost key and smallest count.
    pub settings: settings::ReportSettings,
    /// Whether the decisions are made up.
    pub demo: bool,
}

/// Why no report could be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The counters failed.
    #[error(transparent)]
    Tally(#[from] TallyError),
    /// The incident register failed.
    #[error(transparent)]
    Incidents(#[from] IncidentError),
    /// What was known of the masks at an instant contradicts itself.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The footage requests cannot be read.
    #[error(transparent)]
    Exports(#[from] ExportError),
}

/// The hour after the last that has a part before `until`: counters are kept by the hour, so an hour that a period begins or
/// ends in is told whole, and one that begins when the period ends belongs to the next.
fn end_hour(until: DateTime<Utc>) -> i64 {
    hour_of(until - TimeDelta::microseconds(1)) + 1
}

/// The figures of `from <= t < until`, for the municipalities that whoever asks may see. Costs are shared among all.
pub fn make(
    figures: &Figures<'_>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
    seen: &[MunicipalityId],
) -> Result<Report, ReportError> {
    let smallest = figures.settings.smallest_count;
    let counts = figures.tally.counts(hour_of(from), end_hour(until))?;
    let incidents = figures.incidents.between(from, until)?;
    let asked = figures.exports.newest(u32::MAX)?;
    let inside = |at: DateTime<Utc>| from <= at && at < until;
    let then = masks_of_then(figures, from, until)?;
    let mut all = Vec::new();
    for municipality in figures.register.municipalities() {
        let (mut m, watched) = of_cameras(figures, &then, &municipality.id, from, until)?;
        m.name.clone_from(&municipality.name);
        let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
        for incident in &incidents {
            // An incident counts where its first camera hangs, so that none counts twice.
            let camera = incident.cameras.first().and_then(|camera| figures.register.camera(camera));
            if camera.is_some_and(|camera| camera.municipality == municipality.id) {
                *kinds.entry(crate::gate::word(&incident.category)).or_default() += 1;
            }
        }
        let counted = |(what, count)| Counted { what, count: Figure::suppressed(count, smallest) };
        m.incidents = kinds.into_iter().map(counted).collect();
        let mut refusals: BTreeMap<String, u64> = BTreeMap::new();
        // A request counts once, whatever it is about: however many cameras, and in however many pieces it was decided.
        let here = |request: &&FootageRequest| {
            let mut cameras =
                request.asked.cameras.iter().filter_map(|camera| figures.register.camera(camera));
            cameras.any(|camera| camera.municipality == municipality.id)
        };
        let asked_here: Vec<&FootageRequest> = asked.iter().filter(here).collect();
        let requests = asked_here.iter().filter(|request| inside(request.requested_at)).count() as u64;
        let approved = |request: &&&FootageRequest| {
            matches!(request.state, RequestState::Approved | RequestState::Closed)
                && request.decided_at.is_some_and(inside)
        };
        let mut disclosures = asked_here.iter().filter(approved).count() as u64;
        for count in counts.iter().filter(|c| c.municipality.as_ref() == Some(&municipality.id)) {
            match (count.action.as_str(), count.outcome.as_str()) {
                ("share_live", "permit") => disclosures += count.count,
                (_, "permit") => {}
                (_, code) => *refusals.entry(code.to_owned()).or_default() += count.count,
            }
        }
        m.requests = Figure::suppressed(requests, smallest);
        m.disclosures = Figure::suppressed(disclosures, smallest);
        m.refusals = refusals.into_iter().map(counted).collect();
        m.watched_hours = Hours::suppressed(watched, smallest);
        all.push((m, watched));
    }
    let settings::CostKey { cameras, watched_hours, stored_terabyte_days } = figures.settings.costs;
    let cost_key = CostKey { cameras, watched_hours, stored_terabyte_days };
    share(&mut all, cost_key);
    let municipalities = all.into_iter().map(|(m, _)| m).filter(|m| seen.contains(&m.id)).collect();
    Ok(Report { from, until, made_at: now, demo: figures.demo, municipalities, cost_key })
}

/// The register as it is known now, with the masks as they were known then: a mask that is verified again says nothing about
/// the time before. Each from an instant on, up to the next.
fn masks_of_then<'a>(
    figures: &Figures<'a>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<(DateTime<Utc>, Known<'a>)>, RegisterError> {
    let mut masked: HashSet<&PositionId> = HashSet::new();
    let mut masks: Vec<&Fact> =
        figures.facts.iter().filter(|fact| matches!(fact.body, FactBody::Mask(_))).collect();
    masks.sort_by_key(|fact| fact.known_from);
    // What took the place of another mask.
    masks.retain(|fact| matches!(&fact.body, FactBody::Mask(mask) if !masked.insert(&mask.position)));
    let turns = masks.iter().map(|fact| fact.known_from).filter(|at| from < *at && *at < until);
    let starts: BTreeSet<DateTime<Utc>> = turns.chain([from]).collect();
    let known_then = |start: DateTime<Utc>| {
        let later = |fact: &Fact| fact.known_from > start && masks.contains(&fact);
        if !masks.iter().any(|mask| mask.known_from > start) {
            return Ok((start, Known::Now(figures.register)));
        }
        let facts: Vec<Fact> = figures.facts.iter().filter(|fact| !later(fact)).cloned().collect();
        let (known_at, policy) = (figures.register.known_at(), figures.register.policy().clone());
        Ok((start, Known::Then(Box::new(Register::with_policy(&facts, known_at, policy)?))))
    };
    starts.into_iter().map(known_then).collect()
}

/// A register to ask about a stretch.
enum Known<'a> {
    Now(&'a Register),
    Then(Box<Register>),
}

impl Deref for Known<'_> {
    type Target = Register;

    fn deref(&self) -> &Register {
        match self {
            Self::Now(register) => register,
            Self::Then(register) => register,
        }
    }
}

/// What follows from decisions and counters, camera by camera; with the hours that were watched, which are told only when
/// they are many.
fn of_cameras(
    figures: &Figures<'_>,
    then: &[(DateTime<Utc>, Known<'_>)],
    municipality: &MunicipalityId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(MunicipalityReport, f64), ReportError> {
    let mut sum = MunicipalityReport {
        id: municipality.clone(),
        name: String::new(),
        cameras: 0,
        use_hours: 0.0,
        live_hours: 0.0,
        watched_hours: Hours::Exact(0.0),
        recorded_hours: 0.0,
        recorded_share: None,
        stored_terabyte_days: 0.0,
        incidents: Vec::new(),
        requests: Figure::Exact(0),
        disclosures: Figure::Exact(0),
        refusals: Vec::new(),
        cost_share: 0.0,
    };
    let mut watched = 0.0;
    let ends = || then.iter().skip(1).map(|(start, _)| *start).chain([until]);
    let hours = |view, camera| {
        let openings = then.iter().zip(ends()).flat_map(|((start, register), end)| {
            joined(&camera_openings(register, camera, view, *start, end))
        });
        openings.map(|i| (i.until - i.from).as_seconds_f64() / HOUR_SECONDS).sum::<f64>()
    };
    for camera in figures.register.cameras().filter(|c| c.municipality == *municipality) {
        let used = hours(View::Use, &camera.id);
        sum.cameras += u64::from(used > 0.0);
        sum.use_hours += used;
        sum.live_hours += hours(View::Live, &camera.id);
        // What was captured before the period may still be stored in it, for as long as the longest term.
        let first = hour_of(from - TimeDelta::days(28));
        for hour in figures.tally.camera_hours(&camera.id, first, end_hour(until))? {
            if hour.hour >= hour_of(from) {
                watched += hour.watched_us as f64 / 1e6 / HOUR_SECONDS;
                sum.recorded_hours += hour.recorded_us as f64 / 1e6 / HOUR_SECONDS;
            }
            let Some(begin) = DateTime::from_timestamp(hour.hour * 3600, 0) else { continue };
            let term = retention_term(figures.register, &camera.id, begin).unwrap_or_default();
            let (begin, end) = (begin.max(from), (begin + term).min(until));
            if begin < end {
                let days = (end - begin).as_seconds_f64() / HOUR_SECONDS / DAY_HOURS;
                sum.stored_terabyte_days += hour.bytes as f64 / TERABYTE * days;
            }
        }
    }
    sum.recorded_share = (sum.use_hours > 0.0).then(|| (sum.recorded_hours / sum.use_hours).min(1.0));
    Ok((sum, watched))
}

/// Splits the costs: of each key each municipality's part, weighed as configured. A key of which there is nothing
/// counts for nothing.
fn share(all: &mut [(MunicipalityReport, f64)], key: CostKey) {
    /// What one key measures.
    type Measure = fn(&(MunicipalityReport, f64)) -> f64;
    let keys: [(f64, Measure); 3] = [
        (key.cameras, |(m, _)| m.cameras as f64),
        (key.watched_hours, |(_, watched)| *watched),
        (key.stored_terabyte_days, |(m, _)| m.stored_terabyte_days),
    ];
    let totals: Vec<f64> = keys.iter().map(|(_, of)| all.iter().map(of).sum()).collect();
    let live = || keys.iter().zip(&totals).filter(|((weight, _), total)| *weight > 0.0 && **total > 0.0);
    let weights: f64 = live().map(|((weight, _), _)| weight).sum();
    if weights <= 0.0 {
        return;
    }
    for m in all {
        let share = live().map(|((weight, of), total)| weight / weights * of(m) / total).sum();
        m.0.cost_share = share;
    }
}

/// One line a figure: `municipality,figure,value`, so that any spreadsheet can pivot it.
pub fn csv(report: &Report) -> String {
    let mut out = String::from("municipality,from,until,figure,detail,value\r\n");
    let field = |text: &str| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let (from, until) = (report.from.to_rfc3339(), report.until.to_rfc3339());
    for m in &report.municipalities {
        let mut line = |figure: &str, detail: &str, value: String| {
            let (id, detail, value) = (field(m.id.as_str()), field(detail), field(&value));
            out.extend([&*id, &from, &until, figure, &*detail].iter().flat_map(|field| [*field, ","]));
            out.extend([&*value, "\r\n"]);
        };
        line("cameras", "", m.cameras.to_string());
        line("use_hours", "", format!("{:.2}", m.use_hours));
        line("live_hours", "", format!("{:.2}", m.live_hours));
        line("watched_hours", "", format!("{:.2}", m.watched_hours));
        line("recorded_hours", "", format!("{:.2}", m.recorded_hours));
        line("recorded_share", "", m.recorded_share.map_or_else(String::new, |s| format!("{s:.4}")));
        line("stored_terabyte_days", "", format!("{:.6}", m.stored_terabyte_days));
        line("requests", "", m.requests.to_string());
        line("disclosures", "", m.disclosures.to_string());
        m.incidents.iter().for_each(|c| line("incidents", &c.what, c.count.to_string()));
        m.refusals.iter().for_each(|c| line("refusals", &c.what, c.count.to_string()));
        line("cost_share", "", format!("{:.4}", m.cost_share));
    }
    out
}

/// One page that prints well: no script, no pictures, black on white, a table a municipality.
pub fn html(report: &Report) -> String {
    let escape = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let local = |at: DateTime<Utc>| at.with_timezone(&Amsterdam).format("%d-%m-%Y %H:%M").to_string();
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"nl\">\n<head>\n<meta charset=\"utf-8\">\n<title>Cameratoezicht: cijfers</title>\n<style>\n\
         @page { size: A4; margin: 20mm; }\n\
         body { font: 11pt/1.45 system-ui, sans-serif; color: #000; background: #fff; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }\n\
         h1 { font-size: 18pt; margin: 0 0 .2rem; } h2 { font-size: 13pt; margin: 1.6rem 0 .4rem; }\n\
         table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: normal; }\n\
         th, td { padding: .22rem .4rem; border-bottom: 1px solid #bbb; } td { text-align: right; font-variant-numeric: tabular-nums; }\n\
         section { break-inside: avoid; } .note { color: #333; font-size: 9.5pt; } .demo { border: 2px solid #000; padding: .3rem .6rem; }\n\
         @media print { body { margin: 0; padding: 0; max-width: none; } }\n\
         </style>\n</head>\n<body>\n",
    );
    let mut put = |text: String| out.push_str(&text);
    put(format!(
        "<h1>Cameratoezicht: cijfers</h1>\n<p>{} – {} <span class=\"note\">(opgemaakt {})</span></p>\n",
        local(report.from),
        local(report.until),
        local(report.made_at)
    ));
    if report.demo {
        put("<p class=\"demo\">Demonstratie: de besluiten hieronder zijn verzonnen.</p>\n".to_owned());
    }
    for m in &report.municipalities {
        put(format!("<section>\n<h2>{}</h2>\n<table>\n", escape(&m.name)));
        let mut row = |name: &str, value: String| {
            put(format!("<tr><th>{}</th><td>{}</td></tr>\n", escape(name), escape(&value)));
        };
        row("Camera's in gebruik", m.cameras.to_string());
        row("Uren gebruik (alle camera's samen)", format!("{:.1}", m.use_hours));
        row("Uren waarin uitkijken was toegestaan", format!("{:.1}", m.live_hours));
        row("Uren waarin is uitgekeken", format!("{:.1}", m.watched_hours));
        row("Uren opgenomen", format!("{:.1}", m.recorded_hours));
        row(
            "Opgenomen deel van het gebruik",
            m.recorded_share.map_or_else(|| "–".to_owned(), |s| format!("{:.1} %", s * 100.0)),
        );
        row("Opslag (terabyte × dagen)", format!("{:.3}", m.stored_terabyte_days));
        for c in &m.incidents {
            row(&format!("Incidenten: {}", incident_word(&c.what)), c.count.to_string());
        }
        row("Beeldaanvragen", m.requests.to_string());
        row("Verstrekkingen", m.disclosures.to_string());
        for c in &m.refusals {
            row(&format!("Weigeringen: {}", refusal_word(&c.what)), c.count.to_string());
        }
        row("Aandeel in de kosten", format!("{:.1} %", m.cost_share * 100.0));
        put("</table>\n</section>\n".to_owned());
    }
    put(format!(
        "<p class=\"note\">Kostensleutel: camera's {}, uren uitgekeken {}, terabyte × dagen {}. Kleine aantallen staan er als \
         “&lt;n”. De cijfers komen uit het besluitenregister, het incidentenregister en tellers zonder personen; het \
         logboek is er niet voor gebruikt (Wpg 22 en 32a).</p>\n</body>\n</html>\n",
        report.cost_key.cameras, report.cost_key.watched_hours, report.cost_key.stored_terabyte_days
    ));
    out
}

fn incident_word(word: &str) -> &str {
    match word {
        "fight" => "vechtpartij",
        "nuisance" => "overlast",
        "vandalism" => "vernieling",
        "theft" => "diefstal of beroving",
        "medical" => "onwel",
        "traffic" => "verkeer",
        "drugs" => "drugs",
        "crowd" => "drukte",
        "other" => "overig",
        other => other,
    }
}

/// The law's own sentence for a code.
fn refusal_word(code: &str) -> String {
    let known: Result<mandate::ReasonCode, _> =
        serde_json::from_value(serde_json::Value::String(code.to_owned()));
    known.map_or_else(|_| code.to_owned(), |code| code.sentence().0.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock as _, ManualClock},
        tally::CameraHour,
        testing::{FakeLog, journal},
    };
    use protocol::api::{IncidentCategory, IncidentSource, NewIncident};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Somebody asks for footage of C1.
    fn request(exports: &Exports, now: DateTime<Utc>) {
        let new = evidence::NewFootageRequest {
            cameras: vec!["C1".into()],
            from: now - TimeDelta::minutes(5),
            until: now,
            purpose: mandate::Purpose::Investigation,
            offence_ref: Some("Sr 300".to_owned()),
            case_number: None,
            description: None,
            recipient: None,
            recipient_kind: mandate::RecipientKind::Police,
        };
        exports.add("bert".into(), now, new).unwrap();
    }

    #[tokio::test]
    async fn a_report_counts_hours_and_hides_small_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(at("2026-06-14T20:00:00Z"));
        let journal = journal(folder.path(), &FakeLog::new(&clock), &clock).await;
        let tally = Tally::open(&folder.path().join("tally.sqlite")).unwrap();
        let incidents = Incidents::open(&folder.path().join("incidents.sqlite")).unwrap();
        let (from, until) = (at("2026-06-13T00:00:00Z"), at("2026-06-14T00:00:00Z"));
        for number in 0..7 {
            let category = if number < 6 { IncidentCategory::Fight } else { IncidentCategory::Drugs };
            let new = NewIncident {
                at: from,
                cameras: vec!["C1".into()],
                category,
                note: String::new(),
                source: IncidentSource::Own,
                instruction: None,
                quick: false,
                outside_number: None,
            };
            incidents.mark(&new, &"anna".into()).unwrap();
        }
        let hour = CameraHour {
            hour: hour_of(from),
            watched_us: 1_800_000_000,
            viewer_us: 3_600_000_000,
            recorded_us: 3_600_000_000,
            bytes: 1_000_000_000_000,
        };
        // One request in two pieces: the gate was asked twice, and it is one.
        let acts = [((Some("enschede".into()), "request_export".to_owned(), "permit".to_owned()), 2)].into();
        tally.add(&[("C1".into(), hour)], &acts, hour_of(from)).unwrap();
        let exports = Exports::open(&folder.path().join("requests.sqlite")).unwrap();
        request(&exports, from);
        let snapshot = journal.snapshot();
        let figures = Figures {
            register: &snapshot.register,
            facts: &snapshot.facts,
            tally: &tally,
            incidents: &incidents,
            exports: &exports,
            settings: settings::ReportSettings::default(),
            demo: true,
        };
        let report = make(&figures, from, until, clock.now(), &["enschede".into()]).unwrap();
        let m = &report.municipalities[0];
        assert_eq!(m.cameras, 1);
        assert!((m.use_hours - 24.0).abs() < 1e-9, "{}", m.use_hours);
        // 21:00 to 06:00 in Amsterdam: until 04:00 and from 19:00 UTC.
        assert!((m.live_hours - 9.0).abs() < 1e-9, "{}", m.live_hours);
        assert_eq!(m.watched_hours, Hours::Fewer { fewer_than: 5 }, "half an hour could be about somebody");
        assert!((m.recorded_hours - 1.0).abs() < 1e-9);
        assert!((m.stored_terabyte_days - 1.0).abs() < 1e-9, "{}", m.stored_terabyte_days);
        assert!((m.cost_share - 1.0).abs() < 1e-9);
        assert_eq!(m.requests, Figure::Fewer { fewer_than: 5 });
        assert_eq!(
            m.incidents,
            [
                Counted { what: "drugs".to_owned(), count: Figure::Fewer { fewer_than: 5 } },
                Counted { what: "fight".to_owned(), count: Figure::Exact(6) },
            ]
        );
        let settings = settings::ReportSettings { smallest_count: 0, ..settings::ReportSettings::default() };
        let exact = Figures { settings, ..figures };
        let m =
            make(&exact, from, until, clock.now(), &["enschede".into()]).unwrap().municipalities.remove(0);
        assert_eq!((m.requests, m.disclosures), (Figure::Exact(1), Figure::Exact(0)));
        let approve = |request: &mut FootageRequest| request.approve("bert".into(), from, until, Vec::new());
        exports.change(&"1".into(), approve).unwrap();
        let m =
            make(&exact, from, until, clock.now(), &["enschede".into()]).unwrap().municipalities.remove(0);
        assert_eq!((m.requests, m.disclosures), (Figure::Exact(1), Figure::Exact(1)));
        let (csv, html) = (csv(&report), html(&report));
        assert!(
            csv.contains("enschede,") && csv.contains("incidents,fight,6") && csv.contains("requests,,<5")
        );
        assert!(html.contains("Enschede") && html.contains("&lt;5"));
        for text in [&csv, &html] {
            assert!(!text.contains("anna"), "a person stands in a report");
        }
        assert!(make(&exact, from, until, clock.now(), &[]).unwrap().municipalities.is_empty());
    }

    /// A mask is verified again each year: what was used and watched before stays in the report.
    #[tokio::test]
    async fn a_mask_that_is_verified_again_erases_no_hours() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(at("2026-06-01T00:00:00Z"));
        let journal = journal(folder.path(), &FakeLog::new(&clock), &clock).await;
        let tally = Tally::open(&folder.path().join("tally.sqlite")).unwrap();
        let incidents = Incidents::open(&folder.path().join("incidents.sqlite")).unwrap();
        let exports = Exports::open(&folder.path().join("requests.sqlite")).unwrap();
        let verified = at("2026-06-13T12:00:00Z");
        clock.set(verified);
        let mask = serde_json::json!({ "kind": "mask", "id": "C1-M", "position": "C1-P", "verified_at": verified,
            "verified_by": "bert" });
        let mask: FactBody = serde_json::from_value(mask).unwrap();
        journal.record(mask, crate::journal::Provenance::default()).await.unwrap();
        clock.set(at("2026-06-15T00:00:00Z"));
        let snapshot = journal.snapshot();
        let figures = Figures {
            register: &snapshot.register,
            facts: &snapshot.facts,
            tally: &tally,
            incidents: &incidents,
            exports: &exports,
            settings: settings::ReportSettings::default(),
            demo: true,
        };
        for (from, until, used) in [
            ("2026-06-13T00:00:00Z", "2026-06-14T00:00:00Z", 24.0),
            ("2026-06-12T00:00:00Z", "2026-06-13T00:00:00Z", 24.0),
            ("2026-06-14T00:00:00Z", "2026-06-15T00:00:00Z", 24.0),
        ] {
            let report = make(&figures, at(from), at(until), clock.now(), &["enschede".into()]).unwrap();
            let m = &report.municipalities[0];
            assert!((m.use_hours - used).abs() < 1e-9, "{from}: {}", m.use_hours);
            assert!((m.live_hours - 9.0).abs() < 1e-9, "{from}: {}", m.live_hours);
        }
    }

    #[tokio::test]
    async fn an_hour_counts_in_one_of_two_periods_that_touch() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(at("2026-06-20T20:00:00Z"));
        let journal = journal(folder.path(), &FakeLog::new(&clock), &clock).await;
        let tally = Tally::open(&folder.path().join("tally.sqlite")).unwrap();
        let incidents = Incidents::open(&folder.path().join("incidents.sqlite")).unwrap();
        let (from, middle, until) =
            (at("2026-06-13T00:00:00Z"), at("2026-06-14T00:00:00Z"), at("2026-06-15T00:00:00Z"));
        let full = 3_600_000_000;
        let exports = Exports::open(&folder.path().join("requests.sqlite")).unwrap();
        for hour in hour_of(from)..hour_of(until) {
            let counted =
                CameraHour { hour, watched_us: full, viewer_us: full, recorded_us: full, bytes: 1_000_000 };
            tally.add(&[("C1".into(), counted)], &[].into(), hour).unwrap();
            request(&exports, DateTime::from_timestamp(hour * 3600, 0).unwrap());
        }
        let snapshot = journal.snapshot();
        let settings = settings::ReportSettings::default();
        let figures = Figures {
            register: &snapshot.register,
            facts: &snapshot.facts,
            tally: &tally,
            incidents: &incidents,
            exports: &exports,
            settings,
            demo: true,
        };
        let of = |from, until| {
            let report = make(&figures, from, until, clock.now(), &["enschede".into()]).unwrap();
            let m = report.municipalities[0].clone();
            (m.recorded_hours, m.watched_hours, m.requests)
        };
        assert_eq!(of(from, middle), (24.0, Hours::Exact(24.0), Figure::Exact(24)));
        assert_eq!(of(middle, until), (24.0, Hours::Exact(24.0), Figure::Exact(24)));
        assert_eq!(of(from, until), (48.0, Hours::Exact(48.0), Figure::Exact(48)));
    }
}
