//! Ordinances, decrees, areas, extensions and revocations (Gemeentewet 151c lid 1, 2 and 5; Awb 3:40-3:42).

use super::{Look, periods::opens};
use crate::{
    facts::{Area, DecidedBy, Decree, Extension, FactBody, LiveOutsideWindow, Ordinance, Revocation, Ring},
    geometry,
    grounds::competent,
    ids::{DecreeId, OrdinanceId},
    policy::MAXIMUM_RETENTION_DAYS,
    windows,
};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// The longest that anybody means by a "definite duration" (151c lid 1); longer is a typing error.
const LONGEST_YEARS: i64 = 20;

pub(super) fn has(text: Option<&String>) -> bool {
    text.is_some_and(|text| !text.trim().is_empty())
}

impl<'a> Look<'a> {
    pub(super) fn ordinance(&mut self, f: &Ordinance) {
        self.known_municipality("municipality", &f.municipality);
        self.said(&f.provision, "provision");
        self.ordered(f.in_force_from, f.in_force_until, "in_force_until");
        self.need(
            f.max_duration_months != Some(0),
            "max_duration_months",
            "Gemeentewet 151c lid 1",
            (
                "nul maanden laat geen enkel besluit toe; laat het weg of noem de maanden",
                "zero months allow no decree at all; leave it out or name the months",
            ),
        );
        self.expect(
            f.grants_power,
            "grants_power",
            "Gemeentewet 151c lid 1",
            (
                "deze verordening geeft de burgemeester de bevoegdheid niet: geen besluit kan \
                 erop rusten",
                "this ordinance does not give the mayor the power: no decree can rest on it",
            ),
        );
    }

    pub(super) fn decree(&mut self, f: &Decree) {
        self.known_municipality("municipality", &f.municipality);
        self.need(
            competent(&f.decided_by),
            "decided_by",
            "Gemeentewet 151c lid 2",
            (
                "alleen de burgemeester (of wie namens hem mag) wijst aan; schrijf `mayor` of \
             `mayor_mandated`",
                "only the mayor (or who may on his behalf) designates; write `mayor` or \
             `mayor_mandated`",
            ),
        );
        let capacity = f.decided_by != DecidedBy::MayorMandated || has(f.capacity.as_ref());
        self.expect(
            capacity,
            "capacity",
            "Gemeentewet 177",
            ("noem wie tekende en in welke hoedanigheid", "name who signed and in what capacity"),
        );
        self.ordered(f.valid_from, Some(f.valid_until), "valid_until");
        self.need(
            (f.valid_until - f.valid_from).num_days() <= 366 * LONGEST_YEARS,
            "valid_until",
            "Gemeentewet 151c lid 1",
            (
                "dit is geen bepaalde duur; controleer het jaartal",
                "this is no definite duration; check the year",
            ),
        );
        match f.published_at {
            None => self.need(
                false,
                "published_at",
                "Awb 3:40",
                (
                    "zonder bekendmaking werkt een besluit niet; leg het vast als het \
                     bekendgemaakt is",
                    "a decree has no effect before its publication; enter it when it is published",
                ),
            ),
            Some(published_at) => {
                self.need(
                    published_at <= f.valid_from,
                    "valid_from",
                    "Awb 3:40",
                    (
                        "een besluit begint niet vóór zijn bekendmaking; zet het begin op of na de \
                     bekendmaking",
                        "a decree does not start before its publication; let it start then or later",
                    ),
                );
                self.need(
                    f.signed_at.is_none_or(|signed_at| signed_at <= published_at),
                    "signed_at",
                    "Awb 3:41",
                    (
                        "bekendgemaakt wordt wat getekend is; controleer de datums",
                        "what is published has been signed; check the dates",
                    ),
                );
                self.past(f.published_at, "published_at");
            }
        }
        self.expect(
            has(f.publication_ref.as_ref()),
            "publication_ref",
            "Awb 3:42",
            ("noem waar het bekendgemaakt is", "name where it was published"),
        );
        self.expect(
            has(f.necessity.as_ref()),
            "necessity",
            "Gemeentewet 151c lid 2",
            (
                "de noodzaak per gebied hoort in het register",
                "the necessity for each area belongs in the register",
            ),
        );
        self.need(
            (1..=MAXIMUM_RETENTION_DAYS).contains(&f.retention_days),
            "retention_days",
            "Gemeentewet 151c lid 9",
            ("beelden worden 1 tot 28 dagen bewaard", "footage is kept for 1 to 28 days"),
        );
        self.expect(
            f.live_outside_window != LiveOutsideWindow::Free,
            "live_outside_window",
            "Wpg 4b",
            (
                "vrij meekijken buiten de uitkijktijden is het minst terughoudend; kan \
             `police_incident` of `never` ook?",
                "free viewing outside the live windows is the most intrusive choice; would \
             `police_incident` or `never` do?",
            ),
        );
        let reviewed = f.review_at.is_some_and(|at| f.valid_from < at && at <= f.valid_until);
        self.expect(
            reviewed,
            "review_at",
            "Gemeentewet 151c lid 5",
            (
                "noem een moment binnen de looptijd waarop bekeken wordt of het nog nodig is",
                "name an instant inside its duration at which it is reviewed whether it is still \
                 needed",
            ),
        );
        self.decree_on_ordinance(f);
        if let Some(FactBody::Decree(earlier)) = self.earlier() {
            self.need(
                earlier.municipality == f.municipality,
                "municipality",
                "Gemeentewet 151c lid 2",
                ("een besluit verandert niet van gemeente", "a decree does not change its municipality"),
            );
            // What was published is what holds (Awb 3:40): a later end is published as an extension, or, of a decree that has
            // not begun, with the decree again.
            let begun = self.at.is_none_or(|at| earlier.valid_from <= at);
            let published_again = earlier.published_at < f.published_at;
            self.need(
                f.valid_until <= earlier.valid_until || (published_again && !begun),
                "valid_until",
                "Awb 3:40",
                (
                    "een later einde is een verlenging: leg een verlenging vast, met haar bekendmaking",
                    "a later end is an extension: enter an extension, with its publication",
                ),
            );
            self.need(
                !begun || opens(f.live_outside_window) <= opens(earlier.live_outside_window),
                "live_outside_window",
                "Gemeentewet 151c lid 3",
                (
                    "dit opent lopende periodes verder dan waarover is overlegd; leg een nieuwe periode vast die dit zelf \
                     noemt, met een eigen overleg",
                    "this opens running periods further than what was consulted about; enter a new period that says it \
                     itself, with its own consultation",
                ),
            );
        }
    }

    fn decree_on_ordinance(&mut self, f: &Decree) {
        let Some(ordinance) = self.ordinance_of(&f.ordinance) else {
            self.known(false, "ordinance", f.ordinance.as_str());
            return;
        };
        let carries = ordinance.grants_power
            && ordinance.municipality == f.municipality
            && ordinance.in_force_from <= f.valid_from
            && ordinance.in_force_until.is_none_or(|until| f.valid_from < until);
        self.need(
            carries,
            "ordinance",
            "Gemeentewet 151c lid 1",
            (
                "deze verordening draagt het besluit niet: zij is van een andere gemeente, geeft de \
             bevoegdheid niet of geldt dan niet",
                "this ordinance does not carry the decree: it is another municipality's, gives no \
             power or is not in force then",
            ),
        );
        self.expect(
            ordinance.in_force_until.is_none_or(|until| f.valid_until <= until),
            "valid_until",
            "Gemeentewet 151c lid 1",
            (
                "de verordening eindigt eerder; dan houdt ook het besluit op te werken",
                "the ordinance ends earlier; the decree stops working then",
            ),
        );
        self.need(
            longest(ordinance, f.valid_from).is_none_or(|end| f.valid_until <= end),
            "valid_until",
            "Gemeentewet 151c lid 2",
            (
                "de verordening laat zo'n lange duur niet toe; kies een eerder einde",
                "the ordinance does not allow such a duration; choose an earlier end",
            ),
        );
    }

    pub(super) fn area(&mut self, f: &Area) {
        self.said(&f.name, "name");
        let rings = f.polygons.iter().flatten();
        let shaped = !f.polygons.is_empty() && f.polygons.iter().all(|rings| !rings.is_empty());
        self.need(
            shaped && rings.clone().all(is_ring),
            "polygons",
            "Gemeentewet 151c lid 2",
            (
                "een gebied heeft ten minste één omtrek van drie verschillende punten [lengte, \
             breedte] in graden",
                "an area has at least one outline of three different points [longitude, latitude] in \
             degrees",
            ),
        );
        self.expect(
            has(f.reasoning.as_ref()),
            "reasoning",
            "Gemeentewet 151c lid 2",
            ("de noodzaak hoort bij elk gebied", "each area needs its reasons"),
        );
        let Some(decree) = self.with.decree(&f.decree) else {
            self.known(false, "decree", f.decree.as_str());
            return;
        };
        let named =
            self.ordinance_of(&decree.ordinance).is_some_and(|o| o.place_kinds.contains(&f.place_kind));
        self.need(
            f.place_kind == "public_place" || named,
            "place_kind",
            "Gemeentewet 151c lid 1",
            (
                "schrijf `public_place`, of een soort plaats die de verordening noemt",
                "write `public_place`, or a kind of place that the ordinance names",
            ),
        );
        self.need(
            !self.in_use(&f.decree) || self.designated(f),
            "polygons",
            "Awb 3:40",
            (
                "dit besluit wordt al gebruikt en wijst niet dit hele gebied aan; neem een nieuw besluit en maak het bekend",
                "this decree is in use already and does not designate all of this area; take a new decree and publish it",
            ),
        );
        if let Some(FactBody::Area(earlier)) = self.earlier() {
            self.need(
                earlier.decree == f.decree,
                "decree",
                "Gemeentewet 151c lid 2",
                (
                    "een gebied hoort bij één besluit; geef het gebied van een nieuw besluit een \
                     eigen naam",
                    "an area belongs to one decree; give the area of a new decree a name of its \
                     own",
                ),
            );
            self.expect(
                earlier.polygons == f.polygons,
                "polygons",
                "Gemeentewet 151c lid 2",
                (
                    "een ander gebied vraagt een nieuw besluit; verbeter hier alleen een tekenfout",
                    "another area takes a new decree; correct nothing but a drawing error here",
                ),
            );
        }
    }

    pub(super) fn extension(&mut self, f: &Extension) {
        let Some(decree) = self.with.decree(&f.decree) else {
            self.known(false, "decree", f.decree.as_str());
            return;
        };
        let earlier = self.others().filter_map(|body| match body {
            FactBody::Extension(other) if other.decree == f.decree && other.number < f.number => Some(other),
            _ => None,
        });
        let (count, end) =
            earlier.fold((0, decree.valid_until), |(n, end), e| (n + 1, end.max(e.valid_until)));
        self.need(
            f.number == count + 1,
            "number",
            "policy",
            ("verlengingen worden doorgenummerd vanaf 1", "extensions are numbered in order from 1"),
        );
        self.need(
            end < f.valid_until,
            "valid_until",
            "Gemeentewet 151c lid 2",
            (
                "een verlenging eindigt later dan wat zij verlengt",
                "an extension ends later than what it extends",
            ),
        );
        if let Some(FactBody::Extension(earlier)) = self.earlier() {
            self.need(
                f.valid_until <= earlier.valid_until,
                "valid_until",
                "Awb 3:40",
                (
                    "een later einde is een nieuwe verlenging: leg de volgende vast, met haar bekendmaking",
                    "a later end is another extension: enter the next one, with its publication",
                ),
            );
        }
        let limit = self.ordinance_of(&decree.ordinance).and_then(|o| longest(o, decree.valid_from));
        self.need(
            limit.is_none_or(|limit| f.valid_until <= limit),
            "valid_until",
            "Gemeentewet 151c lid 2",
            (
                "met deze verlenging duurt het besluit langer dan de verordening toestaat; neem een \
             nieuw besluit",
                "with this extension the decree lasts longer than the ordinance allows; take a new \
             decree",
            ),
        );
        self.need(
            self.revocation_of(&f.decree).is_none(),
            "decree",
            "Gemeentewet 151c lid 5",
            (
                "dit besluit is ingetrokken; neem een nieuw besluit",
                "this decree was revoked; take a new decree",
            ),
        );
        match f.published_at {
            None => self.need(
                false,
                "published_at",
                "Awb 3:40",
                (
                    "zonder bekendmaking werkt een verlenging niet",
                    "an extension has no effect before its publication",
                ),
            ),
            Some(published_at) => {
                self.past(f.published_at, "published_at");
                let nl = format!(
                    "te laat bekendgemaakt: van {end} tot {published_at} is er geen basis, ook \
                     achteraf niet"
                );
                let en = format!(
                    "published too late: from {end} until {published_at} there is no basis, nor \
                     afterwards"
                );
                self.expect(published_at <= end, "published_at", "Awb 3:40", (&nl, &en));
            }
        }
        self.expect(
            has(f.evaluation_ref.as_ref()),
            "evaluation_ref",
            "Gemeentewet 151c lid 5",
            (
                "noem de evaluatie waarop de verlenging rust",
                "name the evaluation on which the extension rests",
            ),
        );
    }

    pub(super) fn revocation(&mut self, f: &Revocation) {
        let Some(decree) = self.with.decree(&f.decree) else {
            self.known(false, "decree", f.decree.as_str());
            return;
        };
        let end = self.with.decree_end(&f.decree).unwrap_or(decree.valid_until);
        self.expect(
            f.revoked_from < end,
            "revoked_from",
            "Gemeentewet 151c lid 5",
            ("het besluit is dan al afgelopen", "the decree has ended by then"),
        );
        if let (Some(FactBody::Revocation(earlier)), Some(at)) = (self.earlier(), self.at) {
            // What was entered with a wrong date is corrected, but from its entry on nothing was lawful and nothing becomes it.
            let entered_at = self.earlier_known_from().unwrap_or(earlier.revoked_from);
            let stays = at < earlier.revoked_from || f.revoked_from <= earlier.revoked_from.max(entered_at);
            self.need(
                stays,
                "revoked_from",
                "Gemeentewet 151c lid 5",
                (
                    "deze intrekking werkt al en kan niet later ingaan dan zij is vastgelegd; wie weer wil uitkijken, \
                     neemt een nieuw besluit",
                    "this revocation has taken effect and cannot begin later than it was entered; to watch again, take a \
                     new decree",
                ),
            );
        }
        self.expect(
            self.at.is_none_or(|at| at <= f.revoked_from),
            "revoked_from",
            "Gemeentewet 151c lid 5",
            (
                "dit ligt in het verleden: beelden van daarna blijken zonder basis opgenomen en gaan \
             in quarantaine; dat vraagt een tweede persoon, dus trek eerst vanaf nu in als er nog \
             wordt gekeken",
                "this lies in the past: footage since then turns out to be recorded without a basis \
             and is quarantined; that takes a second person, so first revoke from now on if anybody \
             still watches",
            ),
        );
        self.expect(
            has(f.reason.as_ref()),
            "reason",
            "Gemeentewet 151c lid 5",
            ("noem de reden", "name the reason"),
        );
    }

    /// Whether a period, or an event or emergency window, of a decree had begun before this was entered. Until then its areas are
    /// still being recorded, also those of a decree that is entered late.
    fn in_use(&self, id: &DecreeId) -> bool {
        let Some(at) = self.at else { return false };
        self.before.grounds().decree(id).is_some_and(|ground| {
            ground.periods.iter().any(|p| p.period.effective_from <= at)
                || ground.extras.iter().any(|e| e.extra.from <= at)
        })
    }

    /// Whether the areas of its decree, as the register has them, hold all of this one: what was published is what holds.
    fn designated(&self, f: &Area) -> bool {
        let known: Vec<_> = self.before.grounds().decree(&f.decree).map_or_else(Vec::new, |ground| {
            ground.areas.iter().flat_map(|a| a.area.polygons.iter().cloned()).collect()
        });
        geometry::covers(&known, &f.polygons)
    }

    fn ordinance_of(&self, id: &OrdinanceId) -> Option<&'a Ordinance> {
        self.with.facts().iter().find_map(|fact| match &fact.body {
            FactBody::Ordinance(ordinance) if ordinance.id == *id => Some(ordinance),
            _ => None,
        })
    }

    fn revocation_of(&self, id: &DecreeId) -> Option<&'a Revocation> {
        self.with.facts().iter().find_map(|fact| match &fact.body {
            FactBody::Revocation(revocation) if revocation.decree == *id => Some(revocation),
            _ => None,
        })
    }
}

/// The latest end that an ordinance lets a decree have.
fn longest(ordinance: &Ordinance, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
    ordinance.max_duration_months.and_then(|months| windows::months_later(from, months))
}

/// At least three different points on earth, so that it encloses something.
fn is_ring(ring: &Ring) -> bool {
    let on_earth = |[x, y]: [f64; 2]| (-180.0..=180.0).contains(&x) && (-90.0..=90.0).contains(&y);
    let points: BTreeSet<[u64; 2]> = ring.iter().map(|[x, y]| [x.to_bits(), y.to_bits()]).collect();
    ring.iter().all(|point| on_earth(*point)) && points.len() >= 3
}
