//! Technical work: announced beforehand, on a ticket, watched by somebody else (Wpg 6a lid 3).

use super::Look;
use crate::facts::{FactBody, MaintenanceAccess, Role};

impl Look<'_> {
    pub(super) fn maintenance(&mut self, f: &MaintenanceAccess) {
        self.ordered(f.from, Some(f.until), "until");
        self.said(&f.ticket, "ticket");
        let earlier = match self.earlier() {
            Some(FactBody::Maintenance(earlier)) => Some(earlier),
            _ => None,
        };
        self.need(
            self.at.is_none_or(|at| at <= f.from) || earlier.is_some_and(|earlier| earlier.from == f.from),
            "from",
            "policy",
            (
                "technisch werk wordt vooraf vastgelegd; kies een begin dat nog moet komen",
                "technical work is entered beforehand; choose a start that is still to come",
            ),
        );
        let holds = self
            .with
            .authorisations(&f.person)
            .any(|a| a.role == Role::SystemAdmin && a.from <= f.from && f.until <= a.until);
        self.need(
            holds,
            "person",
            "Wpg 6a lid 3",
            (
                "dit werk doet een technisch beheerder die dan de hele tijd geautoriseerd is",
                "this work is done by a system admin who is authorised all of that time",
            ),
        );
        if self.known(self.with.person(&f.witness).is_some(), "witness", f.witness.as_str()) {
            self.need(
                f.witness != f.person,
                "witness",
                "policy",
                ("niemand kijkt bij zichzelf mee; noem een ander", "nobody watches themselves; name another"),
            );
        }
        if let Some(earlier) = earlier {
            let narrower = earlier.person == f.person
                && earlier.witness == f.witness
                && earlier.ticket == f.ticket
                && earlier.from <= f.from
                && f.until <= earlier.until;
            self.need(
                narrower,
                "until",
                "policy",
                (
                    "wat bevestigd is wordt alleen korter; leg ander of langer werk apart vast",
                    "what was confirmed only becomes shorter; enter other or longer work on its own",
                ),
            );
        }
    }
}
