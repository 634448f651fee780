//! Breaches, requests of data subjects, audits and their findings (Wpg 24a-28, 33, 33a).

use super::{Look, decrees::has};
use crate::{
    facts::{Audit, AuditFinding, Breach, FactBody, Risk, SubjectOutcome, SubjectRequest, SubjectRight},
    ids::MunicipalityId,
};
use chrono::{DateTime, Months, Utc};

/// Whether a term that somebody set is not longer than the law's, counted in months from an instant.
fn within_months(set: Option<DateTime<Utc>>, from: Option<DateTime<Utc>>, months: u32) -> bool {
    match (set, from) {
        (Some(set), Some(from)) => {
            from.checked_add_months(Months::new(months)).is_some_and(|last| set <= last)
        }
        _ => true,
    }
}

impl Look<'_> {
    fn about(&mut self, municipality: Option<&MunicipalityId>) {
        if let Some(municipality) = municipality {
            self.known_municipality("municipality", municipality);
        }
    }

    /// One thing was done at or after another.
    fn after(
        &mut self,
        done_at: Option<DateTime<Utc>>,
        before: DateTime<Utc>,
        field: &'static str,
        source: &'static str,
    ) {
        self.past(done_at, field);
        self.need(
            done_at.is_none_or(|done_at| before <= done_at),
            field,
            source,
            ("dit ligt vóór wat eraan voorafging", "this lies before what it follows"),
        );
    }

    pub(super) fn breach(&mut self, f: &Breach) {
        self.about(f.municipality.as_ref());
        self.said(&f.facts, "facts");
        self.past(Some(f.known_at), "known_at");
        self.past(f.happened_at, "happened_at");
        if let Some(happened_at) = f.happened_at {
            self.after(Some(f.known_at), happened_at, "known_at", "Wpg 33a");
        }
        self.after(f.reported_at, f.known_at, "reported_at", "Wpg 33a lid 1");
        self.after(f.subjects_informed_at, f.known_at, "subjects_informed_at", "Wpg 33a lid 4");
        let late = f.reported_at.is_some_and(|reported_at| f.due_at() < reported_at);
        self.need(
            !late || has(f.delay_reason.as_ref()),
            "delay_reason",
            "Wpg 33a lid 1",
            (
                "gemeld na meer dan 72 uur: noem waarom dat niet eerder kon",
                "reported after more than 72 hours: say why it could not be sooner",
            ),
        );
        self.expect(
            f.risk == Risk::Unlikely || f.reported_at.is_some(),
            "reported_at",
            "Wpg 33a lid 1",
            (
                "meld het binnen 72 uur na kennisneming bij de AP, ook in het weekend",
                "report it to the supervisor within 72 hours of knowing, weekends too",
            ),
        );
        self.expect(
            f.risk != Risk::High || f.subjects_informed_at.is_some(),
            "subjects_informed_at",
            "Wpg 33a lid 4",
            (
                "bij hoog risico horen de betrokkenen het ook",
                "when the risk is high those whom the data are about are told too",
            ),
        );
        if let Some(FactBody::Breach(earlier)) = self.earlier() {
            self.need(
                f.known_at <= earlier.known_at,
                "known_at",
                "Wpg 33a lid 1",
                (
                    "de klok van 72 uur loopt al en wordt niet verzet",
                    "the clock of 72 hours runs already and is not put back",
                ),
            );
        }
    }

    pub(super) fn subject_request(&mut self, f: &SubjectRequest) {
        self.about(f.municipality.as_ref());
        self.past(Some(f.received_at), "received_at");
        self.after(f.forwarded_to_controller_at, f.received_at, "forwarded_to_controller_at", "Wpg 6c lid 3");
        self.after(f.decided_at, f.received_at, "decided_at", "Wpg 25");
        self.need(
            f.deferred_weeks.is_none_or(|weeks| f.right == SubjectRight::Access && [4, 6].contains(&weeks)),
            "deferred_weeks",
            "Wpg 25 lid 2",
            (
                "alleen een verzoek om inzage wordt verdaagd, met vier of zes weken",
                "only a request for access is deferred, by four or six weeks",
            ),
        );
        self.need(
            f.decided_at.is_some() == f.outcome.is_some(),
            "outcome",
            "Wpg 25",
            (
                "noem wat de verwerkingsverantwoordelijke besliste en wanneer, of geen van beide",
                "name what the controller decided and when, or neither",
            ),
        );
        self.need(
            f.outcome != Some(SubjectOutcome::Refused) || has(f.refusal_ground.as_ref()),
            "refusal_ground",
            "Wpg 27, 32",
            (
                "een weigering heeft een grond, die wordt vastgelegd",
                "a refusal has a ground, which is recorded",
            ),
        );
        self.expect(
            f.forwarded_to_controller_at.is_some(),
            "forwarded_to_controller_at",
            "Wpg 6c lid 3",
            (
                "de politie beslist; geef het verzoek door en leg vast wanneer",
                "the police decide; pass it on and record when",
            ),
        );
        if let Some(FactBody::SubjectRequest(earlier)) = self.earlier() {
            self.need(
                f.received_at <= earlier.received_at && f.right == earlier.right,
                "received_at",
                "Wpg 25",
                (
                    "de termijn loopt vanaf de ontvangst; een ander verzoek krijgt een eigen nummer",
                    "the term runs from when it came in; another request gets a number of its own",
                ),
            );
        }
    }

    pub(super) fn audit(&mut self, f: &Audit) {
        self.said(&f.auditor, "auditor");
        self.ordered(f.scope_from, Some(f.scope_until), "scope_until");
        self.after(f.done_at, f.scope_until, "done_at", "Wpg 33");
        self.need(
            f.done_at.is_some()
                || (f.reported_at.is_none()
                    && f.improvement_reported_at.is_none()
                    && f.reaudited_at.is_none()),
            "done_at",
            "Wpg 33",
            ("noem wanneer de audit klaar was", "name when the audit was done"),
        );
        if let Some(done_at) = f.done_at {
            self.after(f.reported_at, done_at, "reported_at", "Wpg 33 lid 3");
            self.after(f.improvement_reported_at, done_at, "improvement_reported_at", "Bpg 6:5");
            self.after(f.reaudited_at, done_at, "reaudited_at", "Bpg 6:5");
        }
        self.need(
            within_months(f.report_due, f.done_at, 3),
            "report_due",
            "Bpg 6:5",
            (
                "het verbeterverslag komt binnen drie maanden",
                "the report on improvements comes within three months",
            ),
        );
        self.need(
            within_months(f.reaudit_due, f.done_at, 12),
            "reaudit_due",
            "Bpg 6:5",
            ("de heraudit komt binnen een jaar", "the second audit comes within a year"),
        );
        self.expect(
            has(f.plan_ref.as_ref()),
            "plan_ref",
            "Bpg 6:5",
            ("een audit volgt een auditplan", "an audit follows a plan"),
        );
    }

    pub(super) fn audit_finding(&mut self, f: &AuditFinding) {
        self.said(&f.text, "text");
        let audit = self.with.facts().iter().find_map(|fact| match &fact.body {
            FactBody::Audit(audit) if audit.id == f.audit => Some(audit),
            _ => None,
        });
        self.known(audit.is_some(), "audit", f.audit.as_str());
        if let Some(from) = audit.map(|audit| audit.scope_from) {
            self.after(f.mended_at, from, "mended_at", "Bpg 6:5");
        }
        self.expect(
            f.mend_by.is_some() || f.mended_at.is_some(),
            "mend_by",
            "Bpg 6:5",
            ("noem wanneer dit hersteld moet zijn", "say by when this must be mended"),
        );
        if let Some(FactBody::AuditFinding(earlier)) = self.earlier() {
            self.need(
                earlier.audit == f.audit,
                "audit",
                "Wpg 33",
                ("een bevinding hoort bij één audit", "a finding belongs to one audit"),
            );
        }
    }
}
