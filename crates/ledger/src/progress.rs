//! How far the log was when it was last published: what a start needs in order to read only what came after, instead of
//! the whole sequence file. Written now and then and at a stop; when it is missing, damaged or does not fit, the whole
//! file is read.

use crate::{LedgerError, looks::OpenLook, tree::NodeHash};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fs, path::Path};

const FILE: &str = "progress";
const VERSION: u32 = 1;

/// The state of the log after `size` entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    v: u32,
    /// How many entries.
    pub(crate) size: u64,
    /// Where the next record begins in the sequence file.
    pub(crate) end: u64,
    /// The newest number that came through the spool.
    pub(crate) spool: u64,
    /// The newest entry's time (UTC).
    pub(crate) last: Option<DateTime<Utc>>,
    /// The looks that were open.
    pub(crate) looks: Vec<OpenLook>,
    /// The tree's partial tiles, level by level, the hashes of each behind one another in base64.
    edge: Vec<String>,
}

impl Progress {
    pub(crate) fn new(size: u64, end: u64, spool: u64, edge: &[Vec<NodeHash>]) -> Self {
        let edge = edge.iter().map(|hashes| BASE64_STANDARD.encode(hashes.concat())).collect();
        Self { v: VERSION, size, end, spool, last: None, looks: Vec::new(), edge }
    }

    pub(crate) fn edge(&self) -> Option<Vec<Vec<NodeHash>>> {
        let hashes = |text: &String| {
            let bytes = BASE64_STANDARD.decode(text).ok()?;
            let (hashes, rest) = bytes.as_chunks::<32>();
            rest.is_empty().then(|| hashes.to_vec())
        };
        self.edge.iter().map(hashes).collect()
    }

    /// Reads it; none when there is none that is whole.
    pub(crate) fn read(dir: &Path) -> Option<Self> {
        let text = fs::read_to_string(dir.join(FILE)).ok()?;
        let (body, check) = text.split_once('\n')?;
        if check.trim_end() != digest(body) {
            return None;
        }
        serde_json::from_str(body).ok().filter(|progress: &Self| progress.v == VERSION)
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), LedgerError> {
        let body = serde_json::to_string(self).map_err(|_| LedgerError::NotCanonical("the progress"))?;
        let text = format!("{body}\n{}\n", digest(&body));
        crate::publish::write_durably(&dir.join(FILE), text.as_bytes())
            .map_err(LedgerError::io(dir.join(FILE)))
    }
}

fn digest(body: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(body.as_bytes()))
}
