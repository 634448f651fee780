//! The first two people, and passwords that people choose themselves.

use crate::show;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use mandate::facts::{Municipality, Organisation, OrganisationKind, Person};
use protocol::{
    api::{Enrolment, Invitation, NewFirstStart},
    client::Client,
};
use std::path::PathBuf;

/// The daemon.
#[derive(clap::Args)]
struct Daemon {
    /// The daemon, `https://host:port`
    #[arg(long, env = "RTR_URL")]
    url: String,
    /// The certificate of the daemon's authority, PEM
    #[arg(long, env = "RTR_CA")]
    ca: PathBuf,
}

impl Daemon {
    fn client(&self) -> anyhow::Result<Client> {
        let authority =
            std::fs::read(&self.ca).with_context(|| format!("{} cannot be read", self.ca.display()))?;
        Ok(Client::connect(&self.url, &authority)?)
    }
}

/// Who begins.
#[derive(clap::Args)]
pub(crate) struct Init {
    #[command(flatten)]
    daemon: Daemon,
    /// What `rtrd init` printed on the host
    #[arg(long, env = "RTR_TOKEN", hide_env_values = true)]
    token: String,
    /// A municipality that takes part, `enschede=Enschede`; name each
    #[arg(long = "municipality", required = true, value_parser = municipality)]
    municipalities: Vec<Municipality>,
    /// Id of the police organisation
    #[arg(long, default_value = "politie")]
    organisation: String,
    /// Its name
    #[arg(long, default_value = "Politie")]
    organisation_name: String,
    /// Log-in name of the person who confirms authorisations
    #[arg(long)]
    authoriser: String,
    /// Their name
    #[arg(long)]
    authoriser_name: String,
    /// Log-in name of the person who enters people and their authorisations
    #[arg(long)]
    user_admin: String,
    /// Their name
    #[arg(long)]
    user_admin_name: String,
    /// When both signed the undertaking of secrecy (Wpg 7)
    #[arg(long, value_parser = show::read_instant)]
    secrecy_signed_at: DateTime<Utc>,
    /// The controller's document on which both are authorised (Wpg 6)
    #[arg(long)]
    document: String,
    /// End of both authorisations
    #[arg(long, value_parser = show::read_instant)]
    until: DateTime<Utc>,
}

/// Whose password.
#[derive(clap::Args)]
pub(crate) struct Enrol {
    #[command(flatten)]
    daemon: Daemon,
    /// The invitation's token
    #[arg(long, env = "RTR_TOKEN", hide_env_values = true)]
    token: String,
}

fn municipality(text: &str) -> Result<Municipality, String> {
    match text.split_once('=') {
        Some((id, name)) if !id.is_empty() && !name.is_empty() => {
            Ok(Municipality { id: id.into(), name: name.to_owned(), code: None })
        }
        _ => Err("write id=name, for example enschede=Enschede".to_owned()),
    }
}

/// Enrols the first two people.
pub(crate) async fn first_start(given: Init) -> anyhow::Result<()> {
    let person = |id: &str, name: &str| Person {
        id: id.into(),
        name: name.to_owned(),
        organisation: given.organisation.as_str().into(),
        personnel_no: None,
        secrecy_signed_at: Some(given.secrecy_signed_at),
        wpbr_permission_until: None,
        training_until: None,
    };
    let new = NewFirstStart {
        authoriser: person(&given.authoriser, &given.authoriser_name),
        user_admin: person(&given.user_admin, &given.user_admin_name),
        organisation: Organisation {
            id: given.organisation.as_str().into(),
            name: given.organisation_name,
            kind: OrganisationKind::Police,
        },
        municipalities: given.municipalities,
        token: given.token,
        document_ref: given.document,
        until: given.until,
    };
    for invitation in given.daemon.client()?.first_start(&new).await?.invitations {
        print(&invitation);
    }
    Ok(())
}

/// Prints an invitation, to be handed over in person.
pub(crate) fn print(invitation: &Invitation) {
    println!(
        "{}: rtrctl enrol --token {}   (once, until {})",
        invitation.person,
        invitation.token,
        show::instant(invitation.expires_at)
    );
    if invitation.waits {
        println!(
            "They have an account: first an authoriser of the police runs  rtrctl invite {} --confirm",
            invitation.person
        );
    }
}

/// Chooses a password.
pub(crate) async fn enrol(given: Enrol) -> anyhow::Result<()> {
    let password = if let Ok(password) = std::env::var("RTR_PASSWORD") {
        password
    } else {
        let first = rpassword::prompt_password("new password (12 characters or more): ")?;
        let again = rpassword::prompt_password("again: ")?;
        anyhow::ensure!(first == again, "they differ");
        first
    };
    let enrolled = given.daemon.client()?.enrol(&Enrolment { token: given.token, password }).await?;
    println!("{} can log in now.", enrolled.person);
    Ok(())
}
