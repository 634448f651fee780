//! An open token: its library, one session, and the handles of keys that were used.
//!
//! A library is loaded and initialised once in a process (PKCS#11 v2.40, section 5.4) and stays: several parts of one
//! program may use tokens of the same maker, and one that ends must not end it for the others. A session that the token
//! lost (pulled out and put back, restarted) is opened anew once, with the PIN read again.

use crate::{error::TokenError, uri::TokenUri};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11},
    error::{Error, RvError},
    object::{Attribute, ObjectClass, ObjectHandle},
    session::{Session, UserType},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

static LIBRARIES: Mutex<Vec<(PathBuf, Pkcs11)>> = Mutex::new(Vec::new());

/// A token that was logged into. Clones share one session; calls wait for each other.
#[derive(Clone)]
pub struct Token {
    inner: Arc<Inner>,
}

struct Inner {
    uri: TokenUri,
    library: Pkcs11,
    open: Mutex<Option<Open>>,
}

/// A session and what was found by it: handles are valid in one session only.
pub(crate) struct Open {
    pub(crate) session: Session,
    found: HashMap<(Class, String), ObjectHandle>,
}

/// What kind of key is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    Private,
    Public,
    Secret,
}

impl Class {
    fn object(self) -> ObjectClass {
        match self {
            Self::Private => ObjectClass::PRIVATE_KEY,
            Self::Public => ObjectClass::PUBLIC_KEY,
            Self::Secret => ObjectClass::SECRET_KEY,
        }
    }
}

impl Open {
    /// The one key of this kind and label, if there is one.
    pub(crate) fn find(&mut self, class: Class, label: &str) -> Result<Option<ObjectHandle>, Error> {
        let place = (class, label.to_owned());
        if let Some(handle) = self.found.get(&place) {
            return Ok(Some(*handle));
        }
        let template = [
            Attribute::Token(true),
            Attribute::Class(class.object()),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        let handle = self.session.find_objects(&template)?.first().copied();
        if let Some(handle) = handle {
            self.found.insert(place, handle);
        }
        Ok(handle)
    }

    /// Removes a key from the token for good. Whether there was one.
    pub(crate) fn destroy(&mut self, class: Class, label: &str) -> Result<bool, Error> {
        let Some(handle) = self.find(class, label)? else { return Ok(false) };
        self.session.destroy_object(handle)?;
        self.found.remove(&(class, label.to_owned()));
        Ok(true)
    }
}

impl Token {
    /// Loads the library, finds the token and logs in.
    ///
    /// # Errors
    /// [`TokenError::Module`], [`TokenError::NoToken`], [`TokenError::Pin`], [`TokenError::Refused`].
    pub fn open(uri: &TokenUri) -> Result<Self, TokenError> {
        let library = library(&uri.module)?;
        let token = Self { inner: Arc::new(Inner { uri: uri.clone(), library, open: Mutex::new(None) }) };
        let opened = token.session()?;
        *token.lock() = Some(opened);
        Ok(token)
    }

    /// Where it is.
    pub fn uri(&self) -> &TokenUri {
        &self.inner.uri
    }

    /// How messages name it.
    pub(crate) fn name(&self) -> String {
        self.inner.uri.to_string()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.inner.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the token, and once more with a new session when the token lost this one.
    pub(crate) fn with<T>(&self, mut act: impl FnMut(&mut Open) -> Result<T, Error>) -> Result<T, Failure> {
        let mut place = self.lock();
        if place.is_none() {
            *place = Some(self.session()?);
        }
        let Some(open) = place.as_mut() else {
            return Err(Failure::Closed(self.failed("it has no session")));
        };
        match act(open) {
            Err(Error::Pkcs11(code, _)) if is_lost(code) => {
                tracing::warn!(token = %self.inner.uri, ?code, "the token lost its session; it is opened anew");
                // Closed before the next is opened: what a login is bound to is all sessions of the program.
                *place = None;
                let mut open = self.session()?;
                let outcome = act(&mut open);
                *place = Some(open);
                outcome.map_err(Failure::Token)
            }
            outcome => outcome.map_err(Failure::Token),
        }
    }

    /// The error for something that the token said.
    pub(crate) fn failed(&self, why: impl ToString) -> TokenError {
        TokenError::Failed { token: self.name(), why: why.to_string() }
    }

    fn session(&self) -> Result<Open, TokenError> {
        let Inner { uri, library, .. } = &*self.inner;
        let mut present = Vec::new();
        let mut wanted = None;
        for slot in library.get_slots_with_token().map_err(|error| self.failed(error))? {
            let Ok(info) = library.get_token_info(slot) else { continue };
            let is_it = uri.label.as_ref().is_none_or(|label| info.label() == label)
                && uri.serial.as_ref().is_none_or(|serial| info.serial_number() == serial);
            if is_it && info.token_initialized() {
                wanted = Some(slot);
                break;
            }
            if info.token_initialized() {
                present.push(format!("`{}` (serial {})", info.label(), info.serial_number()));
            }
        }
        let slot = wanted.ok_or_else(|| TokenError::NoToken {
            wanted: self.name(),
            present: if present.is_empty() { "none".to_owned() } else { present.join(", ") },
        })?;
        let pin = uri.pin.read()?;
        let session = library.open_rw_session(slot).map_err(|error| self.failed(error))?;
        match session.login(UserType::User, Some(&pin)) {
            // Logging in counts for the whole program: another part of it may have been first.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, Function::Login)) => {}
            Err(error) => {
                let (token, place) = (self.name(), uri.pin.to_string());
                return Err(TokenError::Refused { token, place, why: error.to_string() });
            }
        }
        Ok(Open { session, found: HashMap::new() })
    }
}

/// Why something could not be done with a token.
pub(crate) enum Failure {
    /// It cannot be opened again.
    Closed(TokenError),
    /// It said this.
    Token(Error),
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::Closed(error)
    }
}

impl Failure {
    /// The error for the caller.
    pub(crate) fn of(self, token: &Token) -> TokenError {
        match self {
            Self::Closed(error) => error,
            Self::Token(error) => token.failed(error),
        }
    }
}

/// Whether a code says that the session, and not the request, was wrong.
fn is_lost(code: RvError) -> bool {
    matches!(
        code,
        RvError::SessionClosed
            | RvError::SessionHandleInvalid
            | RvError::DeviceRemoved
            | RvError::TokenNotPresent
            | RvError::UserNotLoggedIn
            | RvError::ObjectHandleInvalid
            | RvError::KeyHandleInvalid
    )
}

/// The library of this path, loaded and initialised when nobody has done so.
fn library(path: &Path) -> Result<Pkcs11, TokenError> {
    let failed = |why: String| TokenError::Module { path: path.to_owned(), why };
    let mut libraries = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, library)) = libraries.iter().find(|(known, _)| known == path) {
        return Ok(library.clone());
    }
    let library = Pkcs11::new(path).map_err(|error| failed(error.to_string()))?;
    match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(failed(error.to_string())),
    }
    libraries.push((path.to_owned(), library.clone()));
    Ok(library)
}
