//! `mirror`: a copy of the log over HTTPS, for whoever may read it and for a purpose of Wpg 32a lid 2. It asks only for what is
//! new since the last time, believes nothing before the keys say so, and never replaces a copy by a shorter or another
//! history: the copy is what convicts.

use super::{keys::Keys, purpose::Purpose, say, verify};
use crate::session;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use ledger::{
    Known,
    note::Checkpoint,
    tiles::{PRUNED, TileAt, TileDirectory, WIDTH, WITNESSED, entries_path, hash_tile_path, new_tiles},
    tree::Tree,
};
use protocol::client::{ClientError, Session};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};
use tokio::task::JoinSet;

/// Files that are fetched at the same time.
const AT_ONCE: usize = 8;

/// `rtrctl ledger mirror`
#[derive(Args)]
pub(crate) struct Mirror {
    /// The folder of the copy; made when it is not there, brought up to date when it is
    dir: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// For what the log is read; it stands in the log
    #[arg(long, value_enum)]
    purpose: Purpose,
    /// Leaves out the check of every entry afterwards; what is new is still held against the checkpoints
    #[arg(long)]
    no_verify: bool,
}

/// What one run brought.
#[derive(Default)]
struct Brought {
    files: u64,
    bytes: u64,
}

impl Mirror {
    pub(crate) fn run(&self, session: Option<PathBuf>) -> Result<ExitCode> {
        let policy = self.keys.policy()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let began = Instant::now();
        let brought = runtime.block_on(async {
            let session = session::resume(&session::file(session)?).await?;
            self.bring(Arc::new(session), &policy.log).await
        })?;
        let (size, new, brought) = match brought {
            Ok(brought) => brought,
            Err(finding) => {
                say(format!("WRONG: {finding}"));
                say("The copy was left as it was: together with what the server shows now it proves that.");
                return Ok(ExitCode::FAILURE);
            }
        };
        say(format!(
            "{size} entries, {new} of them new; {} files of {:.1} MB in {:.1} s",
            brought.files,
            brought.bytes as f64 / 1e6,
            began.elapsed().as_secs_f64()
        ));
        if self.no_verify {
            return Ok(ExitCode::SUCCESS);
        }
        let known = Known { witnesses: policy.witnesses.clone(), kept: Vec::new() };
        let began = Instant::now();
        match ledger::inspect(&self.dir, &policy.log, &known) {
            Ok(verified) => {
                verify::report(&verified, &known, began.elapsed().as_secs_f64());
                Ok(ExitCode::SUCCESS)
            }
            Err(findings) => Ok(verify::wrong(&findings)),
        }
    }

    /// Brings the copy up to date: its size, how many entries are new, and what was fetched; or what is wrong with the log.
    async fn bring(
        &self,
        session: Arc<Session>,
        log_key: &str,
    ) -> Result<Result<(u64, u64, Brought), String>> {
        let own = match fs::read_to_string(self.dir.join("checkpoint")) {
            Ok(note) => {
                let own = Checkpoint::read(&note, log_key);
                Some(own.with_context(|| format!("{} holds the copy of another log", self.dir.display()))?)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e).with_context(|| self.dir.display().to_string()),
        };
        let mut brought = Brought::default();
        let note = self
            .text(&session, "checkpoint", &mut brought)
            .await?
            .context("the log has no checkpoint yet")?;
        let checkpoint = match Checkpoint::read(&note, log_key) {
            Ok(checkpoint) => checkpoint,
            Err(e) => return Ok(Err(e.to_string())),
        };
        let before = own.as_ref().map_or(0, |own| own.size);
        if checkpoint.size < before {
            return Ok(Err(format!(
                "the server shows {} entries, the copy has {before}: the log was cut or rolled back at {}",
                checkpoint.size, checkpoint.size
            )));
        }
        let pruned = self.text(&session, PRUNED, &mut brought).await?;
        let first = match &pruned {
            Some(note) => match Checkpoint::read(note, log_key) {
                Ok(tombstone) => tombstone.size,
                Err(e) => return Ok(Err(format!("{PRUNED}: {e}"))),
            },
            None => 0,
        };
        let mut wanted = Vec::new();
        for tile in new_tiles(before, checkpoint.size) {
            // A tile whose last entry was purged is gone (tlog-tiles, "pruning").
            let shift = 8 * u32::from(tile.level);
            if ((tile.n + 1) * WIDTH) << shift <= first {
                continue;
            }
            wanted.push(named(tile, |n, width| hash_tile_path(tile.level, n, width)));
            if tile.level == 0 {
                wanted.push(named(tile, entries_path));
            }
        }
        let filled: Vec<PathBuf> =
            wanted.iter().filter(|(exact, full)| exact == full).map(|(_, full)| full.clone()).collect();
        self.fetch(&session, wanted, &mut brought).await?;
        // The new right edge must have the signed root, and the old tree must be its beginning.
        let tree = Tree::open(TileDirectory::new(&self.dir), checkpoint.size)?;
        if tree.root() != checkpoint.root {
            return Ok(Err(format!(
                "the tiles do not have the root that was signed at {} entries",
                checkpoint.size
            )));
        }
        if let Some(own) = own.filter(|own| own.size >= first)
            && tree.root_at(own.size) != Some(own.root)
        {
            return Ok(Err(format!(
                "the log that the server shows is another one than was copied: it was rewritten before entry {}",
                own.size
            )));
        }
        for (name, text) in
            [(PRUNED, pruned), (WITNESSED, self.text(&session, WITNESSED, &mut brought).await?)]
        {
            if let Some(text) = text {
                put(&self.dir.join(name), text.as_bytes())?;
            }
        }
        put(&self.dir.join("checkpoint"), note.as_bytes())?;
        // Only now: until here the copy that was there before is whole.
        for full in filled {
            fs::remove_dir_all(self.dir.join(full.with_extension("p"))).ok();
        }
        Ok(Ok((checkpoint.size, checkpoint.size - before, brought)))
    }

    async fn text(&self, session: &Session, name: &str, brought: &mut Brought) -> Result<Option<String>> {
        let Some(bytes) = get(session, name, self.purpose).await? else { return Ok(None) };
        brought.files += 1;
        brought.bytes += bytes.len() as u64;
        Ok(Some(String::from_utf8(bytes).with_context(|| format!("{name} is no text"))?))
    }

    /// Fetches files, each by its name or, where it has been replaced meanwhile, by that of the full tile.
    async fn fetch(
        &self,
        session: &Arc<Session>,
        wanted: Vec<(PathBuf, PathBuf)>,
        brought: &mut Brought,
    ) -> Result<()> {
        let mut wanted = wanted.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_ONCE
                && let Some((exact, full)) = wanted.next()
            {
                let (session, purpose, dir) = (session.clone(), self.purpose, self.dir.clone());
                running.spawn(async move {
                    for path in [&exact, &full] {
                        let name = path.display().to_string();
                        if let Some(bytes) = get(&session, &name, purpose).await? {
                            put(&dir.join(path), &bytes)?;
                            return Ok(bytes.len() as u64);
                        }
                    }
                    bail!("the server has no {}", exact.display())
                });
            }
            let Some(done) = running.join_next().await else { return Ok(()) };
            brought.bytes += done.context("a file was not fetched")??;
            brought.files += 1;
        }
    }
}

/// The name of a tile's file, and of the full tile that replaces it.
fn named(tile: TileAt, path: impl Fn(u64, u64) -> PathBuf) -> (PathBuf, PathBuf) {
    (path(tile.n, tile.width), path(tile.n, WIDTH))
}

async fn get(session: &Session, name: &str, purpose: Purpose) -> Result<Option<Vec<u8>>> {
    match session.log_file(name, purpose.word()).await {
        Ok(bytes) => Ok(Some(bytes.to_vec())),
        Err(ClientError::Problem(problem)) if problem.status == 404 => Ok(None),
        Err(error) => Err(error).with_context(|| name.to_owned()),
    }
}

/// A file that is there whole or not at all.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&fresh, bytes)?;
        fs::rename(&fresh, path)
    };
    write().with_context(|| path.display().to_string())
}
