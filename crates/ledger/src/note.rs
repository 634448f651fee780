//! Who signed: the log's own key (C2SP signed-note, Ed25519), checkpoints (tlog-checkpoint) and the witness's
//! cosignatures (tlog-cosignature, `cosignature/v1`).

use crate::{LedgerError, tree::NodeHash};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature as Ed25519, Signer as _, SigningKey, Verifier as _, VerifyingKey};
use signed_note::{Note, Signature, Signer, StandardSigner, Verifier, VerifierList, key_id};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};
use tlog_tiles::{Checkpoint as Tlog, tlog::Hash};
use zeroize::Zeroizing;

/// The signature type of plain Ed25519 notes.
const ED25519: u8 = 0x01;
/// The signature type of `cosignature/v1`.
const COSIGNATURE_V1: u8 = 0x04;

fn bad_key(what: impl fmt::Display) -> LedgerError {
    LedgerError::Key(what.to_string())
}

/// Reads a secret key of the form `PRIVATE+KEY+name+id+data`, or makes one (file mode 0600, durable).
/// `kind` is the signature type of the public half.
fn load_or_create(path: &Path, name: &str, kind: u8) -> Result<(String, SigningKey), LedgerError> {
    if !path.exists() {
        if !signed_note::is_key_name_valid(name) {
            return Err(bad_key(format!("`{name}` cannot name a key: no spaces, no plus")));
        }
        let key = SigningKey::generate(&mut rand_core::OsRng);
        let id = key_id(name, &public_bytes(kind, &key.verifying_key()));
        let secret = Zeroizing::new([&[kind], key.as_bytes().as_slice()].concat());
        let text =
            Zeroizing::new(format!("PRIVATE+KEY+{name}+{id:08x}+{}\n", BASE64_STANDARD.encode(&*secret)));
        create_secret(path, text.as_bytes())?;
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(LedgerError::io(path))?);
    let malformed = || bad_key(format!("{} is not a key file of this kind", path.display()));
    let mut parts = text.trim_end().strip_prefix("PRIVATE+KEY+").ok_or_else(malformed)?.splitn(3, '+');
    let (name, id, data) = (parts.next(), parts.next(), parts.next());
    let (Some(name), Some(id), Some(data)) = (name, id, data) else { return Err(malformed()) };
    let data = Zeroizing::new(BASE64_STANDARD.decode(data).map_err(|_| malformed())?);
    let (&found, seed) = data.split_first().ok_or_else(malformed)?;
    let key = SigningKey::from_bytes(seed.try_into().map_err(|_| malformed())?);
    if found != kind || id != format!("{:08x}", key_id(name, &public_bytes(kind, &key.verifying_key()))) {
        return Err(malformed());
    }
    Ok((name.to_owned(), key))
}

/// Writes a secret to a new file, 0600, durable under its name before this returns.
pub(crate) fn create_secret(path: &Path, secret: &[u8]) -> Result<(), LedgerError> {
    let create = || {
        let fresh = path.with_extension("new");
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(secret)?;
        file.sync_all()?;
        // Linking refuses to replace a key that somebody else made meanwhile.
        let linked = fs::hard_link(&fresh, path);
        fs::remove_file(&fresh)?;
        linked?;
        // A path without a folder is in the current one, which an empty name does not open.
        match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
            _ => Ok(()),
        }
    };
    create().map_err(LedgerError::io(path))
}

fn public_bytes(kind: u8, key: &VerifyingKey) -> Vec<u8> {
    [&[kind], key.as_bytes().as_slice()].concat()
}

fn vkey_text(kind: u8, name: &str, key: &VerifyingKey) -> String {
    let public = public_bytes(kind, key);
    format!("{name}+{:08x}+{}", key_id(name, &public), BASE64_STANDARD.encode(public))
}

/// The key with which the log signs its checkpoints.
pub struct LogKey {
    name: String,
    key: SigningKey,
    signer: StandardSigner,
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl LogKey {
    /// Reads the key, or makes it under `origin` when there is none. The key's name is the log's origin.
    pub fn load_or_create(path: &Path, origin: &str) -> Result<Self, LedgerError> {
        let (name, key) = load_or_create(path, origin, ED25519)?;
        if name != origin {
            return Err(bad_key(format!("the key in {} is of `{name}`, not of `{origin}`", path.display())));
        }
        let id = key_id(&name, &public_bytes(ED25519, &key.verifying_key()));
        let secret = Zeroizing::new([&[ED25519], key.as_bytes().as_slice()].concat());
        let text =
            Zeroizing::new(format!("PRIVATE+KEY+{name}+{id:08x}+{}", BASE64_STANDARD.encode(&*secret)));
        let signer = StandardSigner::new(&text).map_err(bad_key)?;
        Ok(Self { name, key, signer })
    }

    /// The public half as text, `origin+id+data`: what everybody pins.
    pub fn vkey(&self) -> String {
        vkey_text(ED25519, &self.name, &self.key.verifying_key())
    }

    /// A signed note of any text, which ends in a newline: for files that leave the log, not for checkpoints.
    pub fn sign_text(&self, text: &str) -> Result<String, LedgerError> {
        let mut note = Note::new(text.as_bytes(), &[]).map_err(bad_key)?;
        note.add_sigs(&[&self.signer as &dyn Signer]).map_err(bad_key)?;
        String::from_utf8(note.to_bytes()).map_err(bad_key)
    }

    /// A signed checkpoint.
    pub fn sign(&self, size: u64, root: NodeHash) -> Result<String, LedgerError> {
        self.sign_with(size, root, "")
    }

    /// A signed checkpoint with extension lines, each ended by a newline.
    pub fn sign_with(&self, size: u64, root: NodeHash, lines: &str) -> Result<String, LedgerError> {
        let text = Tlog::new(&self.name, size, Hash(root), lines).map_err(bad_key)?.to_bytes();
        let mut note = Note::new(&text, &[]).map_err(bad_key)?;
        note.add_sigs(&[&self.signer as &dyn Signer]).map_err(bad_key)?;
        String::from_utf8(note.to_bytes()).map_err(bad_key)
    }
}

/// The text of a note that bears a signature of the key with this public text.
pub fn read_text(note: &str, vkey: &str) -> Result<String, LedgerError> {
    let verifier = signed_note::StandardVerifier::new(vkey).map_err(bad_key)?;
    let parsed = Note::from_bytes(note.as_bytes()).map_err(bad_key)?;
    parsed
        .verify(&VerifierList::new(vec![Box::new(verifier)]))
        .map_err(|e| bad_key(format!("the note's signature: {e}")))?;
    String::from_utf8(parsed.text().to_vec()).map_err(bad_key)
}

/// A checkpoint whose log signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's origin.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// Their root.
    pub root: NodeHash,
    /// The signed text, without signatures.
    pub text: String,
    /// The whole note.
    pub note: String,
}

impl Checkpoint {
    /// Reads a note and checks the log's signature by its public key text.
    pub fn read(note: &str, log_vkey: &str) -> Result<Self, LedgerError> {
        let verifier = signed_note::StandardVerifier::new(log_vkey).map_err(bad_key)?;
        let origin = verifier.name().to_owned();
        let parsed = Note::from_bytes(note.as_bytes()).map_err(bad_key)?;
        parsed
            .verify(&VerifierList::new(vec![Box::new(verifier)]))
            .map_err(|e| bad_key(format!("the checkpoint's signature: {e}")))?;
        let tlog = Tlog::from_bytes(parsed.text()).map_err(bad_key)?;
        if tlog.origin() != origin {
            return Err(bad_key("the checkpoint is of another log"));
        }
        Ok(Self {
            origin,
            size: tlog.size(),
            root: tlog.hash().0,
            text: String::from_utf8(parsed.text().to_vec()).map_err(bad_key)?,
            note: note.to_owned(),
        })
    }

    /// The note with the log's own signature and these cosignature lines: a published note may bear older ones.
    pub fn with_cosignatures(&self, lines: &str) -> String {
        let signatures = self.note.rsplit_once("\n\n").map_or("", |(_, signatures)| signatures);
        let own = signatures.lines().find(|line| {
            line.strip_prefix("— ").and_then(|line| line.split(' ').next()) == Some(self.origin.as_str())
        });
        format!("{}\n{}\n{lines}", self.text, own.unwrap_or_default())
    }
}

/// The public half of a witness's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey {
    name: String,
    id: u32,
    key: VerifyingKey,
}

impl WitnessKey {
    /// Reads `name+id+data`, type `0x04`.
    pub fn parse(vkey: &str) -> Result<Self, LedgerError> {
        let malformed = || bad_key("not a witness key (name+id+data of type 4)");
        let mut parts = vkey.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(data)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let data = BASE64_STANDARD.decode(data).map_err(|_| malformed())?;
        let (&kind, public) = data.split_first().ok_or_else(malformed)?;
        let key =
            VerifyingKey::from_bytes(public.try_into().map_err(|_| malformed())?).map_err(|_| malformed())?;
        let number = key_id(name, &data);
        if kind != COSIGNATURE_V1 || id != format!("{number:08x}") || !signed_note::is_key_name_valid(name) {
            return Err(malformed());
        }
        Ok(Self { name: name.to_owned(), id: number, key })
    }

    /// The witness's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The instant (UTC, whole seconds, by the witness's clock) of this witness's cosignature on a note, when the
    /// note bears one that holds.
    pub fn cosigned_at(&self, note: &str) -> Option<DateTime<Utc>> {
        self.cosignature(note).map(|(at, _)| at)
    }

    /// The same with the line itself, newline included.
    pub fn cosignature(&self, note: &str) -> Option<(DateTime<Utc>, String)> {
        let parsed = Note::from_bytes(note.as_bytes()).ok()?;
        let verifiers = VerifierList::new(vec![Box::new(self.clone())]);
        let (held, _) = parsed.verify(&verifiers).ok()?;
        let line = held.first()?;
        let (seconds, _) = line.signature().split_first_chunk::<8>()?;
        let at = DateTime::from_timestamp(i64::try_from(u64::from_be_bytes(*seconds)).ok()?, 0)?;
        Some((at, String::from_utf8(line.to_bytes()).ok()?))
    }
}

impl Verifier for WitnessKey {
    fn name(&self) -> &str {
        &self.name
    }
    fn key_id(&self) -> u32 {
        self.id
    }
    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let Some((seconds, signature)) = signature.split_first_chunk::<8>() else { return false };
        let Ok(signature) = Ed25519::from_slice(signature) else { return false };
        self.key.verify(&cosigned_message(u64::from_be_bytes(*seconds), text), &signature).is_ok()
    }
}

fn cosigned_message(seconds: u64, text: &[u8]) -> Vec<u8> {
    [format!("cosignature/v1\ntime {seconds}\n").as_bytes(), text].concat()
}

/// The key with which a witness cosigns. Held by the police, never by the log's host.
pub struct CosignerKey {
    name: String,
    public: VerifyingKey,
    signs: Box<Signs>,
}

/// Signs a message with Ed25519, or says why not: a token can be pulled out.
type Signs = dyn Fn(&[u8]) -> Result<[u8; 64], String> + Send + Sync;

impl fmt::Debug for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CosignerKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CosignerKey {
    /// Reads the key, or makes it under `name` when there is none.
    pub fn load_or_create(path: &Path, name: &str) -> Result<Self, LedgerError> {
        let (name, key) = load_or_create(path, name, COSIGNATURE_V1)?;
        let public = key.verifying_key();
        Ok(Self { name, public, signs: Box::new(move |message| Ok(key.sign(message).to_bytes())) })
    }

    /// A key that lives elsewhere, in a hardware token for example: its public half (RFC 8032 5.1.5), and what signs with it.
    ///
    /// # Errors
    /// When the name or the public half is malformed.
    pub fn elsewhere(
        name: &str,
        public: &[u8; 32],
        signs: impl Fn(&[u8]) -> Result<[u8; 64], String> + Send + Sync + 'static,
    ) -> Result<Self, LedgerError> {
        if !signed_note::is_key_name_valid(name) {
            return Err(bad_key(format!("`{name}` cannot be a key's name")));
        }
        let public = VerifyingKey::from_bytes(public).map_err(bad_key)?;
        Ok(Self { name: name.to_owned(), public, signs: Box::new(signs) })
    }

    /// The public half as text: what the log and the consoles pin.
    pub fn vkey(&self) -> String {
        vkey_text(COSIGNATURE_V1, &self.name, &self.public)
    }

    /// The cosignature line (`— name data`, with its newline) on a checkpoint's text at an instant.
    pub fn cosign(&self, text: &str, at: DateTime<Utc>) -> Result<String, LedgerError> {
        let seconds = u64::try_from(at.timestamp()).map_err(|_| bad_key("the clock is before 1970"))?;
        let message = cosigned_message(seconds, text.as_bytes());
        let signature = (self.signs)(&message).map_err(bad_key)?;
        // A token that signs with another key than it shows must not go unnoticed.
        self.public.verify(&message, &Ed25519::from_bytes(&signature)).map_err(bad_key)?;
        let id = key_id(&self.name, &public_bytes(COSIGNATURE_V1, &self.public));
        let payload = [seconds.to_be_bytes().as_slice(), &signature].concat();
        let line = Signature::new(self.name.clone(), id, payload).map_err(bad_key)?;
        String::from_utf8(line.to_bytes()).map_err(bad_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_note_of_go_s_own_tests_is_read() {
        // golang.org/x/mod/sumdb/note, example and test key.
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let note = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
                    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let verifier = signed_note::StandardVerifier::new(vkey).unwrap();
        let parsed = Note::from_bytes(note.as_bytes()).unwrap();
        assert!(parsed.verify(&VerifierList::new(vec![Box::new(verifier)])).is_ok());
        // It is signed, but it is no checkpoint.
        assert!(Checkpoint::read(note, vkey).is_err());
    }

    #[test]
    fn a_cosignature_that_others_made_is_read() {
        // A checkpoint of Google's binary transparency and a witness's cosignature on it, as published with the Go
        // implementation's example: made by programs that share no line with ours.
        use sha2::{Digest, Sha256};
        let public = BASE64_STANDARD.decode("pTPPKyRu6Q3PoMkeY+/sNni0biF4vnVTYRHbVNA31mY=").unwrap();
        let stamped = BASE64_STANDARD
            .decode("r0xBJQAAAABnkyoLuHgN5KlIUUpZV9hulwsFcgqV5v1CyeIhBZWdkfOJT0ims1LqbYygO5MEl91CGha5sP79K57P7lIGrz7Qtx8eBw==")
            .unwrap();
        let data = [&[COSIGNATURE_V1], public.as_slice()].concat();
        let hash = Sha256::digest([b"witness\n".as_slice(), &data].concat());
        let id = u32::from_be_bytes(*hash.first_chunk::<4>().unwrap());
        let key = WitnessKey::parse(&format!("witness+{id:08x}+{}", BASE64_STANDARD.encode(&data))).unwrap();
        let text = "developers.google.com/android/binary_transparency/google1p/0\n5\nxqaCEZhTGZUuKNA7MpSyxe1WXiiESB2p+crAyzM+Vxo=\n";
        let line = BASE64_STANDARD.encode([&id.to_be_bytes(), &stamped[4..]].concat());
        let note = format!("{text}\n— witness {line}\n");
        assert_eq!(key.cosigned_at(&note).unwrap().timestamp(), 0x6793_2a0b);
        assert!(key.cosigned_at(&note.replace("\n5\n", "\n6\n")).is_none());
    }

    #[test]
    fn a_checkpoint_has_the_form_of_the_standard() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.key");
        let key = LogKey::load_or_create(&path, "rtr.example/demo").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let note = key.sign(3, [7; 32]).unwrap();
        assert!(
            note.starts_with(
                "rtr.example/demo\n3\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\n— rtr.example/demo "
            ),
            "{note}"
        );
        let read = Checkpoint::read(&note, &key.vkey()).unwrap();
        assert_eq!((read.size, read.root), (3, [7; 32]));
        assert!(Checkpoint::read(&note.replace("\n3\n", "\n4\n"), &key.vkey()).is_err());
        // The same file gives the same key; another origin is refused.
        assert_eq!(LogKey::load_or_create(&path, "rtr.example/demo").unwrap().vkey(), key.vkey());
        assert!(LogKey::load_or_create(&path, "rtr.example/other").is_err());
    }

    #[test]
    fn a_cosignature_names_its_time_and_covers_the_text() {
        let dir = tempfile::tempdir().unwrap();
        let log = LogKey::load_or_create(&dir.path().join("log.key"), "rtr.example/demo").unwrap();
        let police =
            CosignerKey::load_or_create(&dir.path().join("witness.key"), "politie.example/witness").unwrap();
        let key = WitnessKey::parse(&police.vkey()).unwrap();
        let note = log.sign(3, [7; 32]).unwrap();
        assert_eq!(key.cosigned_at(&note), None);
        let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let text = Checkpoint::read(&note, &log.vkey()).unwrap().text;
        let cosigned = note.clone() + &police.cosign(&text, at).unwrap();
        assert_eq!(key.cosigned_at(&cosigned), Some(at));
        let read = Checkpoint::read(&cosigned, &log.vkey()).unwrap();
        // Its own signature stays, an older cosignature goes.
        let later = at + chrono::TimeDelta::minutes(1);
        let again = read.with_cosignatures(&police.cosign(&text, later).unwrap());
        assert_eq!((key.cosigned_at(&again), again.lines().count()), (Some(later), 6));
        assert!(Checkpoint::read(&again, &log.vkey()).is_ok());
        assert_eq!(key.cosigned_at(&cosigned.replace("\n3\n", "\n4\n")), None);
        // The log's own key is not a witness's.
        assert!(WitnessKey::parse(&log.vkey()).is_err());
    }
}
