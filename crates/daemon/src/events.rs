//! Which event stands in the log under which name (domain 2.2), where it is written and which test sees it. A test below
//! holds this table against the sources: a name that is written and not listed fails, and so does a row that nothing writes
//! or that no test mentions. One row says honestly that no test sees it: its fault is not played.
//!
//! Every entry has `seq` (its place in the tree, which stands for the hash chain), `at` with the clock's state, operation, action,
//! actor with role, organisation and authorisation, outcome and reason. Origin, object, justification, legal context,
//! recipient and change stand where they apply. Not logged one by one, by rule: lists without pictures (their refusal is),
//! each picture of a look (start and stop are), refusals beyond ten a minute of one person for one thing and gaps of one
//! camera within ten minutes, log-ins of one address beyond the limit of attempts within ten minutes (all three counted, and the
//! count is logged, at the latest at the stop), the probe of the disk every five seconds while somebody looks.
//!
//! | event | operation | action | written in | seen by |
//! | --- | --- | --- | --- | --- |
//! | a camera is recorded | collect | `record.start` | daemon/src/recorder.rs | tests/tests/events.rs |
//! | it is no longer, and why | collect | `record.stop` | daemon/src/recorder.rs | tests/tests/events.rs |
//! | pictures are missing, and why | collect | `record.gap` | daemon/src/recorder.rs | tests/tests/events.rs |
//! | pictures reached the daemon and not the disk | collect | `record.dropped` | daemon/src/losses.rs | daemon/src/losses.rs |
//! | a volume is sealed: its root | collect | `volume.sealed` | daemon/src/roots.rs | tests/tests/events.rs |
//! | a look begins: camera, tile or wall display | consult | `live_view.start` | daemon/src/live.rs | tests/tests/events.rs |
//! | it ends, or is cut (`deny` and why) | consult | `live_view.stop` | daemon/src/live.rs | tests/tests/events.rs |
//! | it goes on under another basis | consult | `live_view.continue` | daemon/src/live.rs | daemon/src/gate/tests.rs |
//! | many looks go on under another basis: one entry | consult | `looks.continue` | daemon/src/gate/supervisor.rs | daemon/src/gate/tests.rs |
//! | looking back begins | consult | `replay.start` | daemon/src/replay.rs | tests/tests/events.rs |
//! | looking back ends | consult | `replay.stop` | daemon/src/replay.rs | tests/tests/events.rs |
//! | a refused look: the action without a step | `access_denied` | `live_view` | daemon/src/live.rs | daemon/src/gate/tests.rs |
//! | a refused look back | `access_denied` | `replay` | daemon/src/replay.rs | tests/tests/events.rs |
//! | an incident is marked | alter | `incident.mark` | daemon/src/api/room.rs | tests/tests/events.rs |
//! | it is changed or closed | alter | `incident.change` | daemon/src/api/room.rs | tests/tests/events.rs |
//! | footage is secured: asked and permitted | alter | `hold.set` | daemon/src/api/holds.rs | tests/tests/events.rs |
//! | its keys are kept | alter | `hold.secured` | daemon/src/api/holds.rs | tests/tests/events.rs |
//! | they could not be | alter | `hold.failed` | daemon/src/api/holds.rs | — |
//! | it is released: asked and permitted | alter | `hold.release` | daemon/src/api/holds.rs | tests/tests/events.rs |
//! | the case's keys are gone | alter | `hold.released` | daemon/src/api/holds.rs | tests/tests/events.rs |
//! | footage is asked for | consult | `export.request` | daemon/src/api/requests.rs | tests/tests/events.rs |
//! | it is approved, with recipient and article | disclose | `export.approve` | daemon/src/api/requests.rs | tests/tests/events.rs |
//! | it is refused by a person | disclose | `export.refuse` | daemon/src/api/requests.rs | tests/tests/export.rs |
//! | its files are known | combine | `export.ready` | daemon/src/api/requests.rs | tests/tests/events.rs |
//! | a file is fetched | disclose | `export.download` | daemon/src/api/requests/fetch.rs | tests/tests/events.rs |
//! | it arrived whole, or broke off | disclose | `export.downloaded` | daemon/src/api/requests/fetch.rs | tests/tests/events.rs |
//! | footage turned out to lack a basis | alter | `quarantine.found` | daemon/src/captured/keeper.rs | daemon/src/captured/keeper.rs |
//! | somebody decides that such footage goes | destroy | `quarantine.decide` | daemon/src/api/quarantine.rs | tests/tests/register.rs |
//! | it goes by that decision: the intent | destroy | `destroy.quarantine` | daemon/src/api/quarantine.rs | tests/tests/register.rs |
//! | destruction is announced a day ahead | destroy | `destroy.due` | daemon/src/retention.rs | daemon/src/retention/tests.rs |
//! | it is done, both key copies and volumes | destroy | `destroy.done` | daemon/src/retention/destroying.rs | daemon/src/retention/tests.rs |
//! | it is done before its term, for the byte budget: the intent | destroy | `destroy.budget` | daemon/src/retention/budget.rs | daemon/src/retention/tests.rs |
//! | the day's destruction and the oldest footage per camera | destroy | `destroy.report` | daemon/src/retention/report.rs | daemon/src/retention/tests.rs |
//! | entries past the log's term are announced for purging | destroy | `ledger.purge` | ledger/src/purge.rs | tests/tests/log_term.rs |
//! | a log of before a new epoch, past its term, is announced to go | destroy | `ledger.epoch_purge` | ledger/src/former.rs | ledger/tests/purging.rs |
//! | somebody logs in; `access_denied` when refused | admin | `session.start` | daemon/src/api/sessions.rs | tests/tests/events.rs |
//! | somebody logs out | admin | `session.stop` | daemon/src/api/sessions.rs | tests/tests/events.rs |
//! | an account, or a new password for one, is offered | alter | `account.invite` | daemon/src/api/accounts.rs | tests/tests/first_start.rs |
//! | a new password for an account is confirmed | alter | `account.confirm` | daemon/src/api/accounts.rs | tests/tests/first_start.rs |
//! | it is taken up | admin | `account.enrolled` | daemon/src/api/accounts.rs | tests/tests/first_start.rs |
//! | a fact is proposed | alter | `register.propose` | daemon/src/api/proposing.rs | tests/tests/register.rs |
//! | a fact that needs no second person is entered | alter | `register.enter` | daemon/src/api/proposing.rs | tests/tests/register.rs |
//! | a proposal is confirmed | alter | `register.verify` | daemon/src/api/proposing.rs | tests/tests/register.rs |
//! | a proposal is withdrawn | alter | `register.withdraw` | daemon/src/api/proposing.rs | tests/tests/register.rs |
//! | a fact takes effect: old and new | admin | `register.record` | daemon/src/journal.rs | tests/tests/events.rs |
//! | one takes effect whose entry was durable late | admin | `register.settled` | daemon/src/journal/settle.rs | daemon/src/journal/tests.rs |
//! | an emergency window is declared | alter | `register.emergency` | daemon/src/api/emergency.rs | tests/tests/register.rs |
//! | a past answer is asked again | consult | `register.explain` | daemon/src/api/outlook.rs | tests/tests/register.rs |
//! | the basis of footage is read | consult | `capture.basis` | daemon/src/api/quarantine.rs | tests/tests/register.rs |
//! | the log is read, for its purpose | consult | `log.read` | daemon/src/api/records.rs | tests/tests/events.rs |
//! | its checkpoint is read | consult | `log.checkpoint` | daemon/src/api/records.rs | tests/tests/events.rs |
//! | its tiles are read: one entry for ten minutes of a session's reading | consult | `log.tiles` | daemon/src/api/tree.rs | tests/tests/events.rs |
//! | the receipt of somebody else's act is asked for | `access_denied` | `log.receipt` | daemon/src/api/tree.rs | tests/tests/events.rs |
//! | first start: keys and certificate authority | maintenance | `daemon.init` | daemon/src/server.rs | tests/tests/events.rs |
//! | a start: version and the digest of each configuration file | maintenance | `daemon.started` | daemon/src/server.rs | tests/tests/events.rs |
//! | a start with another configuration than before: old and new digests | alter | `configuration.changed` | daemon/src/server.rs | tests/tests/events.rs |
//! | a stop | maintenance | `daemon.stopped` | daemon/src/server.rs | tests/tests/events.rs |
//! | a sign of life, each minute | maintenance | `ledger.heartbeat` | ledger/src/entry.rs | daemon/src/gate/tests.rs |
//! | the log could not be written for a while | maintenance | `ledger.recovered` | ledger/src/sequencer.rs | ledger/tests/failing.rs |
//! | an entry became durable after its maker gave up | maintenance | `ledger.unanswered` | ledger/src/looks.rs | ledger/tests/failing.rs |
//! | a crash left half an entry | maintenance | `ledger.tail_dropped` | ledger/src/ledger.rs | ledger/tests/crashes.rs |
//! | the log begins anew, as the police granted | admin | `ledger.epoch` | ledger/src/epoch.rs | tests/tests/epochs.rs |
//! | no witness confirmed the log for five minutes | maintenance | `witness.late` | daemon/src/custody.rs | daemon/src/custody.rs |
//! | it does again | maintenance | `witness.back` | daemon/src/custody.rs | daemon/src/custody.rs |
//! | a witness cannot be reached, or refuses | maintenance | `witness.refuses` | daemon/src/witnessing.rs | tests/tests/witnessed.rs |
//! | it signs again | maintenance | `witness.signs` | daemon/src/witnessing.rs | tests/tests/witnessed.rs |
//! | the clock is ahead of what has passed | maintenance | `clock.doubted` | daemon/src/retention/watch.rs | daemon/src/retention/tests.rs |
//! | it is confirmed | maintenance | `clock.confirmed` | daemon/src/retention/watch.rs | daemon/src/retention/tests.rs |
//! | it was set back | maintenance | `clock.set_back` | daemon/src/retention/watch.rs | daemon/src/retention/tests.rs |
//! | a police person asks to accept it | admin | `clock.accept` | daemon/src/api/clock.rs | tests/tests/killed.rs |
//! | it is accepted | maintenance | `clock.accepted` | daemon/src/api/clock.rs | tests/tests/killed.rs |
//! | the clock's synchronisation was lost or found | maintenance | `clock.synchronisation` | daemon/src/synchronisation.rs | daemon/src/synchronisation.rs |
//! | the two copies of the keys or of a hold differ, or one cannot be read | maintenance | `keys.differ` | daemon/src/retention/watch.rs | daemon/src/retention/tests.rs |
//! | the keys of older footage were gone at a start | maintenance | `keys.lost` | daemon/src/retention/watch.rs | daemon/src/retention/tests.rs |
//! | footage fills its byte budget | maintenance | `budget.alarm` | daemon/src/retention/budget.rs | daemon/src/retention/tests.rs |

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs,
        path::{Path, PathBuf},
    };

    fn crates() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
    }

    fn read(name: &str) -> String {
        let path = if name.starts_with("tests/") {
            crates().parent().unwrap().join(name)
        } else {
            crates().join(name)
        };
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Action, where it is written, where it is seen.
    fn rows() -> Vec<(String, String, String)> {
        let rows = include_str!("events.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
        rows.skip(2)
            .map(|row| {
                let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
                let [_, _, action, written, seen] = cells[..] else { panic!("not five cells: {row}") };
                (action.trim_matches('`').to_owned(), written.to_owned(), seen.to_owned())
            })
            .collect()
    }

    /// How a name stands in a source: looks get their steps from the gate.
    fn spelled(action: &str, text: &str) -> bool {
        let stem = action.trim_end_matches(".start").trim_end_matches(".stop").trim_end_matches(".continue");
        text.contains(&format!("\"{action}\"")) || text.contains(&format!("\"{stem}\""))
    }

    #[test]
    fn every_row_is_written_and_seen() {
        let mut unseen = 0;
        for (action, written, seen) in rows() {
            assert!(spelled(&action, &read(&written)), "{written} does not write {action}");
            if seen == "—" {
                unseen += 1;
                continue;
            }
            let text = read(&seen);
            assert!(
                text.contains("#[test]") || text.contains("tokio::test") || seen == written,
                "{seen} tests nothing"
            );
            let stem = action.rsplit_once('.').map_or(action.as_str(), |(stem, _)| stem);
            assert!(
                text.contains(&action) || text.contains(&format!("\"{stem}\"")),
                "{seen} does not see {action}"
            );
        }
        assert!(unseen <= 1, "{unseen} events that no test sees");
    }

    fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs")
                && !path.ends_with("tests.rs")
                && !path.ends_with("testing.rs")
                && !path.ends_with("events.rs")
            {
                into.push(path);
            }
        }
    }

    #[test]
    fn every_name_that_is_written_has_a_row() {
        let listed: BTreeSet<String> = rows().into_iter().map(|(action, ..)| action).collect();
        // Lists, of which only the refusal is logged: a row stands for all of them.
        let lists = [
            "clock.read",
            "register.read",
            "cameras.list",
            "cameras.why",
            "incidents.list",
            "holds.list",
            "health.read",
            "export.list",
            "export.read",
            "quarantine.list",
            "register.emergencies",
            "register.endings",
            "register.outlook",
            "register.preview",
        ];
        let mut files = Vec::new();
        for room in ["daemon/src", "ledger/src"] {
            sources(&crates().join(room), &mut files);
        }
        let mut missing = Vec::new();
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            for name in text.split('"').skip(1).step_by(2) {
                let looks_like_one = name.split_once('.').is_some_and(|(kind, step)| {
                    [kind, step].iter().all(|part| {
                        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                    })
                });
                let file_name = [
                    "sqlite",
                    "json",
                    "pem",
                    "key",
                    "vkey",
                    "toml",
                    "rs",
                    "witnessed",
                    "pruned",
                    "new",
                    "mp",
                    "case_number",
                    "old",
                ]
                .iter()
                .any(|end| name.ends_with(&format!(".{end}")));
                let field = ["origin.", "recipient.", "justification.", "actor."]
                    .iter()
                    .any(|group| name.starts_with(group));
                if looks_like_one && !file_name && !field && !listed.contains(name) && !lists.contains(&name)
                {
                    missing.push(format!("{name} in {}", file.display()));
                }
            }
        }
        assert!(missing.is_empty(), "written but not in the table:\n{}", missing.join("\n"));
    }

    /// Whoever makes figures has no way to the log (Wpg 32a lid 2; `decisions.md` 23): beside the door, which refuses that
    /// purpose, the rooms where figures are made do not know it.
    #[test]
    fn figures_are_made_without_the_log() {
        for room in ["daemon/src/tally.rs", "daemon/src/report.rs", "daemon/src/api/reports.rs"] {
            let text = read(room);
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            for way in ["ledger::", ".ledger", ".log()", "ledger_entries"] {
                assert!(!text.contains(way), "{room} reaches for the log: `{way}`");
            }
        }
    }
}
