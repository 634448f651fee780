//! Persons, authorisations, shifts and police instructions (Wpg 6, 7; Wpbr 7).

use super::Look;
use crate::{
    facts::{Authorisation, FactBody, OrganisationKind, Person, PoliceInstruction, Role, Shift},
    roles,
};
use chrono::TimeDelta;

impl Look<'_> {
    pub(super) fn person(&mut self, f: &Person) {
        self.said(&f.name, "name");
        let organisation = self.with.organisation(&f.organisation);
        self.known(organisation.is_some(), "organisation", f.organisation.as_str());
        self.past(f.secrecy_signed_at, "secrecy_signed_at");
        if let (Some(FactBody::Person(earlier)), Some(at)) = (self.earlier(), self.at) {
            let bound = self.with.authorisations(&f.id).find(|a| at < a.until && a.from < a.until);
            let nl = format!(
                "autorisatie `{}` geldt voor het werk bij `{}`; beëindig die eerst en leg na de overstap een nieuwe vast",
                bound.map_or("", |a| a.id.as_str()),
                earlier.organisation
            );
            let en = format!(
                "authorisation `{}` is for the work at `{}`; end it first and enter a new one after the change",
                bound.map_or("", |a| a.id.as_str()),
                earlier.organisation
            );
            let stays = earlier.organisation == f.organisation;
            self.need(stays || bound.is_none(), "organisation", "Wpg 6", (&nl, &en));
        }
        let twin = self.others().find_map(|body| match body {
            FactBody::Person(other)
                if f.personnel_no.is_some()
                    && other.personnel_no == f.personnel_no
                    && other.organisation == f.organisation =>
            {
                Some(other.id.as_str())
            }
            _ => None,
        });
        let nl = format!("`{}` heeft dit personeelsnummer; één mens, één account", twin.unwrap_or_default());
        let en = format!("`{}` has this number; one person, one account", twin.unwrap_or_default());
        self.need(twin.is_none(), "personnel_no", "Wpg 6", (&nl, &en));
        self.expect(
            f.secrecy_signed_at.is_some(),
            "secrecy_signed_at",
            "Wpg 7",
            (
                "zonder geheimhoudingsverklaring kan deze persoon niets",
                "without an undertaking of secrecy this person can do nothing",
            ),
        );
        let company = organisation.is_some_and(|o| o.kind == OrganisationKind::SecurityCompany);
        self.expect(
            !company || f.wpbr_permission_until.is_some(),
            "wpbr_permission_until",
            "Wpbr 7 lid 2",
            (
                "zonder toestemming van de korpschef kan deze medewerker niet uitkijken",
                "without the chief constable's permission this employee cannot watch",
            ),
        );
    }

    pub(super) fn authorisation(&mut self, f: &Authorisation) {
        self.ordered(f.from, Some(f.until), "until");
        let person = self.with.person(&f.person);
        self.known(person.is_some(), "person", f.person.as_str());
        self.need(
            !matches!(f.role, Role::System | Role::None),
            "role",
            "Wpg 6",
            ("deze rol heeft geen mens", "no person has this role"),
        );
        self.need(
            !f.municipalities.is_empty(),
            "municipalities",
            "Wpg 6 lid 2",
            ("noem de gemeenten waarvoor zij geldt", "name the municipalities for which it holds"),
        );
        for municipality in &f.municipalities {
            self.known_municipality("municipalities", municipality);
        }
        self.need(
            f.role != Role::MunicipalOfficer || f.municipalities.len() == 1,
            "municipalities",
            "Wpg 6 lid 2",
            ("een ambtenaar OOV werkt voor één gemeente", "a municipal officer works for one municipality"),
        );
        self.need(
            f.document_ref.as_ref().is_some_and(|text| !text.trim().is_empty()),
            "document_ref",
            "Wpg 6 lid 3",
            ("noem het autorisatiebesluit van de korpschef", "name the controller's authorisation document"),
        );
        self.need(
            f.granted_by.as_ref() != Some(&f.person),
            "granted_by",
            "Wpg 6",
            ("niemand kent zichzelf een rol toe", "nobody grants a role to themselves"),
        );
        if let Some(person) = person {
            let fits =
                self.with.organisation(&person.organisation).is_some_and(|o| roles::fits(f.role, o.kind));
            self.need(
                fits,
                "role",
                "Wpg 6, 6c",
                (
                    "deze rol bestaat niet in de organisatie van deze persoon",
                    "this role does not exist in this person's organisation",
                ),
            );
        }
        let clash = self.with.authorisations(&f.person).find(|other| {
            other.id != f.id
                && f.from < f.until
                && other.from < other.until
                && other.from < f.until
                && f.from < other.until
                && roles::conflict(f.role, other.role)
        });
        let nl = format!("gaat niet samen met `{}`", clash.map_or("", |other| other.id.as_str()));
        let en = format!("does not go together with `{}`", clash.map_or("", |other| other.id.as_str()));
        self.need(clash.is_none(), "role", "Wpg 33", (&nl, &en));
        if let Some(FactBody::Authorisation(earlier)) = self.earlier() {
            self.need(
                earlier.person == f.person && earlier.role == f.role,
                "person",
                "Wpg 6",
                (
                    "een autorisatie is van één persoon voor één rol; leg een nieuwe vast",
                    "an authorisation is one person's for one role; enter a new one",
                ),
            );
        }
    }

    pub(super) fn shift(&mut self, f: &Shift) {
        self.ordered(f.from, Some(f.until), "until");
        self.known(self.with.person(&f.person).is_some(), "person", f.person.as_str());
        self.expect(
            f.until.signed_duration_since(f.from) <= TimeDelta::hours(12),
            "until",
            "policy",
            ("deze dienst duurt langer dan twaalf uur", "this shift lasts longer than twelve hours"),
        );
        let twice = self.others().any(|body| {
            matches!(body, FactBody::Shift(other)
                if other.person == f.person && other.from < other.until && other.from < f.until && f.from < other.until)
        });
        self.expect(
            !twice,
            "from",
            "policy",
            ("deze persoon heeft dan al een dienst", "this person has another shift then"),
        );
    }

    pub(super) fn instruction(&mut self, f: &PoliceInstruction) {
        self.ordered(f.from, Some(f.until), "until");
        self.need(!f.cameras.is_empty(), "cameras", "Wpg 6c lid 3", ("noem de camera's", "name the cameras"));
        for camera in &f.cameras {
            self.known(self.with.camera(camera).is_some(), "cameras", camera.as_str());
        }
        let police = self
            .with
            .authorisations(&f.entered_by)
            .any(|a| a.role == Role::PoliceOperator && a.from <= f.from && f.from < a.until);
        self.need(
            police,
            "entered_by",
            "Wpg 6c lid 3",
            (
                "een aanwijzing komt van een politieregisseur die dan geautoriseerd is",
                "an instruction comes from a police operator who is authorised then",
            ),
        );
    }
}
