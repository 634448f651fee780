//! Municipalities, organisations and the agreements that tie them (Wpg 6c; Bpg 6:1b).

use super::Look;
use crate::{
    facts::{Agreement, AgreementKind, FactBody, Municipality, Organisation, OrganisationKind},
    ids::OrganisationId,
};

/// The points that an agreement with a processor or sub-processor must cover (Bpg 6:1b).
pub(super) const CHECKLIST: &[(&str, &str)] = &[
    ("instructions", "verwerkt alleen op instructie"),
    ("confidentiality", "geheimhouding"),
    ("data_subjects", "hulp bij rechten van betrokkenen"),
    ("return", "wissen of teruggeven na afloop"),
    ("audit", "informatie voor controle"),
    ("subprocessors", "voorwaarden voor subverwerkers"),
];

impl Look<'_> {
    pub(super) fn municipality(&mut self, f: &Municipality) {
        self.said(&f.name, "name");
    }

    pub(super) fn organisation(&mut self, f: &Organisation) {
        self.said(&f.name, "name");
        let same = match self.earlier() {
            Some(FactBody::Organisation(earlier)) => earlier.kind == f.kind,
            _ => true,
        };
        self.need(
            same,
            "type",
            "Wpg 1, 6c",
            (
                "een organisatie wordt geen andere partij; leg een nieuwe organisatie vast",
                "an organisation does not become another party; enter a new organisation",
            ),
        );
    }

    pub(super) fn agreement(&mut self, f: &Agreement) {
        self.ordered(f.valid_from, f.valid_until, "valid_until");
        let mut known = true;
        for party in &f.parties {
            known &= self.known(self.with.organisation(party).is_some(), "parties", party.as_str());
        }
        self.expect(
            f.valid_until.is_some(),
            "valid_until",
            "policy",
            (
                "een overeenkomst zonder einde waarschuwt niemand; noem het einde of de herziening",
                "an agreement without an end warns nobody; name its end or its review",
            ),
        );
        if known {
            self.need(self.parties_fit(f), "parties", "Wpg 6c", (
                "deze partijen sluiten zo'n overeenkomst niet; verwerker: politie, Veiligheidsregio; subverwerker en \
                 dienstverlening: Veiligheidsregio, beveiligingsbedrijf; gemeenten: gemeenten, Veiligheidsregio",
                "these parties do not make such an agreement; processor: police, safety region; sub-processor and \
                 services: safety region, security company; municipalities: municipalities, safety region",
            ));
        }
        if f.kind == AgreementKind::Subprocessor {
            self.subprocessor(f);
        }
        if matches!(f.kind, AgreementKind::Processor | AgreementKind::Subprocessor) {
            self.checklist(f);
        }
    }

    fn parties_fit(&self, f: &Agreement) -> bool {
        use OrganisationKind as K;
        let kind =
            |party: &OrganisationId| self.with.organisation(party).map(|organisation| organisation.kind);
        let kinds: Vec<Option<K>> = f.parties.iter().map(kind).collect();
        match f.kind {
            AgreementKind::Cooperation | AgreementKind::Processor => {
                kinds == [Some(K::Police), Some(K::Processor)]
            }
            AgreementKind::Subprocessor | AgreementKind::ServiceSecurity => {
                kinds == [Some(K::Processor), Some(K::SecurityCompany)]
            }
            AgreementKind::ServiceMunicipalities => kinds.split_last().is_some_and(|(last, first)| {
                *last == Some(K::Processor)
                    && !first.is_empty()
                    && first.iter().all(|kind| *kind == Some(K::Municipality))
            }),
        }
    }

    /// A sub-processor works inside the processor's agreement and with the controller's written consent (Wpg 6c lid 4).
    fn subprocessor(&mut self, f: &Agreement) {
        let main = self.others().find_map(|body| match body {
            FactBody::Agreement(main) if Some(&main.id) == f.parent.as_ref() => Some(main),
            _ => None,
        });
        let main =
            main.filter(|m| m.kind == AgreementKind::Processor && m.parties.get(1) == f.parties.first());
        self.need(
            main.is_some(),
            "parent",
            "Wpg 6c lid 4",
            (
                "noem de verwerkersovereenkomst van dezelfde Veiligheidsregio waar deze onder valt",
                "name the processor agreement of the same safety region under which this one falls",
            ),
        );
        if let Some(main) = main {
            let ends_inside = match (f.valid_until, main.valid_until) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(until), Some(main)) => until <= main,
            };
            self.need(
                main.valid_from <= f.valid_from && ends_inside,
                "valid_until",
                "Wpg 6c lid 4",
                (
                    "een subverwerkersovereenkomst valt binnen de looptijd van de \
                 verwerkersovereenkomst; pas begin of einde aan",
                    "a sub-processor agreement lies inside the processor agreement; change its start \
                 or end",
                ),
            );
        }
        let consent = f.controller_consent_ref.as_ref().is_some_and(|text| !text.trim().is_empty());
        self.expect(
            consent,
            "controller_consent_ref",
            "Wpg 6c lid 4",
            (
                "zonder schriftelijke toestemming van de politie kan het bedrijf niets; leg die vast \
             zodra zij er is",
                "without the police's written consent the company can do nothing; record it as soon \
             as it is there",
            ),
        );
    }

    fn checklist(&mut self, f: &Agreement) {
        for point in &f.checklist {
            let nl = format!("`{point}` staat niet op de lijst van Bpg 6:1b: {}", points());
            let en = format!("`{point}` is not on the list of Bpg 6:1b: {}", points());
            self.need(CHECKLIST.iter().any(|(name, _)| name == point), "checklist", "Bpg 6:1b", (&nl, &en));
        }
        let missing: Vec<&str> = CHECKLIST
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| !f.checklist.iter().any(|point| point == name))
            .collect();
        let nl = format!("nog niet afgevinkt: {}", missing.join(", "));
        let en = format!("not ticked yet: {}", missing.join(", "));
        self.expect(missing.is_empty(), "checklist", "Bpg 6:1b", (&nl, &en));
    }
}

fn points() -> String {
    CHECKLIST.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
