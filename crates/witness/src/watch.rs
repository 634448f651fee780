//! The alarm: what the police must hear about, and how. The log writes a sign of life each minute, so a log without a new
//! checkpoint for five minutes is silent; a history that does not extend what was signed is worse. Alarms go to the
//! standard error, to `GET /status` and `GET /metrics`, to a program of the police's choice, and never to the host.

use chrono::{DateTime, TimeDelta, Utc};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How long a log may go without a new checkpoint (decision 15).
pub const SILENCE: TimeDelta = TimeDelta::minutes(5);
/// Bytes of evidence beyond which more of it says nothing new.
const MOST_EVIDENCE: u64 = 1 << 20;
/// How far the log's clock may be from the witness's.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(2);

/// What the witness knows of the log's health. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    size: u64,
    grew_at: DateTime<Utc>,
    cosigned_at: Option<DateTime<Utc>>,
    clocks_apart: Option<TimeDelta>,
    refusals: u64,
    unreachable: Option<String>,
    shorter: Option<Offered>,
    unproven: Option<Offered>,
    evidence: PathBuf,
    program: Option<PathBuf>,
    sounding: Option<Kind>,
}

/// What an alarm is about. The numbers in its text change; it is one alarm all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    History,
    Shorter,
    Unproven,
    Silence,
    ClockBack,
    ClocksApart,
}

/// The log was offered with fewer entries than were signed, or without a proof that it extends them, and nothing that
/// contradicts this came since.
#[derive(Debug)]
struct Offered {
    size: u64,
    since: DateTime<Utc>,
    alarm_from: DateTime<Utc>,
    kept: PathBuf,
}

impl Watch {
    /// Begins to watch a log that had `size` entries when it last grew. A history that was refused is kept as `evidence`,
    /// and the alarm stands until the police take that file away. `program` is run with the text of each new alarm.
    pub fn new(size: u64, grew_at: DateTime<Utc>, evidence: PathBuf, program: Option<PathBuf>) -> Self {
        Self(Arc::new(Mutex::new(State {
            size,
            grew_at,
            cosigned_at: None,
            clocks_apart: None,
            refusals: 0,
            unreachable: None,
            shorter: None,
            unproven: None,
            evidence,
            program,
            sounding: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A checkpoint of `size` entries was cosigned. `newest` is the time of the log's newest entry, where it was read.
    pub fn cosigned(&self, size: u64, newest: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let mut state = self.state();
        if size > state.size {
            state.grew_at = now;
            // Only a growing log says what time it has.
            state.clocks_apart = newest.map(|at| at - now);
        }
        state.size = size;
        state.cosigned_at = Some(now);
        state.unreachable = None;
        state.shorter = None;
        // What was not proven then is now, or the log has not come so far again.
        state.unproven.take_if(|offered| offered.size <= size);
    }

    /// The log was offered with `size` entries, under its own signature, where more were signed. By itself that is only an old
    /// checkpoint; an alarm when nothing newer comes within `patience`. The offer is kept in `….shorter` beside the evidence.
    pub fn shorter(&self, size: u64, offered: &str, patience: TimeDelta, now: DateTime<Utc>) {
        let mut state = self.state();
        let before = state.shorter.take();
        state.shorter = Some(state.offered(before, ".shorter", (size, offered), patience, now));
    }

    /// A checkpoint of `size` entries was offered, under the log's own signature, with a proof that does not hold. Anybody who saw it
    /// could send it so; an alarm when the log itself does not prove as much within `patience`. Kept in `….unproven`.
    pub fn unproven(&self, size: u64, offered: &str, patience: TimeDelta, now: DateTime<Utc>) {
        let mut state = self.state();
        let before = state.unproven.take();
        state.unproven = Some(state.offered(before, ".unproven", (size, offered), patience, now));
    }

    /// Another history was offered, under the log's own signature, and refused. Kept are the offer as it came, and as notes of
    /// their own the checkpoint that was offered and the one that was `signed` here: the two together convict.
    pub fn refused(&self, why: &str, offered: &str, signed: Option<&str>, now: DateTime<Utc>) {
        let mut state = self.state();
        state.refusals += 1;
        if fs::metadata(&state.evidence).is_ok_and(|there| there.len() > MOST_EVIDENCE) {
            return;
        }
        let text = format!("{now}\n{why}\n\n{offered}\n");
        let kept = append(&state.evidence, &text)
            .and_then(|()| fs::write(state.beside(".offered"), note_of(offered)))
            .and_then(|()| signed.map_or(Ok(()), |signed| fs::write(state.beside(".signed"), signed)));
        if let Err(e) = kept {
            eprintln!("the evidence could not be kept in {}: {e}", state.evidence.display());
        }
    }

    /// The log could not be read or reached; silence says the rest.
    pub fn unreachable(&self, why: &str) {
        self.state().unreachable = Some(why.to_owned());
    }

    /// What is wrong at this instant; nothing when all is well.
    pub fn alarm(&self, now: DateTime<Utc>) -> Option<String> {
        self.find(now).map(|(_, text)| text)
    }

    fn find(&self, now: DateTime<Utc>) -> Option<(Kind, String)> {
        let state = self.state();
        if state.evidence.exists() {
            let text = format!(
                "the log has two histories, and signed both; the proof lies in {} (take it away to end this alarm)",
                state.evidence.display()
            );
            return Some((Kind::History, text));
        }
        if let Some(offered) = state.unproven.as_ref().filter(|offered| now >= offered.alarm_from) {
            let text = format!(
                "the log was offered with {} entries and did not prove since {} that they extend the {} signed here (see {})",
                offered.size,
                offered.since.format("%H:%M:%S UTC"),
                state.size,
                offered.kept.display()
            );
            return Some((Kind::Unproven, text));
        }
        if let Some(shorter) = state.shorter.as_ref().filter(|shorter| now >= shorter.alarm_from) {
            let text = format!(
                "the log was offered with {} entries where {} were signed, and nothing newer since {} (see {})",
                shorter.size,
                state.size,
                shorter.since.format("%H:%M:%S UTC"),
                shorter.kept.display()
            );
            return Some((Kind::Shorter, text));
        }
        let silent = now - state.grew_at;
        if silent >= SILENCE {
            let why = state.unreachable.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
            let text = format!("no new checkpoint for {} minutes{why}", silent.num_minutes());
            return Some((Kind::Silence, text));
        }
        if silent < -CLOCKS_APART {
            let text = format!("this machine's clock went back by {} s", -silent.num_seconds());
            return Some((Kind::ClockBack, text));
        }
        let apart = state.clocks_apart.filter(|apart| apart.abs() > CLOCKS_APART)?;
        let text = format!("the log's clock and this machine's are {} s apart", apart.num_seconds());
        Some((Kind::ClocksApart, text))
    }

    /// Sounds an alarm that is new, and says when it is over; returns whether it said something. Call it often.
    pub fn sound(&self, now: DateTime<Utc>) -> bool {
        let alarm = self.find(now);
        let mut state = self.state();
        let kind = alarm.as_ref().map(|(kind, _)| *kind);
        if kind == state.sounding {
            return false;
        }
        state.sounding = kind;
        let text = alarm
            .map_or_else(|| "over: the log grows again".to_owned(), |(_, text)| format!("ALARM: {text}"));
        eprintln!("{text}");
        if let Some(program) = &state.program {
            // Not waited for: a pager that hangs must not keep the witness from witnessing.
            match Command::new(program).arg(&text).spawn() {
                Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
                Err(e) => eprintln!("the alarm program {} did not run: {e}", program.display()),
            }
        }
        true
    }

    /// The status for people and monitors: one line each, `ok` or `ALARM` first.
    pub fn status(&self, now: DateTime<Utc>) -> (bool, String) {
        let alarm = self.alarm(now);
        let state = self.state();
        let mut text = alarm.clone().map_or_else(|| "ok\n".to_owned(), |alarm| format!("ALARM: {alarm}\n"));
        let cosigned = state.cosigned_at.map_or_else(|| "not yet".to_owned(), |at| at.to_rfc3339());
        // Writing to a text cannot fail.
        write!(
            text,
            "entries {}\nlast growth {}\nlast cosignature {cosigned}\nrefused histories {}\n",
            state.size,
            state.grew_at.to_rfc3339(),
            state.refusals
        )
        .ok();
        (alarm.is_none(), text)
    }

    /// The same for Prometheus.
    pub fn metrics(&self, now: DateTime<Utc>) -> String {
        let alarm = u8::from(self.alarm(now).is_some());
        let state = self.state();
        format!(
            "# TYPE rtr_witness_alarm gauge\nrtr_witness_alarm {alarm}\n# TYPE rtr_witness_entries gauge\nrtr_witness_entries {}\n\
             # TYPE rtr_witness_silence_seconds gauge\nrtr_witness_silence_seconds {}\n# TYPE rtr_witness_refusals_total counter\n\
             rtr_witness_refusals_total {}\n",
            state.size,
            (now - state.grew_at).num_seconds(),
            state.refusals
        )
    }
}

impl State {
    /// Keeps what was offered beside the evidence. Offered again and again it is one event, since its first time.
    fn offered(
        &self,
        before: Option<Offered>,
        suffix: &str,
        (size, offered): (u64, &str),
        patience: TimeDelta,
        now: DateTime<Utc>,
    ) -> Offered {
        let kept = self.beside(suffix);
        if let Err(e) = fs::write(&kept, note_of(offered)) {
            eprintln!("the checkpoint that was offered could not be kept in {}: {e}", kept.display());
        }
        let since = before.map_or(now, |before| before.since);
        Offered { size, since, alarm_from: since + patience, kept }
    }

    /// A file beside the evidence.
    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.evidence.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }
}

/// The checkpoint of an offer, which begins with a proof; a published checkpoint does not.
fn note_of(offered: &str) -> &str {
    let behind_proof = offered.strip_prefix("old ").and_then(|rest| rest.split_once("\n\n"));
    behind_proof.map_or(offered, |(_, note)| note)
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + minute * 60, 0).unwrap()
    }

    #[test]
    fn silence_alarms_after_five_minutes_and_a_rewritten_history_until_the_police_looked() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::new(10, at(0), dir.path().join("evidence"), None);
        assert_eq!(watch.alarm(at(4)), None);
        assert!(watch.alarm(at(5)).unwrap().contains("for 5 minutes"));
        // The same checkpoint again is no sign of life.
        watch.cosigned(10, None, at(5));
        assert!(watch.alarm(at(5)).is_some());
        watch.cosigned(11, Some(at(6)), at(6));
        assert_eq!(watch.alarm(at(6)), None);
        watch.cosigned(12, Some(at(1)), at(7));
        assert!(watch.alarm(at(7)).unwrap().contains("apart"), "the log's clock was set back");
        watch.cosigned(13, Some(at(8)), at(8));
        watch.refused("not an extension", "old 3\n\nnote\n", Some("signed\n"), at(8));
        let kept = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(
            (kept("evidence.offered"), kept("evidence.signed")),
            ("note\n".to_owned(), "signed\n".to_owned())
        );
        assert!(watch.alarm(at(8)).unwrap().contains("two histories"));
        assert!(!watch.status(at(8)).0);
        fs::remove_file(dir.path().join("evidence")).unwrap();
        assert_eq!(watch.alarm(at(8)), None);
        assert!(watch.alarm(at(4)).unwrap().contains("went back"));
        assert!(watch.metrics(at(20)).contains("rtr_witness_alarm 1"));
    }

    #[test]
    fn a_shorter_log_is_an_alarm_when_nothing_newer_contradicts_it() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::new(20, at(0), dir.path().join("evidence"), None);
        let patience = TimeDelta::minutes(2);
        watch.shorter(12, "old 10\nproof\n\nnote\n", patience, at(1));
        assert_eq!(watch.alarm(at(2)), None, "an old request that came again");
        watch.cosigned(21, None, at(2));
        assert_eq!(watch.alarm(at(4)), None, "the log itself contradicted it");
        watch.shorter(12, "old 10\nproof\n\nnote\n", patience, at(3));
        watch.shorter(13, "old 10\nproof\n\nnewer\n", patience, at(4));
        let alarm = watch.alarm(at(5)).unwrap();
        assert!(alarm.contains("with 13 entries where 21 were signed"), "{alarm}");
        assert_eq!(fs::read_to_string(dir.path().join("evidence.shorter")).unwrap(), "newer\n");
        // It does not stand for ever, as a fork does: a log that goes on from what was signed was not cut.
        watch.cosigned(22, None, at(6));
        assert_eq!(watch.alarm(at(6)), None);
    }

    #[test]
    fn a_proof_that_does_not_hold_is_an_alarm_when_the_log_brings_no_better_one() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::new(20, at(0), dir.path().join("evidence"), None);
        let patience = TimeDelta::minutes(2);
        watch.unproven(25, "old 20\ngarbage\n\nnote\n", patience, at(1));
        watch.cosigned(25, None, at(2));
        assert_eq!(watch.alarm(at(4)), None, "the log itself proved as much");
        watch.unproven(30, "old 25\ngarbage\n\nnote\n", patience, at(3));
        watch.cosigned(26, None, at(4));
        assert_eq!(watch.alarm(at(4)), None);
        let alarm = watch.alarm(at(5)).unwrap();
        assert!(alarm.contains("offered with 30 entries") && alarm.contains("the 26 signed here"), "{alarm}");
        assert_eq!(fs::read_to_string(dir.path().join("evidence.unproven")).unwrap(), "note\n");
        assert!(!dir.path().join("evidence").exists(), "nobody is convicted by it");
        watch.cosigned(31, None, at(6));
        assert_eq!(watch.alarm(at(6)), None);
    }

    #[test]
    fn the_program_hears_each_alarm_once() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("pager");
        let heard = dir.path().join("heard");
        fs::write(&program, format!("#!/bin/sh\necho \"$1\" >> {}\n", heard.display())).unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let watch = Watch::new(0, at(0), dir.path().join("evidence"), Some(program));
        let sounded = [0, 5, 6, 7, -5, -4, -3, 0].map(|minute| watch.sound(at(minute)));
        assert_eq!(sounded, [false, true, false, false, true, false, false, true]);
        // Each is a process of its own: they may be heard in any order.
        let end = std::time::Instant::now() + std::time::Duration::from_mins(1);
        let mut lines: Vec<String> = Vec::new();
        while lines.len() < 3 && std::time::Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(10));
            let text = fs::read_to_string(&heard).unwrap_or_default();
            lines =
                text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect();
        }
        lines.sort();
        let expected = [
            "ALARM: no new checkpoint for 5 minutes\n",
            "ALARM: this machine's clock went back by 300 s\n",
            "over: the log grows again\n",
        ];
        assert_eq!(lines, expected);
    }
}
