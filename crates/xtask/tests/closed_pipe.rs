//! Nobody reads any more: the program ends, and says nothing of it.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::process::Command;

#[test]
fn help_is_no_error_and_a_closed_pipe_no_panic() {
    for words in [&["--help"][..], &["bench", "--help"], &["demo", "-h"], &["help"]] {
        let said = Command::new(env!("CARGO_BIN_EXE_xtask")).args(words).output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        assert!(
            said.status.success() && text.contains("bench [record|live|wall|replay"),
            "{words:?}: {text}"
        );

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let said = Command::new(env!("CARGO_BIN_EXE_xtask")).args(words).stdout(writer).output().unwrap();
        assert!(said.status.success() && said.stderr.is_empty(), "{words:?}: {said:?}");
    }
}
