//! Persons, organisations, agreements and instructions, resolved for the person chain (P).

use crate::{
    decision::FactRef,
    facts::{
        Agreement, AgreementKind, Authorisation, Fact, FactBody, Organisation, OrganisationKind, Person,
        PoliceInstruction, Shift,
    },
    ids::{CameraId, InstructionId, OrganisationId, PersonId},
};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashMap};

/// A person with everything the person chain asks about them.
#[derive(Debug)]
pub(crate) struct PersonGround {
    pub(crate) person: Person,
    pub(crate) fact: FactRef,
    /// The employer's part under the Wpg; none: the organisation is unknown.
    pub(crate) organisation: Option<(OrganisationKind, FactRef)>,
    /// Those that end last first, so that the choice among several does not depend on the journal's order.
    pub(crate) authorisations: Vec<(Authorisation, FactRef)>,
    /// By start.
    pub(crate) shifts: Vec<(Shift, FactRef)>,
}

/// Everything about persons and parties.
#[derive(Debug, Default)]
pub(crate) struct People {
    persons: HashMap<PersonId, PersonGround>,
    order: Vec<PersonId>,
    organisations: BTreeMap<OrganisationId, (Organisation, FactRef)>,
    agreements: Vec<(Agreement, FactRef)>,
    instructions: HashMap<InstructionId, (PoliceInstruction, FactRef)>,
}

impl People {
    pub(crate) fn compile(facts: &[&Fact]) -> Self {
        let mut people = Self::default();
        let mut persons: Vec<(Person, FactRef)> = Vec::new();
        let mut authorisations: HashMap<PersonId, Vec<(Authorisation, FactRef)>> = HashMap::new();
        let mut shifts: HashMap<PersonId, Vec<(Shift, FactRef)>> = HashMap::new();
        for fact in facts {
            let reference = fact.reference();
            match &fact.body {
                FactBody::Person(f) => persons.push((f.clone(), reference)),
                FactBody::Authorisation(f) => {
                    authorisations.entry(f.person.clone()).or_default().push((f.clone(), reference));
                }
                FactBody::Shift(f) => {
                    shifts.entry(f.person.clone()).or_default().push((f.clone(), reference));
                }
                FactBody::Organisation(f) => {
                    people.organisations.insert(f.id.clone(), (f.clone(), reference));
                }
                FactBody::Agreement(f) => people.agreements.push((f.clone(), reference)),
                FactBody::Instruction(f) => {
                    people.instructions.insert(f.id.clone(), (f.clone(), reference));
                }
                _ => {}
            }
        }
        for (person, fact) in persons {
            let organisation =
                people.organisations.get(&person.organisation).map(|(org, fact)| (org.kind, fact.clone()));
            let mut authorisations = authorisations.remove(&person.id).unwrap_or_default();
            authorisations.sort_by(|(a, _), (b, _)| b.until.cmp(&a.until).then_with(|| a.id.cmp(&b.id)));
            let mut shifts = shifts.remove(&person.id).unwrap_or_default();
            shifts.sort_by(|(a, _), (b, _)| a.from.cmp(&b.from).then_with(|| a.id.cmp(&b.id)));
            people.order.push(person.id.clone());
            people.persons.insert(
                person.id.clone(),
                PersonGround { person, fact, organisation, authorisations, shifts },
            );
        }
        people
    }

    pub(crate) fn person(&self, id: &PersonId) -> Option<&PersonGround> {
        self.persons.get(id)
    }

    pub(crate) fn persons(&self) -> impl Iterator<Item = &PersonGround> {
        self.order.iter().filter_map(|id| self.persons.get(id))
    }

    pub(crate) fn organisation(&self, id: &OrganisationId) -> Option<&Organisation> {
        self.organisations.get(id).map(|(organisation, _)| organisation)
    }

    pub(crate) fn organisation_fact(&self, id: &OrganisationId) -> Option<&FactRef> {
        self.organisations.get(id).map(|(_, fact)| fact)
    }

    pub(crate) fn instruction(&self, id: &InstructionId) -> Option<&(PoliceInstruction, FactRef)> {
        self.instructions.get(id)
    }

    pub(crate) fn instruction_for(&self, camera: &CameraId, at: DateTime<Utc>) -> Option<&PoliceInstruction> {
        self.instructions
            .values()
            .map(|(instruction, _)| instruction)
            .filter(|i| i.from <= at && at < i.until && i.cameras.contains(camera))
            .max_by(|a, b| a.from.cmp(&b.from).then_with(|| b.id.cmp(&a.id)))
    }

    /// The agreements of a kind of which an organisation is the second party (processor or sub-processor).
    pub(crate) fn agreements_of<'a>(
        &'a self,
        kind: AgreementKind,
        second: &'a OrganisationId,
    ) -> impl Iterator<Item = &'a (Agreement, FactRef)> {
        self.agreements.iter().filter(move |(agreement, _)| {
            agreement.kind == kind && agreement.parties.get(1).is_some_and(|party| party == second)
        })
    }

    /// Processor agreements between the police and anyone, in the order of their ids.
    pub(crate) fn processor_agreements(&self) -> impl Iterator<Item = &(Agreement, FactRef)> {
        self.agreements.iter().filter(|(agreement, _)| {
            agreement.kind == AgreementKind::Processor
                && agreement.parties.first().and_then(|party| self.organisation(party)).map(|org| org.kind)
                    == Some(OrganisationKind::Police)
        })
    }
}
