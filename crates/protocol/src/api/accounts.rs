//! Accounts: invitations, passwords that people choose themselves, and the very first start.

use chrono::{DateTime, Utc};
use mandate::{
    PersonId,
    facts::{Municipality, Organisation, Person},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /accounts`: invites a person whom the register knows. `POST /accounts/confirmations`: confirms that somebody who has an
/// account was invited again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewInvitation {
    /// Whom.
    pub person: PersonId,
}

/// A token with which a person chooses a password. It is good once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Invitation {
    /// Whom it is for.
    pub person: PersonId,
    /// The token, to be handed over in person.
    pub token: String,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
    /// Whether it is for an account that exists: it is good once an authoriser of the police has confirmed it.
    #[serde(default)]
    pub waits: bool,
}

/// `POST /enrolment`: chooses a password.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Enrolment {
    /// The token.
    pub token: String,
    /// The password, 12 characters or more.
    pub password: String,
}

/// Answer to `POST /enrolment` and to `POST /accounts/confirmations`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Enrolled {
    /// The log-in name.
    pub person: PersonId,
}

/// `POST /first-start`: the first two people of an empty register, both of the police.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewFirstStart {
    /// The token that `rtrd init` printed on the host.
    pub token: String,
    /// The municipalities that take part; both are authorised for all of them.
    pub municipalities: Vec<Municipality>,
    /// The police.
    pub organisation: Organisation,
    /// Who confirms authorisations.
    pub authoriser: Person,
    /// Who enters people and their authorisations.
    pub user_admin: Person,
    /// The controller's document on which both are authorised (Wpg 6).
    pub document_ref: String,
    /// End of both authorisations.
    pub until: DateTime<Utc>,
}

/// Answer to `POST /first-start`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FirstStart {
    /// For the authoriser and the user admin.
    pub invitations: Vec<Invitation>,
}
