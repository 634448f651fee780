//! Consultations, periods, and event and emergency windows (Gemeentewet 151c lid 3).

use super::{Look, decrees::has};
use crate::{
    facts::{Consultation, ExtraKind, ExtraWindow, FactBody, LiveOutsideWindow, Period, Use, WeeklyWindow},
    grounds::competent,
    ids::{AreaId, ConsultationId, DecreeId, MunicipalityId},
    outlook::{Interval, union, without},
    windows,
};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// A year with both changes of the clock.
const YEAR: chrono::Days = chrono::Days::new(370);

/// When windows are open between two instants.
fn spans(windows: &[WeeklyWindow], from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Interval> {
    let windows: Vec<(WeeklyWindow, ())> = windows.iter().map(|w| (w.clone(), ())).collect();
    let spans = windows::compile(&windows, from, until);
    union(spans.into_iter().map(|span| Interval { from: span.from, until: span.until }).collect())
}

/// How far viewing outside the live windows opens: the higher, the further.
pub(super) fn opens(outside: LiveOutsideWindow) -> u8 {
    match outside {
        LiveOutsideWindow::Never => 0,
        LiveOutsideWindow::PoliceIncident => 1,
        LiveOutsideWindow::Free => 2,
    }
}

/// When a period is used between two instants.
fn used(period: &Period, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Interval> {
    let from = from.max(period.effective_from);
    let until = period.effective_until.map_or(until, |end| end.min(until));
    match &period.used {
        _ if until <= from => Vec::new(),
        Use::Continuous => vec![Interval { from, until }],
        Use::Weekly { windows } => clipped(spans(windows, from, until), from, until),
    }
}

/// The parts between two instants.
fn clipped(intervals: Vec<Interval>, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Interval> {
    let parts = intervals.into_iter().map(|i| Interval { from: i.from.max(from), until: i.until.min(until) });
    parts.filter(|part| part.from < part.until).collect()
}

impl Look<'_> {
    pub(super) fn consultation(&mut self, f: &Consultation) {
        self.known_municipality("municipality", &f.municipality);
        self.past(Some(f.held_at), "held_at");
        let mode = f.mode.as_deref();
        self.need(
            mode.is_none_or(|mode| ["meeting", "telephone", "mail"].contains(&mode)),
            "mode",
            "Gemeentewet 151c lid 3",
            ("schrijf `meeting`, `telephone` of `mail`", "write `meeting`, `telephone` or `mail`"),
        );
        // Consultation, not consent: what came out of it is for the reader.
        self.expect(
            has(f.outcome.as_ref()),
            "outcome",
            "Gemeentewet 151c lid 3",
            (
                "leg vast wat eruit kwam; elke uitkomst telt als overleg",
                "record what came of it; any outcome is consultation",
            ),
        );
    }

    pub(super) fn period(&mut self, f: &Period) {
        self.ordered(f.effective_from, f.effective_until, "effective_until");
        self.not_late(f.effective_from, "effective_from");
        let windows = match &f.used {
            Use::Continuous => &[][..],
            Use::Weekly { windows } => windows.as_slice(),
        };
        self.need(
            !matches!(&f.used, Use::Weekly { windows } if windows.is_empty()),
            "use",
            "Gemeentewet 151c lid 3",
            (
                "noem ten minste één gebruiksperiode, of `continuous`",
                "name at least one window of use, or `continuous`",
            ),
        );
        let mut ids = BTreeSet::new();
        for window in windows.iter().chain(&f.live) {
            self.need(
                !window.days.is_empty(),
                "days",
                "Gemeentewet 151c lid 3",
                ("noem de dagen waarop het begint", "name the days on which it starts"),
            );
            self.need(
                ids.insert(&window.id),
                "id",
                "policy",
                (
                    "elke periode heeft een eigen naam binnen het besluit op gebruik en uitkijken",
                    "each window has a name of its own within its period",
                ),
            );
        }
        if f.used == Use::Continuous {
            self.expect(
                has(f.motivation.as_ref()),
                "motivation",
                "Gemeentewet 151c lid 3",
                (
                    "dag en nacht opnemen vraagt een motivering waarom korter niet volstaat",
                    "recording day and night needs the reasons why shorter does not suffice",
                ),
            );
        } else {
            self.live_inside_use(windows, f);
        }
        let Some(decree) = self.with.decree(&f.decree) else {
            self.known(false, "decree", f.decree.as_str());
            return;
        };
        if !self.empties(f.effective_from, f.effective_until) {
            self.inside(&f.decree, f.effective_from, f.effective_until, "effective_until");
        }
        self.consulted(f.consultation.as_ref(), &decree.municipality, f.effective_from);
        if let Some(FactBody::Period(earlier)) = self.earlier() {
            self.need(
                earlier.decree == f.decree,
                "decree",
                "Gemeentewet 151c lid 3",
                (
                    "een periode hoort bij één besluit; geef de nieuwe een eigen naam",
                    "a period belongs to one decree; give the new one a name of its own",
                ),
            );
            self.not_wider(earlier, f, decree.live_outside_window);
            self.takes_from_the_past(earlier, f);
        }
    }

    /// A version holds for the whole past: it corrects what was known (`decisions.md` 3). Whoever means a change from now on reads
    /// here which footage would turn out to be recorded without a basis.
    fn takes_from_the_past(&mut self, earlier: &Period, f: &Period) {
        let Some(at) = self.at else { return };
        let since = at.checked_sub_days(YEAR).unwrap_or(at);
        let lost = without(&used(earlier, since, at), &used(f, since, at));
        let Some(first) = lost.first() else { return };
        let nl = format!(
            "hiermee blijken beelden vanaf {} zonder basis opgenomen en gaan zij in quarantaine; moet dit pas vanaf nu \
             gelden, beëindig dan deze periode en leg een nieuwe vast",
            first.from
        );
        let en = format!(
            "with this, footage from {} on turns out to be recorded without a basis and is quarantined; if it is to \
             hold from now on only, end this period and enter a new one",
            first.from
        );
        self.expect(false, "use", "Gemeentewet 151c lid 3", (&nl, &en));
    }

    /// The consultation comes before the period (151c lid 3): what a running period would newly open was not in it. A start
    /// that is still to come may be changed freely: then the consultation, whichever it names, precedes it.
    fn not_wider(&mut self, earlier: &Period, f: &Period, of_decree: LiveOutsideWindow) {
        let Some(at) = self.at.filter(|at| earlier.effective_from <= *at) else { return };
        let longer = match (earlier.effective_until, f.effective_until) {
            (Some(old), Some(new)) => old < new,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let wider = (
            "een lopende periode wordt hiermee langer dan waarover is overlegd; leg een nieuwe periode vast, met een \
             eigen overleg",
            "this makes a running period longer than what was consulted about; enter a new period with its own \
             consultation",
        );
        self.need(!longer, "effective_until", "Gemeentewet 151c lid 3", wider);
        let opens = |period: &Period| opens(period.live_outside_window.unwrap_or(of_decree));
        self.need(
            opens(f) <= opens(earlier),
            "live_outside_window",
            "Gemeentewet 151c lid 3",
            (
                "een lopende periode gaat hiermee verder open dan waarover is overlegd; leg een nieuwe periode vast, met \
                 een eigen overleg",
                "this opens a running period further than what was consulted about; enter a new period with its own \
                 consultation",
            ),
        );
        let until = at.checked_add_days(YEAR).unwrap_or(at);
        let used = |period: &Period| match &period.used {
            Use::Continuous => vec![Interval { from: at, until }],
            Use::Weekly { windows } => spans(windows, at, until),
        };
        for (field, new, old) in [
            ("use", used(f), used(earlier)),
            ("live", spans(&f.live, at, until), spans(&earlier.live, at, until)),
        ] {
            if let Some(opens) = without(&new, &old).first() {
                let nl = format!(
                    "op {} opent dit een lopende periode verder dan waarover is overlegd; leg een nieuwe periode \
                     vast, met een eigen overleg",
                    opens.from
                );
                let en = format!(
                    "at {} this opens a running period further than what was consulted about; enter a new period \
                     with its own consultation",
                    opens.from
                );
                self.need(false, field, "Gemeentewet 151c lid 3", (&nl, &en));
            }
        }
    }

    /// Every live window lies in the windows of use, over a year with both changes of the clock.
    fn live_inside_use(&mut self, used: &[WeeklyWindow], f: &Period) {
        let from = f.effective_from;
        let until = from.checked_add_days(YEAR).unwrap_or(from);
        let used = spans(used, from, until);
        for window in &f.live {
            if let Some(outside) = without(&spans(std::slice::from_ref(window), from, until), &used).first() {
                let nl = format!(
                    "`{}` loopt op {} buiten de gebruiksperiode; uitkijken kan alleen tijdens \
                     gebruik",
                    window.id, outside.from
                );
                let en = format!(
                    "`{}` runs at {} outside the windows of use; watching is part of use",
                    window.id, outside.from
                );
                self.need(false, "live", "Gemeentewet 151c lid 3", (&nl, &en));
            }
        }
    }

    pub(super) fn extra_window(&mut self, f: &ExtraWindow) {
        self.past(f.written_confirmation_at, "written_confirmation_at");
        // The letter comes when it comes, also after the window or its decree has ended: it opens nothing.
        if matches!(self.earlier(), Some(FactBody::ExtraWindow(earlier)) if f.only_confirms(earlier)) {
            return;
        }
        self.ordered(f.from, Some(f.until), "until");
        self.need(
            competent(&f.ordered_by),
            "ordered_by",
            "Gemeentewet 151c lid 3",
            (
                "alleen de burgemeester (of wie namens hem mag) beveelt dit; schrijf `mayor` of \
             `mayor_mandated`",
                "only the mayor (or who may on his behalf) orders this; write `mayor` or \
             `mayor_mandated`",
            ),
        );
        self.past(f.ordered_at, "ordered_at");
        let emergency = f.kind == ExtraKind::Emergency;
        if emergency {
            self.need(
                f.ordered_at.is_some(),
                "ordered_at",
                "Gemeentewet 151c lid 3",
                ("noem wanneer de burgemeester het beval", "name when the mayor ordered it"),
            );
            self.need(
                has(f.ground.as_ref()),
                "ground",
                "Gemeentewet 151c lid 3",
                ("noem de aanleiding", "name the ground"),
            );
            // The first version takes effect on one person's word: it is marked until a second one has seen the letter.
            let first = self.at.is_some() && self.earlier().is_none();
            self.need(
                !first || f.written_confirmation_at.is_none(),
                "written_confirmation_at",
                "Gemeentewet 151c lid 3",
                (
                    "laat dit weg: de schriftelijke bevestiging wordt daarna vastgelegd, met een tweede persoon",
                    "leave this out: the written confirmation is entered afterwards, with a second person",
                ),
            );
            self.expect(
                first || f.written_confirmation_at.is_some(),
                "written_confirmation_at",
                "policy",
                (
                    "de schriftelijke bevestiging moet nog volgen",
                    "the written confirmation is still to follow",
                ),
            );
        } else {
            self.expect(
                has(f.ground.as_ref()),
                "ground",
                "Gemeentewet 151c lid 3",
                ("noem de aanleiding", "name the ground"),
            );
        }
        // Effective at once is effective from the entry on: the order may be earlier, the window may not (Awb 3:40).
        self.not_late(f.from, "from");
        self.need(
            self.at.is_none_or(|at| at < f.until),
            "until",
            "Awb 3:40",
            (
                "deze periode is al voorbij; wat zonder basis is opgenomen, krijgt die niet \
                 achteraf",
                "this window is over; what was recorded without a basis gets none afterwards",
            ),
        );
        let Some(decree) = self.with.decree(&f.decree) else {
            self.known(false, "decree", f.decree.as_str());
            return;
        };
        if let Some(area) = &f.area {
            self.need(
                self.is_area_of(area, &f.decree),
                "area",
                "Gemeentewet 151c lid 2",
                (
                    "dit gebied hoort niet bij het besluit; een spoedperiode kan geen ander \
                     gebied openen",
                    "this area is not of this decree; no window opens another area",
                ),
            );
        }
        if !self.empties(f.from, Some(f.until)) {
            self.inside(&f.decree, f.from, Some(f.until), "until");
        }
        self.consulted(f.consultation.as_ref(), &decree.municipality, f.from);
        if let Some(FactBody::ExtraWindow(earlier)) = self.earlier() {
            self.not_moved(earlier, f);
        }
    }

    /// Order and consultation were about these instants and this area (151c lid 3): of a window that has begun only the end
    /// comes earlier.
    fn not_moved(&mut self, earlier: &ExtraWindow, f: &ExtraWindow) {
        if self.at.is_none_or(|at| at < earlier.from) {
            return;
        }
        for (same, field) in [
            (f.until <= earlier.until, "until"),
            (f.from == earlier.from, "from"),
            (f.area == earlier.area, "area"),
            (f.decree == earlier.decree, "decree"),
            (f.kind == earlier.kind, "type"),
        ] {
            self.need(
                same,
                field,
                "Gemeentewet 151c lid 3",
                (
                    "deze periode loopt al en kan alleen eerder eindigen; leg een nieuwe vast, met een eigen bevel en \
                     overleg",
                    "this window has begun and can only end earlier; enter a new one with its own order and \
                     consultation",
                ),
            );
        }
    }

    /// Nothing starts before it is entered (Awb 3:40); at the first start the past is recorded as it was.
    fn not_late(&mut self, from: DateTime<Utc>, field: &'static str) {
        // A new version may leave a start that has passed where it was.
        let unchanged = match self.earlier() {
            Some(FactBody::Period(earlier)) => earlier.effective_from == from,
            Some(FactBody::ExtraWindow(earlier)) => earlier.from == from,
            _ => false,
        };
        self.need(
            unchanged || self.at.is_none_or(|at| at <= from),
            field,
            "Awb 3:40",
            (
                "dit begint vóór het is vastgelegd; kies een begin dat nog moet komen (bij spoed: laat het begin weg, \
                 wanneer het is bevolen staat in `ordered_at`)",
                "this starts before it is entered; choose a start that is still to come (in an emergency: leave the \
                 start out, when it was ordered stands in `ordered_at`)",
            ),
        );
    }

    /// From start to end the decree is in force without a gap (151c lid 3: the period executes the decree).
    fn inside(
        &mut self,
        decree: &DecreeId,
        from: DateTime<Utc>,
        until: Option<DateTime<Utc>>,
        field: &'static str,
    ) {
        let Some(ground) = self.with.grounds().decree(decree) else { return };
        // Without an end of its own it ends with the decree.
        let end = until.or_else(|| self.with.decree_end(decree));
        let inside = end.is_some_and(|end| crate::conditions::configure::within(ground, from, end));
        self.need(
            inside,
            field,
            "Gemeentewet 151c lid 2",
            (
                "dit valt niet geheel binnen het besluit (looptijd, verlenging, intrekking); pas \
             begin of einde aan",
                "this does not lie wholly inside the decree (duration, extension, revocation); \
             change its start or end",
            ),
        );
    }

    fn consulted(
        &mut self,
        id: Option<&ConsultationId>,
        municipality: &MunicipalityId,
        before: DateTime<Utc>,
    ) {
        let Some(id) = id else {
            self.need(
                false,
                "consultation",
                "Gemeentewet 151c lid 3",
                (
                    "de burgemeester overlegt eerst met de officier van justitie; leg dat overleg \
                 vast en verwijs ernaar",
                    "the mayor consults the public prosecutor first; record that consultation and \
                 refer to it",
                ),
            );
            return;
        };
        let consultation = self.with.facts().iter().find_map(|fact| match &fact.body {
            FactBody::Consultation(c) if c.id == *id => Some(c),
            _ => None,
        });
        let Some(consultation) = consultation else {
            self.known(false, "consultation", id.as_str());
            return;
        };
        let before = consultation.held_at <= before && consultation.municipality == *municipality;
        self.need(
            before,
            "consultation",
            "Gemeentewet 151c lid 3",
            (
                "dit overleg is van een andere gemeente of kwam na het begin",
                "this consultation is another municipality's or came after the start",
            ),
        );
    }

    fn is_area_of(&self, id: &AreaId, decree: &DecreeId) -> bool {
        let areas = self.with.grounds().decree(decree).map(|ground| ground.areas.as_slice());
        areas.unwrap_or_default().iter().any(|ground| ground.area.id == *id)
    }
}
