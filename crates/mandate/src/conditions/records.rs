//! The log and the figures: what they may be used for and how long they stay (Wpg 22, 25, 32, 32a).

use super::{Step, Walk, need};
use crate::{
    decision::ReasonCode,
    statement::{FigureSource, Level, LogPurpose},
    windows,
};

/// One of the four purposes of Wpg 32a lid 2.
pub(crate) fn read_log(walk: &mut Walk<'_>) -> Step {
    let purpose = walk.statement().and_then(|statement| statement.log_purpose.as_ref());
    let allowed = matches!(
        purpose,
        Some(
            LogPurpose::Lawfulness
                | LogPurpose::InternalControl
                | LogPurpose::Integrity
                | LogPurpose::CriminalProceedings
        )
    );
    need(allowed, ReasonCode::LogPurposeNotAllowed)
}

/// What goes is covered by an external audit (Wpg 32 lid 4) and older than the log's own term.
pub(crate) fn purge_log(walk: &mut Walk<'_>) -> Step {
    let statement = walk.statement();
    let entries_until = statement.and_then(|statement| statement.entries_until);
    let audited_until = statement.and_then(|statement| statement.audit_covered_until);
    let audited = matches!((entries_until, audited_until), (Some(e), Some(a)) if e <= a);
    need(audited, ReasonCode::LogRetention)?;
    let months = walk.register.policy().log_term_years.saturating_mul(12);
    let due = entries_until.and_then(|entries_until| windows::months_later(entries_until, months));
    walk.changes(due);
    need(due.is_some_and(|due| due <= walk.at), ReasonCode::LogRetention)
}

/// Totals only, and never from the log: that would be another purpose.
pub(crate) fn statistics(walk: &mut Walk<'_>) -> Step {
    let statement = walk.statement();
    let source = statement.and_then(|statement| statement.source.as_ref());
    let from_register = matches!(source, Some(FigureSource::IncidentRegister | FigureSource::Register));
    need(from_register, ReasonCode::LogPurposeNotAllowed)?;
    let level = statement.and_then(|statement| statement.level.as_ref());
    need(level == Some(&Level::Aggregate), ReasonCode::StatisticsPersonalData)
}
