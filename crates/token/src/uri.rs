//! Where a key is: a PKCS#11 URI (RFC 7512), of which we take `token`, `serial`, `object`, `module-path` and `pin-source`.
//!
//! `pin-value` is refused: it would put the PIN where configuration files and process lists show it.

use crate::error::TokenError;
use cryptoki::types::AuthPin;
use std::{env, fmt, fs, os::unix::fs::PermissionsExt, path::PathBuf, str::FromStr};
use zeroize::Zeroizing;

/// Where the PIN comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinSource {
    /// A file that only its owner may read (mode 0600 or 0400).
    File(PathBuf),
    /// A systemd credential: the file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl fmt::Display for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Credential(name) => write!(f, "the systemd credential `{name}`"),
        }
    }
}

impl PinSource {
    /// The PIN, without the line end that editors leave behind it.
    pub(crate) fn read(&self) -> Result<AuthPin, TokenError> {
        let failed = |why: String| TokenError::Pin { place: self.to_string(), why };
        let path = match self {
            Self::File(path) => {
                let mode =
                    fs::metadata(path).map_err(|error| failed(error.to_string()))?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(failed(format!("others may read it; `chmod 600 {}`", path.display())));
                }
                path.clone()
            }
            Self::Credential(name) => {
                let folder = env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    failed(format!(
                        "$CREDENTIALS_DIRECTORY is not set; put `LoadCredentialEncrypted={name}` in the service's unit"
                    ))
                })?;
                PathBuf::from(folder).join(name)
            }
        };
        let text =
            fs::read_to_string(&path).map(Zeroizing::new).map_err(|error| failed(error.to_string()))?;
        let pin = text.trim_end_matches(['\r', '\n']);
        if pin.is_empty() {
            return Err(failed("it is empty".to_owned()));
        }
        Ok(AuthPin::from(pin))
    }
}

/// Where a token is, and the name of a key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUri {
    /// The library (`module-path`).
    pub module: PathBuf,
    /// The token's label (`token`).
    pub label: Option<String>,
    /// The token's serial number (`serial`).
    pub serial: Option<String>,
    /// The key's label (`object`).
    pub object: Option<String>,
    /// Where the PIN is (`pin-source`): a path, `file:PATH`, or `credential:NAME`.
    pub pin: PinSource,
}

impl FromStr for TokenUri {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        // The text may hold a PIN that somebody put there by mistake: it must not come back in a message.
        let shown = text.split_once("pin-value").map_or(text, |(before, _)| before);
        let wrong = |why: String| TokenError::Uri { uri: shown.to_owned(), why };
        let rest = text
            .strip_prefix("pkcs11:")
            .ok_or_else(|| wrong("it does not begin with `pkcs11:`".to_owned()))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut module, mut label, mut serial, mut object, mut pin) = (None, None, None, None, None);
        let path = path.split(';').map(|part| (part, true));
        let query = query.split('&').map(|part| (part, false));
        for (part, in_path) in path.chain(query).filter(|(part, _)| !part.is_empty()) {
            let (name, value) =
                part.split_once('=').ok_or_else(|| wrong("an attribute lacks its `=`".to_owned()))?;
            if name == "pin-value" {
                return Err(wrong("`pin-value` would show the PIN to others; use `pin-source`".to_owned()));
            }
            let value =
                decoded(value).ok_or_else(|| wrong(format!("`{name}` is not percent-encoded UTF-8")))?;
            let place = match (in_path, name) {
                (true, "token") => &mut label,
                (true, "serial") => &mut serial,
                (true, "object") => &mut object,
                (false, "module-path") => &mut module,
                (false, "pin-source") => &mut pin,
                _ => {
                    return Err(wrong(format!(
                        "`{name}` is not known here; known are token, serial, object before the `?`, module-path and pin-source after it"
                    )));
                }
            };
            if value.is_empty() || place.replace(value).is_some() {
                return Err(wrong(format!("`{name}` is empty or stands there twice")));
            }
        }
        let module = PathBuf::from(module.ok_or_else(|| wrong("`module-path` is missing".to_owned()))?);
        if !module.is_absolute() {
            return Err(wrong(
                "`module-path` must be absolute: what is loaded must not depend on a folder".to_owned(),
            ));
        }
        if label.is_none() && serial.is_none() {
            return Err(wrong("it names no token (`token=` or `serial=`)".to_owned()));
        }
        let pin = pin.ok_or_else(|| wrong("`pin-source` is missing".to_owned()))?;
        let pin = match pin.strip_prefix("credential:") {
            Some(name) if !name.is_empty() && !name.contains('/') => PinSource::Credential(name.to_owned()),
            Some(_) => return Err(wrong("`credential:` is followed by the name of one".to_owned())),
            None => PinSource::File(PathBuf::from(pin.strip_prefix("file:").unwrap_or(&pin))),
        };
        Ok(Self { module, label, serial, object, pin })
    }
}

impl fmt::Display for TokenUri {
    /// How messages name the token: never with its PIN.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.label, &self.serial) {
            (Some(label), Some(serial)) => write!(f, "`{label}` (serial {serial})"),
            (Some(label), None) => write!(f, "`{label}`"),
            (None, Some(serial)) => write!(f, "with serial {serial}"),
            (None, None) => write!(f, "without a name"),
        }
    }
}

/// Percent-decoding (RFC 3986 section 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) =
                (char::from(bytes.next()?).to_digit(16)?, char::from(bytes.next()?).to_digit(16)?);
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_a_wrong_one_says_why() {
        let uri: TokenUri =
            "pkcs11:token=Regionale%20Ruimte;object=log?module-path=/lib/x.so&pin-source=credential:pin"
                .parse()
                .unwrap();
        assert_eq!(uri.label.as_deref(), Some("Regionale Ruimte"));
        assert_eq!(uri.object.as_deref(), Some("log"));
        assert_eq!(uri.pin, PinSource::Credential("pin".to_owned()));
        let uri: TokenUri =
            "pkcs11:serial=1f?module-path=/lib/x.so&pin-source=file:/run/pin".parse().unwrap();
        assert_eq!((uri.serial.as_deref(), uri.object), (Some("1f"), None));
        assert_eq!(uri.pin, PinSource::File("/run/pin".into()));
        for (text, why) in [
            ("log.key", "begin with"),
            ("pkcs11:token=a?pin-source=/p", "module-path"),
            ("pkcs11:token=a?module-path=x.so&pin-source=/p", "absolute"),
            ("pkcs11:object=a?module-path=/x.so&pin-source=/p", "names no token"),
            ("pkcs11:token=a?module-path=/x.so", "pin-source"),
            ("pkcs11:token=a?module-path=/x.so&pin-source=credential:", "name of one"),
            ("pkcs11:token=a;slot=1?module-path=/x.so&pin-source=/p", "`slot` is not known"),
            ("pkcs11:token=%zz?module-path=/x.so&pin-source=/p", "percent"),
            ("pkcs11:token=a;token=b?module-path=/x.so&pin-source=/p", "twice"),
        ] {
            let error = text.parse::<TokenUri>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let error =
            "pkcs11:token=a?module-path=/x.so&pin-value=1234".parse::<TokenUri>().unwrap_err().to_string();
        assert!(error.contains("pin-source") && !error.contains("1234"), "{error}");
    }

    #[test]
    fn a_pin_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        fs::write(&path, "1234\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = PinSource::File(path.clone()).read().unwrap_err().to_string();
        assert!(error.contains("chmod 600") && !error.contains("1234"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(PinSource::File(path.clone()).read().is_ok());
        fs::write(&path, "\n").unwrap();
        assert!(PinSource::File(path).read().is_err());
    }
}
