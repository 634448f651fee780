//! Nobody reads what the witness prints: it goes on.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::process::Command;

#[test]
fn a_key_is_made_though_nobody_reads_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtr-witness"));
    let said = command.arg("key").arg("--key").arg(&key).stdout(writer).output().unwrap();
    assert!(said.status.success() && said.stderr.is_empty() && key.exists(), "{said:?}");
}
