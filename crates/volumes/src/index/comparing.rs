//! Two indexes held against each other, row by row in the order of their keys: neither is ever in memory as a whole.

use super::Index;
use crate::error::VaultError;
use rusqlite::{Rows, types::Value};
use std::{cmp::Ordering, fmt};

/// The tables that say what volumes hold, and of how many columns their keys are; the last of these is the volume's number.
const TABLES: [(&str, usize); 2] = [("volume", 1), ("minute", 3)];

/// A row that two indexes do not have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its key: a volume's number; or stream, minute (since 1970 UTC) and number of the volume.
    pub key: Vec<i64>,
    /// Whether the first index has a row of this key.
    pub in_first: bool,
    /// Whether the second has one.
    pub in_second: bool,
}

impl Difference {
    /// The number of the volume that it is about.
    pub fn volume(&self) -> u64 {
        self.key.last().map_or(0, |number| *number as u64)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key[..] {
            [stream, minute, volume] => {
                write!(f, "stream {stream}, minute {minute} (since 1970 UTC), volume {volume}")
            }
            _ => write!(f, "volume {}", self.volume()),
        }
    }
}

/// A row: its key, and all its columns.
type Row = (Vec<i64>, Vec<Value>);

impl Index {
    /// Tells each row about footage in which this index differs from another, in order of table and key.
    ///
    /// # Errors
    /// [`VaultError::Index`] when one of the two cannot be read.
    pub fn compare(&self, other: &Self, mut tell: impl FnMut(Difference)) -> Result<(), VaultError> {
        for (table, keys) in TABLES {
            let order: Vec<_> = (1..=keys).map(|column| column.to_string()).collect();
            let sql = format!("SELECT * FROM {table} ORDER BY {}", order.join(", "));
            let (mut first, mut second) = (self.connection.prepare(&sql)?, other.connection.prepare(&sql)?);
            let (mut first, mut second) = (first.query([])?, second.query([])?);
            let (mut a, mut b) = (next(&mut first, keys)?, next(&mut second, keys)?);
            loop {
                let order = match (&a, &b) {
                    (None, None) => break,
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (Some(a), Some(b)) => a.0.cmp(&b.0),
                };
                let (in_first, in_second) = (order != Ordering::Greater, order != Ordering::Less);
                let row = if in_first { &a } else { &b };
                if let Some((key, _)) = row
                    && a != b
                {
                    tell(Difference { key: key.clone(), in_first, in_second });
                }
                if in_first {
                    a = next(&mut first, keys)?;
                }
                if in_second {
                    b = next(&mut second, keys)?;
                }
            }
        }
        Ok(())
    }
}

fn next(rows: &mut Rows<'_>, keys: usize) -> Result<Option<Row>, VaultError> {
    let Some(row) = rows.next()? else { return Ok(None) };
    let key = (0..keys).map(|column| row.get(column)).collect::<Result<_, _>>()?;
    let columns = row.as_ref().column_count();
    let values = (0..columns).map(|column| row.get(column)).collect::<Result<_, _>>()?;
    Ok(Some((key, values)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Batch, ChunkRef};
    use media::{Micros, StreamId};

    fn index(chunks: &[(u32, i64, u64, u32)]) -> Index {
        let mut index = Index::temporary().unwrap();
        let chunk = |(stream, minute, volume, units): &(u32, i64, u64, u32)| {
            let (from, until) = (Micros(minute * 60_000_000), Micros(minute * 60_000_000 + 1));
            let (offset, total, starts_with_key, predicted) = (4096, 200, true, 0);
            let chunk = ChunkRef {
                volume: *volume,
                offset,
                total,
                from,
                until,
                starts_with_key,
                units: *units,
                predicted,
            };
            (StreamId(*stream), chunk)
        };
        let opened = [1, 11].map(|number| (number, 28, [number as u8; 16])).to_vec();
        index
            .commit(&Batch { opened, chunks: chunks.iter().map(chunk).collect(), ..Batch::default() })
            .unwrap();
        index
    }

    fn differences(a: &Index, b: &Index) -> Vec<(Vec<i64>, bool, bool)> {
        let mut found = Vec::new();
        a.compare(b, |d| found.push((d.key, d.in_first, d.in_second))).unwrap();
        found
    }

    #[test]
    fn each_row_that_differs_is_told_once() {
        let a = index(&[(1, 5, 1, 25), (1, 6, 1, 25), (2, 5, 11, 25)]);
        assert_eq!(differences(&a, &a), []);
        let b = index(&[(1, 5, 1, 25), (1, 6, 11, 25), (2, 5, 11, 24), (3, 1, 1, 1)]);
        let told = [
            (vec![1, 6, 1], true, false),
            (vec![1, 6, 11], false, true),
            (vec![2, 5, 11], true, true),
            (vec![3, 1, 1], false, true),
        ];
        assert_eq!(differences(&a, &b), told);
    }
}
