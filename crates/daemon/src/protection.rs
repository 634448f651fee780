//! What protects the keys of footage at rest, as configured (`[keys]`), and that no copy of the process's memory is left
//! on a disk.
//!
//! A credential or token that is configured and not there stops the start: recording with bare keys what was to be sealed
//! would be the silent loss of a protection. The service manager tries again; the message says what is missing.

use anyhow::Context as _;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use settings::KeySettings;
use std::{env, fs, path::PathBuf};
use token::{Token, TokenUri};
use vault::{Credential, Protection};
use zeroize::Zeroizing;

/// Opens the configured protection.
///
/// # Errors
/// What is missing, and what to do about it.
pub fn open(keys: &KeySettings) -> anyhow::Result<Protection> {
    match (&keys.credential, &keys.token) {
        (None, None) => Ok(Protection::FileMode),
        (Some(name), None) => credential(name)
            .map(Protection::Credential)
            .context("[keys] credential: the keys of footage stay sealed"),
        (None, Some(uri)) => {
            let uri: TokenUri = uri.parse().context("[keys] token")?;
            let token = Token::open(&uri).context("[keys] token: the keys of footage stay sealed")?;
            tracing::info!(token = %uri, "the keys of footage are sealed in a token");
            Ok(Protection::Token(token))
        }
        (Some(_), Some(_)) => {
            anyhow::bail!("[keys] names a credential and a token; keys are sealed by one of them")
        }
    }
}

fn credential(name: &str) -> anyhow::Result<Credential> {
    anyhow::ensure!(!name.is_empty() && !name.contains('/'), "`{name}` is not the name of a credential");
    let folder = env::var_os("CREDENTIALS_DIRECTORY").with_context(|| {
        format!(
            "$CREDENTIALS_DIRECTORY is not set; put `LoadCredentialEncrypted={name}` in the service's unit"
        )
    })?;
    let path = PathBuf::from(folder).join(name);
    let bytes = fs::read(&path).map(Zeroizing::new).with_context(|| {
        format!(
            "{} cannot be read; `systemd-creds encrypt --name={name} FILE /etc/credstore.encrypted/{name}` makes it",
            path.display()
        )
    })?;
    Credential::new(&bytes)
        .with_context(|| format!("the credential `{name}` has {} bytes; a key has 32 at least", bytes.len()))
}

/// Keeps keys out of core dumps: none is written, whatever the machine's settings say, and no other process of the same
/// user may read this one's memory.
pub fn keep_memory_private() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps could not be limited");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(credential: Option<&str>, token: Option<&str>) -> String {
        let keys = KeySettings {
            credential: credential.map(ToOwned::to_owned),
            token: token.map(ToOwned::to_owned),
        };
        format!("{:#}", open(&keys).unwrap_err())
    }

    /// Nothing is recorded with bare keys that were to be sealed; the message says what is missing.
    #[test]
    fn a_protection_that_is_not_there_stops_the_start_and_says_what_is_missing() {
        assert!(matches!(open(&KeySettings::default()), Ok(Protection::FileMode)));
        let said = refused(Some("rtr-footage"), None);
        assert!(said.contains("LoadCredentialEncrypted=rtr-footage"), "{said}");
        assert!(refused(Some("../key"), None).contains("not the name of a credential"));
        let said = refused(None, Some("pkcs11:token=RTR?module-path=/no/such.so&pin-source=credential:pin"));
        assert!(said.contains("[keys] token") && said.contains("/no/such.so"), "{said}");
        let said = refused(None, Some("RTR"));
        assert!(said.contains("pkcs11:"), "{said}");
    }
}
