//! References between facts, and values that cannot be meant. The law itself is not checked here: a decree that gives no
//! permit is lawful configuration.

use crate::{
    error::{Mistake, SettingsError},
    facts::FactFile,
};
use mandate::FactBody;
use std::collections::{BTreeMap, HashSet};

/// The ids of one kind that exist, over all files.
struct Known<'a> {
    what: &'static str,
    ids: HashSet<&'a str>,
}

impl Known<'_> {
    fn require(&self, file: &FactFile, key: &str, id: &str, out: &mut Vec<Mistake>) {
        if self.ids.contains(id) {
            return;
        }
        let nearest = self
            .ids
            .iter()
            .max_by(|a, b| strsim::jaro_winkler(id, a).total_cmp(&strsim::jaro_winkler(id, b)))
            .map_or_else(
                || format!("no {} is configured", self.what),
                |near| format!("the nearest is `{near}`"),
            );
        out.push(file.mistake(key, id, format!("there is no {} `{id}`; {nearest}", self.what)));
    }
}

macro_rules! known {
    ($files:expr, $also:expr, $what:literal, $table:ident, $kind:ident) => {
        Known {
            what: $what,
            ids: $files
                .iter()
                .flat_map(|f| f.tables.$table.iter())
                .map(|x| x.id.as_str())
                .chain($also.iter().filter_map(|body| match body {
                    FactBody::$kind(x) => Some(x.id.as_str()),
                    _ => None,
                }))
                .collect(),
        }
    };
}

/// References may lead to facts of the files or to those that are known `also`.
///
/// # Errors
/// Every broken reference, doubled id and impossible value of all files.
pub(crate) fn check(files: &[FactFile], also: &[FactBody]) -> Result<(), SettingsError> {
    let municipalities = known!(files, also, "municipality", municipality, Municipality);
    let organisations = known!(files, also, "organisation", organisation, Organisation);
    let agreements = known!(files, also, "agreement", agreement, Agreement);
    let persons = known!(files, also, "person", person, Person);
    let ordinances = known!(files, also, "ordinance", ordinance, Ordinance);
    let decrees = known!(files, also, "decree", decree, Decree);
    let areas = known!(files, also, "area", area, Area);
    let consultations = known!(files, also, "consultation", consultation, Consultation);
    let cameras = known!(files, also, "camera", camera, Camera);
    let positions = known!(files, also, "position", position, Position);

    let mut out = Vec::new();
    for f in files {
        let t = &f.tables;
        for x in &t.agreement {
            x.parties.iter().for_each(|p| organisations.require(f, "parties", p.as_str(), &mut out));
            x.parent.iter().for_each(|p| agreements.require(f, "parent", p.as_str(), &mut out));
        }
        for x in &t.person {
            organisations.require(f, "organisation", x.organisation.as_str(), &mut out);
        }
        for x in &t.authorisation {
            persons.require(f, "person", x.person.as_str(), &mut out);
            x.municipalities
                .iter()
                .for_each(|m| municipalities.require(f, "municipalities", m.as_str(), &mut out));
            order(f, x.id.as_str(), x.from < x.until, "`from` must lie before `until`", &mut out);
        }
        for x in &t.shift {
            persons.require(f, "person", x.person.as_str(), &mut out);
            order(f, x.id.as_str(), x.from < x.until, "`from` must lie before `until`", &mut out);
        }
        for x in &t.maintenance {
            persons.require(f, "person", x.person.as_str(), &mut out);
            persons.require(f, "witness", x.witness.as_str(), &mut out);
            order(f, x.id.as_str(), x.from < x.until, "`from` must lie before `until`", &mut out);
        }
        for x in &t.ordinance {
            municipalities.require(f, "municipality", x.municipality.as_str(), &mut out);
        }
        for x in &t.decree {
            municipalities.require(f, "municipality", x.municipality.as_str(), &mut out);
            ordinances.require(f, "ordinance", x.ordinance.as_str(), &mut out);
            order(
                f,
                x.id.as_str(),
                x.valid_from < x.valid_until,
                "`valid_from` must lie before `valid_until`",
                &mut out,
            );
            if !(1..=28).contains(&x.retention_days) {
                let message = format!(
                    "decree `{}` keeps footage for {} days; write 1 to 28 (Gemeentewet 151c lid 9)",
                    x.id, x.retention_days
                );
                out.push(f.mistake("retention_days", &x.retention_days.to_string(), message));
            }
        }
        for x in &t.area {
            decrees.require(f, "decree", x.decree.as_str(), &mut out);
            let rings = x.polygons.iter().flatten();
            order(f, x.id.as_str(), !x.polygons.is_empty(), "an area needs at least one polygon", &mut out);
            for ring in rings {
                order(f, x.id.as_str(), ring.len() >= 3, "a ring needs at least three points", &mut out);
                order(f, x.id.as_str(), ring.iter().all(|p| on_earth(*p)), POINT, &mut out);
            }
        }
        for x in &t.extension {
            decrees.require(f, "decree", x.decree.as_str(), &mut out);
        }
        for x in &t.revocation {
            decrees.require(f, "decree", x.decree.as_str(), &mut out);
        }
        for x in &t.consultation {
            municipalities.require(f, "municipality", x.municipality.as_str(), &mut out);
        }
        for x in &t.period {
            decrees.require(f, "decree", x.decree.as_str(), &mut out);
            x.consultation
                .iter()
                .for_each(|c| consultations.require(f, "consultation", c.as_str(), &mut out));
        }
        for x in &t.extra_window {
            decrees.require(f, "decree", x.decree.as_str(), &mut out);
            x.area.iter().for_each(|a| areas.require(f, "area", a.as_str(), &mut out));
            x.consultation
                .iter()
                .for_each(|c| consultations.require(f, "consultation", c.as_str(), &mut out));
        }
        for x in &t.signage {
            areas.require(f, "area", x.area.as_str(), &mut out);
        }
        for x in &t.camera {
            municipalities.require(f, "municipality", x.municipality.as_str(), &mut out);
        }
        for x in &t.position {
            cameras.require(f, "camera", x.camera.as_str(), &mut out);
            order(f, x.id.as_str(), on_earth(x.point), POINT, &mut out);
        }
        for x in &t.mask {
            positions.require(f, "position", x.position.as_str(), &mut out);
            x.verified_by.iter().for_each(|p| persons.require(f, "verified_by", p.as_str(), &mut out));
        }
        for x in &t.stream {
            cameras.require(f, "camera", x.camera.as_str(), &mut out);
        }
    }
    doubles(files, &mut out);
    if out.is_empty() { Ok(()) } else { Err(SettingsError::Wrong(out)) }
}

const POINT: &str = "a point is [longitude, latitude] in degrees, WGS 84";

fn on_earth([longitude, latitude]: [f64; 2]) -> bool {
    (-180.0..=180.0).contains(&longitude) && (-90.0..=90.0).contains(&latitude)
}

fn order(file: &FactFile, id: &str, holds: bool, message: &str, out: &mut Vec<Mistake>) {
    if !holds {
        out.push(file.mistake("id", id, format!("`{id}`: {message}")));
    }
}

/// Ids and camera numbers that stand twice.
fn doubles(files: &[FactFile], out: &mut Vec<Mistake>) {
    let mut seen = HashSet::new();
    let mut numbers: BTreeMap<u32, &str> = BTreeMap::new();
    for f in files {
        let t = &f.tables;
        let ids = (t.decree.iter().map(|x| ("decree", x.id.as_str())))
            .chain(t.camera.iter().map(|x| ("camera", x.id.as_str())))
            .chain(t.person.iter().map(|x| ("person", x.id.as_str())))
            .chain(t.area.iter().map(|x| ("area", x.id.as_str())))
            .chain(t.period.iter().map(|x| ("period", x.id.as_str())))
            .chain(t.position.iter().map(|x| ("position", x.id.as_str())))
            .chain(t.stream.iter().map(|x| ("stream of camera", x.camera.as_str())));
        for (what, id) in ids {
            if !seen.insert((what, id)) {
                out.push(f.mistake("id", id, format!("the {what} `{id}` stands twice; give each its own")));
            }
        }
        for camera in &t.camera {
            if let Some(other) = numbers.insert(camera.number, camera.id.as_str()) {
                let message =
                    format!("cameras `{other}` and `{}` both have number {}", camera.id, camera.number);
                out.push(f.mistake("id", camera.id.as_str(), message));
            }
        }
    }
}
