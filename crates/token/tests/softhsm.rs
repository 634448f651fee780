//! Against SoftHSM. The library reads its configuration from the environment, which a process must not change once it
//! has threads: each test runs itself again as a process of its own that has it from the start.

#![allow(clippy::unwrap_used, reason = "a test says what it expected by ending")]

use ed25519_dalek::{Signature, VerifyingKey};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};
use token::{
    SealingKey, SigningKey, Token, TokenError, TokenUri,
    softhsm::{self, SoftToken},
};

/// Whether this is the process that has a token; else it runs the test in one that has, and is done.
fn with_token(name: &str) -> Option<TokenUri> {
    if let Ok(uri) = std::env::var("RTR_TEST_TOKEN") {
        return Some(uri.parse().unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let soft = SoftToken::make(folder.path(), "RTR").unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(softhsm::VARIABLE, soft.configuration())
        .env("RTR_TEST_TOKEN", soft.uri(None))
        .status()
        .unwrap();
    assert!(status.success());
    None
}

#[test]
fn signatures_are_those_of_rfc_8032() {
    let Some(uri) = with_token("signatures_are_those_of_rfc_8032") else { return };
    let token = Token::open(&uri).unwrap();
    assert!(matches!(SigningKey::find(&token, "log"), Err(TokenError::NoKey { .. })));
    let key = SigningKey::make(&token, "log").unwrap();
    assert!(matches!(SigningKey::make(&token, "log"), Err(TokenError::KeyExists { .. })));
    let judge = VerifyingKey::from_bytes(&key.public()).unwrap();
    for message in [&b"checkpoint"[..], &[7; 5000]] {
        let signature = key.sign(message).unwrap();
        judge.verify_strict(message, &Signature::from_bytes(&signature)).unwrap();
    }
    // Another session, even another opening of the same library, has the same key.
    let again = SigningKey::find(&Token::open(&uri).unwrap(), "log").unwrap();
    assert_eq!(again.public(), key.public());
    let signature = again.sign(b"again").unwrap();
    judge.verify_strict(b"again", &Signature::from_bytes(&signature)).unwrap();
}

#[test]
fn what_is_sealed_opens_by_its_key_alone_and_never_after_it() {
    let Some(uri) = with_token("what_is_sealed_opens_by_its_key_alone_and_never_after_it") else { return };
    let token = Token::open(&uri).unwrap();
    let key = SealingKey::make(&token, "28/1").unwrap();
    let other = SealingKey::make(&token, "28/2").unwrap();
    assert!(matches!(SealingKey::make(&token, "28/1"), Err(TokenError::KeyExists { .. })));
    let sealed = key.seal([1; 12], b"stream 7", &[9; 32]).unwrap();
    assert_eq!(sealed.len(), 40);
    assert_eq!(*key.open([1; 12], b"stream 7", &sealed).unwrap(), [9; 32]);
    let refused = |outcome: Result<_, TokenError>| matches!(outcome, Err(TokenError::NotOpened { .. }));
    assert!(refused(key.open([2; 12], b"stream 7", &sealed)));
    assert!(refused(key.open([1; 12], b"stream 8", &sealed)));
    assert!(refused(other.open([1; 12], b"stream 7", &sealed)));
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(refused(key.open([1; 12], b"stream 7", &changed)), "byte {at}");
    }
    let mut labels = SealingKey::labels(&token).unwrap();
    labels.sort();
    assert_eq!(labels, ["28/1", "28/2"]);
    // A key that others hold a handle of dies for them too.
    let elsewhere = SealingKey::find(&Token::open(&uri).unwrap(), "28/1").unwrap().unwrap();
    assert_eq!(*elsewhere.open([1; 12], b"stream 7", &sealed).unwrap(), [9; 32]);
    assert!(SealingKey::destroy(&token, "28/1").unwrap());
    assert!(!SealingKey::destroy(&token, "28/1").unwrap());
    assert!(matches!(key.open([1; 12], b"stream 7", &sealed), Err(TokenError::NoKey { .. })));
    assert!(elsewhere.open([1; 12], b"stream 7", &sealed).is_err());
    assert!(SealingKey::find(&token, "28/1").unwrap().is_none());
    assert!(SealingKey::find(&token, "28/2").unwrap().is_some());
}

#[test]
fn each_thing_that_is_missing_is_named() {
    let Some(uri) = with_token("each_thing_that_is_missing_is_named") else { return };
    let said = |uri: &TokenUri| Token::open(uri).map(drop).unwrap_err().to_string();
    let elsewhere = TokenUri { label: Some("else".to_owned()), ..uri.clone() };
    let text = said(&elsewhere);
    assert!(text.contains("no token `else`") && text.contains("`RTR`"), "{text}");
    let text = said(&TokenUri { module: "/no/such.so".into(), ..uri.clone() });
    assert!(text.contains("/no/such.so"), "{text}");
    let pin = match &uri.pin {
        token::PinSource::File(path) => path.clone(),
        token::PinSource::Credential(_) => unreachable!(),
    };
    let wrong = pin.with_file_name("wrong");
    write_private(&wrong, "000000");
    let text = said(&TokenUri { pin: token::PinSource::File(wrong), ..uri.clone() });
    assert!(text.contains("refuses the PIN") && !text.contains("000000"), "{text}");
    let text = said(&TokenUri { pin: token::PinSource::File("/no/pin".into()), ..uri.clone() });
    assert!(text.contains("/no/pin"), "{text}");
    let text = said(&TokenUri { pin: token::PinSource::Credential("rtr-pin".to_owned()), ..uri.clone() });
    assert!(text.contains("LoadCredentialEncrypted=rtr-pin"), "{text}");
    drop(Token::open(&uri).unwrap());
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
