//! The witness's key in a token (SoftHSM): the program itself cosigns with it, and no file holds it. SoftHSM is configured by
//! the environment, so the program runs as a process of its own, as it does at the police.

#![cfg(feature = "pkcs11")]
#![allow(clippy::unwrap_used, reason = "a test says what it expected by ending")]

use chrono::Utc;
use ledger::{Clock, Entry, Ledger, LedgerConfig, WitnessKey};
use std::{fs, process::Command};
use token::softhsm::{self, SoftToken};

#[tokio::test]
async fn a_key_in_a_token_cosigns_and_never_leaves_it() {
    let root = tempfile::tempdir().unwrap();
    let soft = SoftToken::make(&root.path().join("token"), "police").unwrap();
    let uri = soft.uri(Some("witness"));
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rtr-witness"));
        let output = command.args(words).env(softhsm::VARIABLE, soft.configuration()).output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    let (made, vkey) = run(&["key", "--name", "politie.example/w", "--key", &uri]);
    assert!(made, "{vkey}");
    assert_eq!(
        run(&["key", "--name", "politie.example/w", "--key", &uri]),
        (true, vkey.clone()),
        "made once"
    );
    let key = WitnessKey::parse(vkey.trim()).unwrap();

    let log = root.path().join("log");
    let ledger =
        Ledger::open(LedgerConfig::new(&log, root.path().join("keys/log.key"), "rtr.example/test")).unwrap();
    ledger.trust_witness(vkey.trim()).unwrap();
    for _ in 0..3 {
        ledger.append(Entry::heartbeat(Utc::now(), Clock::Unknown)).await.unwrap();
    }
    ledger.published().wait_for(|size| *size == 3).await.unwrap();
    let state = root.path().join("state");
    let (log_dir, state, log_key) = (log.display().to_string(), state.display().to_string(), ledger.vkey());
    let cosign =
        ["cosign", "--every", "once", "--name", "politie.example/w", "--log", &log_dir, "--state", &state];
    let with_key = |key: &str| run(&[&cosign[..], &["--key", key, "--log-key", &log_key]].concat());
    let (cosigned, said) = with_key(&uri);
    assert!(cosigned && said.contains("cosigned 3 entries"), "{said}");
    assert!(key.cosigned_at(&fs::read_to_string(log.join("cosignature")).unwrap()).is_some());
    ledger.health().wait_for(|health| health.witnessed_entries == 3).await.unwrap();
    // Without its token there is no witness.
    let (done, said) = with_key(&uri.replace("token=police", "token=stolen"));
    assert!(!done && said.contains("no token `stolen`"), "{said}");
}
