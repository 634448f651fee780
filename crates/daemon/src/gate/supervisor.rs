//! Decides open leases again: at the instant a permit names, at every change of the register, and when the log fails.

use super::{
    GRACE, Gate, HEARTBEAT, PROBE,
    entries::{code_text, entry_of, fact_text, incomplete, personal},
    lease::{Held, LeaseState},
    log_unavailable,
    telling::rests_on,
    unwitnessed, witness,
};
use crate::journal::Snapshot;
use chrono::{DateTime, Utc};
use ledger::{Entry, Operation, Outcome};
use mandate::{Actor, CameraId, Decision, Denial, IncidentId, InstructionId, Request, decide};
use protocol::socket::EndCause;
use std::collections::{HashMap, HashSet};

/// The instruction that covers the camera now: a look goes on under a follow-up as it would begin under it (V12). What was
/// found for a camera is remembered for the length of one review.
fn instruct(
    snapshot: &Snapshot,
    request: &mut Request,
    now: DateTime<Utc>,
    found: &mut HashMap<CameraId, Option<InstructionId>>,
) {
    if let (Actor::Person { .. }, Some(camera)) = (&request.actor, request.object.camera()) {
        let of_camera = found.entry(camera.clone()).or_insert_with_key(|camera| {
            snapshot.register.instruction_for(camera, now).map(|i| i.id.clone())
        });
        if request.resolved.instruction != *of_camera {
            request.resolved.instruction.clone_from(of_camera);
        }
    }
}

/// The request without the incident that it names, where that was closed: it carries nothing any more. What the log says of
/// the look keeps it.
fn without_closed(request: &Request, closed: &HashSet<IncidentId>) -> Option<Request> {
    request.resolved.incident.as_ref().filter(|incident| closed.contains(*incident))?;
    let mut request = request.clone();
    request.resolved.incident = None;
    Some(request)
}

/// Bytes of looks that one entry tells; the log takes entries of 65,535 bytes.
const MOST_TOLD: usize = 48 << 10;

impl Gate {
    pub(super) fn log_stop(&self, held: &Held, outcome: Outcome, denial: Option<&Denial>) {
        let snapshot = self.snapshot();
        let mut entry = entry_of(
            &held.ask,
            Operation::Consult,
            ".stop",
            self.0.clock.now(),
            &snapshot,
            &held.basis,
            None,
        );
        entry.look = Some(held.look.clone());
        entry.outcome = outcome;
        if let Some(denial) = denial {
            rests_on(&mut entry, denial);
        }
        self.0.log.append_spooled(entry);
    }

    /// Decides open leases again when an instant, a change of the register or the log's health asks for it. Runs until
    /// the register's journal is gone.
    pub async fn supervise(self) {
        let mut register = self.0.register.clone();
        let mut health = self.0.log.health();
        let mut beat_at = self.0.clock.now() + HEARTBEAT;
        let mut probe_at = self.0.clock.now() + PROBE;
        loop {
            let (next, open) = {
                let held = self.held();
                (held.values().filter_map(|h| h.review_at).min(), !held.is_empty())
            };
            let failing = health.borrow_and_update().failing_since;
            let grace_over = failing.filter(|_| open).map(|since| since + GRACE);
            let now = self.0.clock.now();
            if !open {
                probe_at = now + PROBE;
            }
            let police_only = self.police_only_from().filter(|from| open && *from > now);
            let wake = [next, grace_over, police_only, open.then_some(probe_at)]
                .into_iter()
                .flatten()
                .fold(beat_at, Ord::min);
            let mut changed = false;
            tokio::select! {
                () = self.0.clock.reached(wake) => {}
                result = register.changed() => {
                    if result.is_err() {
                        return;
                    }
                    changed = true;
                }
                result = health.changed() => {
                    if result.is_err() {
                        return;
                    }
                }
                () = self.0.new_lease.notified() => {}
            }
            let now = self.0.clock.now();
            if health.borrow().failing_since.is_some_and(|since| now >= since + GRACE) {
                self.cut_all();
            }
            self.cut_unwitnessed(now);
            self.review(now, changed);
            if now >= beat_at {
                (beat_at, probe_at) = (now + HEARTBEAT, now + PROBE);
                self.tell_refusals(false);
                let log = self.0.log.clone();
                // Not awaited here: a failing log takes seconds to say so, and cuts must not wait for it.
                tokio::spawn(async move {
                    if let Err(error) = log.append(Entry::heartbeat(now, ledger::Clock::Unknown)).await {
                        tracing::error!(%error, "no sign of life could be written to the log");
                    }
                });
            } else if open && now >= probe_at {
                probe_at = now + PROBE;
                let log = self.0.log.clone();
                // The log's health says the rest.
                tokio::spawn(async move { log.probe().await.ok() });
            }
        }
    }

    fn cut_all(&self) {
        let all = std::mem::take(&mut *self.held());
        for held in all.into_values() {
            self.cut(
                held,
                EndCause::LogUnavailable { sentence: log_unavailable() },
                "LOG_UNAVAILABLE".to_owned(),
            );
        }
    }

    /// Ends the looks of those who may not look while the witness is silent.
    fn cut_unwitnessed(&self, now: DateTime<Utc>) {
        let waiting: Vec<Held> = {
            let mut held = self.held();
            held.extract_if(.., |_, h| self.waits_for_witness(&h.ask.request.actor, now))
                .map(|(_, h)| h)
                .collect()
        };
        for held in waiting {
            let cause = EndCause::LogUnavailable { sentence: unwitnessed() };
            self.cut(held, cause, witness::CODE.to_owned());
        }
    }

    /// Ends a look, first in effect and then in the log.
    fn cut(&self, held: Held, cause: EndCause, reason_code: String) {
        held.ticket.stop();
        held.state.send_replace(LeaseState::Ended(cause));
        self.log_stop(&held, Outcome::Deny { reason_code }, None);
    }

    /// Decides again what is due, or everything when the register changed.
    pub(super) fn review(&self, now: DateTime<Utc>, all: bool) {
        let snapshot = self.snapshot();
        let mut cuts = Vec::new();
        let mut continued = HashMap::new();
        let mut instructed = HashMap::new();
        {
            let closed = self.closed();
            let mut held = self.held();
            let due: Vec<u64> = held
                .iter()
                .filter(|(_, h)| all || h.review_at.is_some_and(|at| at <= now))
                .map(|(id, _)| *id)
                .collect();
            for id in due {
                let Some(entry) = held.get_mut(&id) else { continue };
                instruct(&snapshot, &mut entry.ask.request, now, &mut instructed);
                let without = without_closed(&entry.ask.request, &closed);
                match decide(&snapshot.register, without.as_ref().unwrap_or(&entry.ask.request), now) {
                    Decision::Permit(permit) if entry.pending.as_deref() == Some(permit.basis()) => {
                        entry.review_at = permit.until();
                    }
                    Decision::Permit(permit) => {
                        entry.epoch += 1;
                        entry.pending = None;
                        entry.review_at = permit.until();
                        if permit.basis() == &*entry.basis {
                            let until = permit.until();
                            entry.ticket.set_until(until);
                            entry.state.send_if_modified(|state| {
                                let fresh = LeaseState::Running { basis: entry.basis.clone(), until };
                                let differs = *state != fresh;
                                *state = fresh;
                                differs
                            });
                        } else {
                            entry.pending = Some(permit.basis().to_vec());
                            continued.insert(id, (entry.epoch, permit));
                        }
                    }
                    Decision::Deny(denial) => {
                        if let Some(entry) = held.remove(&id) {
                            // The effect first, for all of them; words and entries take their time afterwards.
                            entry.ticket.stop();
                            cuts.push((entry, without, denial));
                        }
                    }
                }
            }
        }
        for (held, without, denial) in cuts {
            let refusal = self.refusal(without.as_ref().unwrap_or(&held.ask.request), &denial);
            held.ticket.stop();
            held.state.send_replace(LeaseState::Ended(EndCause::Refused(refusal)));
            let outcome = Outcome::Deny { reason_code: code_text(denial.code) };
            self.log_stop(&held, outcome, Some(&denial));
        }
        if !continued.is_empty() {
            let gate = self.clone();
            tokio::spawn(async move { gate.go_on(continued, now, &snapshot).await });
        }
    }

    /// Looks that go on under another basis: logged first, in as few entries as hold them.
    async fn go_on(
        &self,
        continued: HashMap<u64, (u64, mandate::Permit)>,
        now: DateTime<Utc>,
        snapshot: &Snapshot,
    ) {
        let (looks, entries): (Vec<_>, Vec<_>) =
            self.continuations(&continued, now, snapshot).into_iter().unzip();
        let appends = entries.into_iter().map(|entry| self.0.log.append(entry));
        let logged = futures::future::join_all(appends).await;
        let mut cuts = Vec::new();
        {
            let mut held = self.held();
            for (ids, logged) in looks.into_iter().zip(logged) {
                for id in ids {
                    let Some((epoch, permit)) = continued.get(&id) else { continue };
                    let Some(entry) = held.get_mut(&id).filter(|h| h.epoch == *epoch) else { continue };
                    if logged.is_err() {
                        cuts.extend(held.remove(&id));
                        continue;
                    }
                    entry.pending = None;
                    entry.basis = permit.basis().into();
                    entry.ticket.set_until(permit.until());
                    let (basis, until) = (entry.basis.clone(), permit.until());
                    entry.state.send_replace(LeaseState::Running { basis, until });
                }
            }
        }
        for held in cuts {
            self.cut(
                held,
                EndCause::LogUnavailable { sentence: log_unavailable() },
                "LOG_UNAVAILABLE".to_owned(),
            );
        }
    }

    /// The entries of looks that go on, each with the looks that it tells: one however many they are, unless they are more than
    /// an entry has room for.
    fn continuations(
        &self,
        continued: &HashMap<u64, (u64, mandate::Permit)>,
        now: DateTime<Utc>,
        snapshot: &Snapshot,
    ) -> Vec<(Vec<u64>, Entry)> {
        let held = self.held();
        let mut looks: Vec<_> =
            continued.iter().filter_map(|(id, (_, permit))| held.get(id).map(|h| (*id, h, permit))).collect();
        looks.sort_by(|a, b| a.1.look.cmp(&b.1.look));
        if let [(id, only, permit)] = &looks[..] {
            let basis = permit.basis();
            let mut entry =
                entry_of(&only.ask, Operation::Consult, ".continue", now, snapshot, basis, permit.until());
            entry.look = Some(only.look.clone());
            entry.outcome = Outcome::Permit;
            if !permit.is_complete() {
                entry.data = Some(incomplete());
            }
            return vec![(vec![*id], entry)];
        }
        let mut groups: Vec<(Vec<u64>, Vec<serde_json::Value>)> = Vec::new();
        let mut room = 0;
        for (id, look, permit) in looks {
            let basis: Vec<_> = permit.basis().iter().filter(|f| !personal(f.kind)).map(fact_text).collect();
            let mut of_look = serde_json::json!({ "look": look.look, "basis": basis });
            if !permit.is_complete() {
                of_look["basis_complete"] = false.into();
            }
            let size = of_look.to_string().len() + 1;
            if let Some((ids, told)) = groups.last_mut().filter(|_| size <= room) {
                ids.push(id);
                told.push(of_look);
                room -= size;
            } else {
                groups.push((vec![id], vec![of_look]));
                room = MOST_TOLD.saturating_sub(size);
            }
        }
        let entry = |(ids, looks): (Vec<u64>, Vec<serde_json::Value>)| {
            let mut entry = Entry::new(now, Operation::Consult, "looks.continue");
            entry.outcome = Outcome::Permit;
            entry.legal_context.register_head = Some(snapshot.head.to_string());
            entry.data = Some(serde_json::json!({ "looks": looks }));
            (ids, entry)
        };
        groups.into_iter().map(entry).collect()
    }
}
