//! Whether the machine's clock is disciplined, as each entry of the log says beside its time (domain 2.2). Asked of whoever
//! disciplines it: systemd-timesyncd leaves a file, and `timedatectl` reads the kernel's own flag, which chrony and ntpd set
//! too. Where neither can be asked, as in most containers, it is unknown and the log says so.

use ledger::{Clock, Entry, Ledger, Operation};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// What systemd-timesyncd touches once the clock follows a server.
const TIMESYNC: &str = "/run/systemd/timesync/synchronized";
/// How often it is asked.
const ASK: Duration = Duration::from_mins(1);
/// How long `timedatectl` may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How good the clock is now. Blocks for a child process, at most two seconds.
pub fn read() -> Clock {
    if Path::new(TIMESYNC).exists() {
        return Clock::Synchronised;
    }
    kernel(Command::new("timedatectl"), PATIENCE)
}

fn kernel(mut asked: Command, patience: Duration) -> Clock {
    asked.args(["show", "--property=NTPSynchronized", "--value"]);
    let child = asked.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else { return Clock::Unknown };
    let end = std::time::Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(_)) => break,
            Ok(None) if std::time::Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                // It hangs, as a bus without a service does; whether the kill succeeds changes nothing here.
                child.kill().ok();
                child.wait().ok();
                return Clock::Unknown;
            }
        }
    }
    let said = child.wait_with_output().map(|output| output.stdout).unwrap_or_default();
    match String::from_utf8_lossy(&said).trim() {
        "yes" => Clock::Synchronised,
        "no" => Clock::Unsynchronised,
        _ => Clock::Unknown,
    }
}

/// Tells the log how good the clock is, each minute until the daemon stops, and logs each change.
pub async fn keep(ledger: Ledger, mut known: Clock, stop: CancellationToken) {
    let mut ask = tokio::time::interval(ASK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ask.tick() => {}
        }
        let Ok(now) = tokio::task::spawn_blocking(read).await else { continue };
        if now != known {
            ledger.set_clock(now);
            tracing::warn!(
                before = known.as_str(),
                now = now.as_str(),
                "the clock's synchronisation changed"
            );
            let mut entry = Entry::new(chrono::Utc::now(), Operation::Maintenance, "clock.synchronisation");
            entry.data = Some(serde_json::json!({ "before": known.as_str(), "now": now.as_str() }));
            ledger.append_spooled(entry);
            known = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_timedatectl_says_is_understood_and_what_it_does_not_say_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("timedatectl");
        for (says, expected) in
            [("yes", Clock::Synchronised), ("no", Clock::Unsynchronised), ("Failed", Clock::Unknown)]
        {
            fs::write(&program, format!("echo {says}\n")).unwrap();
            // A shell opens the script, so that a descriptor still open for writing elsewhere cannot make it busy.
            let mut shell = Command::new("sh");
            shell.arg(&program);
            assert_eq!(kernel(shell, Duration::from_mins(1)), expected, "{says}");
        }
        assert_eq!(kernel(Command::new(dir.path().join("none")), PATIENCE), Clock::Unknown);
        let mut hangs = Command::new("sleep");
        hangs.arg("600");
        assert_eq!(kernel(hangs, Duration::from_millis(50)), Clock::Unknown);
    }
}
