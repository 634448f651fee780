//! The second limit: bytes. It alarms long before it bites, and what it takes it takes hour by hour from the oldest on,
//! each intent logged first.
//!
//! A volume goes when nothing lives in it, so the disk may show the effect of a destroyed hour only hours later. What
//! counts is therefore what still opens: bytes on disk less those that are dead. And where the disk does not unlink at all,
//! destroying more would free nothing: the budget stops and alarms.

use super::{ALARM_PERCENT, BUDGET_STEPS, HOUR, Inner, Retention, Subject, object};
use crate::{
    clock::{instant, micros},
    gate::Ask,
};
use chrono::{DateTime, Utc};
use ledger::{Entry, Operation};
use mandate::{Action, DestroyGround, Object, Request};
use media::Micros;
use std::sync::atomic::Ordering::Relaxed;

impl Retention {
    pub(super) fn budget(&self, inner: &mut Inner, now: DateTime<Utc>) {
        let Some(budget) = self.budget_bytes.filter(|budget| *budget > 0) else { return };
        let percent = self.vault.stats().bytes.saturating_mul(100) / budget;
        let before = self.figures.budget_percent.swap(percent, Relaxed);
        if percent >= ALARM_PERCENT && before < ALARM_PERCENT {
            tracing::error!(
                percent,
                "footage fills its byte budget; beyond it the oldest is destroyed before its term"
            );
            self.alarm(now, serde_json::json!({ "percent": percent }));
        }
        for _ in 0..BUDGET_STEPS {
            if self.vault.stats().bytes.saturating_sub(inner.state.dead_bytes) <= budget {
                return;
            }
            if self.figures.unlinks_failed.load(Relaxed) > 0 {
                self.stuck(inner, now);
                return;
            }
            let subjects = self.subjects();
            let oldest = subjects.iter().filter_map(|s| self.vault.key_hours(s.stream).first().copied());
            // The hour that is being recorded is never taken.
            let Some(hour) = oldest.min().filter(|hour| hour.plus(HOUR) < micros(now)) else { return };
            let mut any = false;
            for subject in &subjects {
                if !self.vault.key_hours(subject.stream).contains(&hour) {
                    continue;
                }
                if !self.intend(subject, hour, now) {
                    tracing::error!(
                        "the budget is used up, but without an entry nothing is destroyed before its term"
                    );
                    return;
                }
                let data = serde_json::json!({ "ground": "byte budget" });
                any |= self.destroy(inner, subject, (hour, hour.plus(HOUR)), now, data, true);
            }
            if !any {
                return;
            }
        }
    }

    /// Logs that an hour goes for the budget. Through the gate, but for footage of a camera that the register does not know:
    /// of that the law says nothing but that it has no basis, and no term may be shortened by it.
    fn intend(&self, subject: &Subject, hour: Micros, now: DateTime<Utc>) -> bool {
        let (from, until) = (hour, hour.plus(HOUR));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
        let snapshot = self.gate.snapshot();
        let known = subject.camera.as_ref().filter(|camera| snapshot.register.camera(camera).is_some());
        let Some(camera) = known else {
            let mut entry = Entry::new(now, Operation::Destroy, "destroy.budget");
            entry.object = Some(object(subject, from, until));
            entry.data = Some(serde_json::json!({ "register": "camera unknown" }));
            return runtime.block_on(self.gate.log().append(entry)).is_ok();
        };
        let object = Object::Footage { camera: camera.clone(), from: instant(from), until: instant(until) };
        let mut request = Request::by_system(Action::Destroy, object);
        request.resolved.destroy_ground = Some(DestroyGround::BudgetInstruction);
        let ask = Ask { request, session: None, name: "destroy.budget", display: None };
        runtime.block_on(self.gate.act(&ask)).is_ok()
    }

    fn stuck(&self, inner: &mut Inner, now: DateTime<Utc>) {
        let failed = self.figures.unlinks_failed.load(Relaxed);
        if std::mem::replace(&mut inner.stuck, true) {
            return;
        }
        tracing::error!(
            volumes = failed,
            "ALARM: the byte budget is used up and the disk does not unlink what is dead: nothing more is destroyed for it"
        );
        self.alarm(now, serde_json::json!({ "unlinks_failed": failed }));
    }

    fn alarm(&self, now: DateTime<Utc>, data: serde_json::Value) {
        let mut entry = Entry::new(now, Operation::Maintenance, "budget.alarm");
        entry.data = Some(data);
        self.gate.log().append_spooled(entry);
    }
}
