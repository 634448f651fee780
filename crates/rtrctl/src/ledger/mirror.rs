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

/// Where a log's files come from.
trait Source: Send + Sync + 'static {
    /// The file with this name in the log's folder; none when there is no such file.
    fn file(&self, name: &str) -> impl Future<Output = Result<Option<Vec<u8>>>> + Send;
}

/// The daemon, asked for a purpose.
struct Daemon {
    session: Session,
    purpose: Purpose,
}

impl Source for Daemon {
    async fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self.session.log_file(name, self.purpose.word()).await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(ClientError::Problem(problem)) if problem.status == 404 => Ok(None),
            Err(error) => Err(error).with_context(|| name.to_owned()),
        }
    }
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
            let daemon = Daemon { session, purpose: self.purpose };
            Copy { dir: &self.dir, log_key: &policy.log }.bring(&Arc::new(daemon)).await
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
        let known = Known { witnesses: policy.witnesses.clone(), ..Known::default() };
        let began = Instant::now();
        match ledger::inspect(&self.dir, &policy.log, &known) {
            Ok(verified) => {
                verify::report(&verified, &known, began.elapsed().as_secs_f64());
                Ok(ExitCode::SUCCESS)
            }
            Err(findings) => Ok(verify::wrong(&findings)),
        }
    }
}

/// The copy, and the key by which what comes is believed.
struct Copy<'a> {
    dir: &'a Path,
    log_key: &'a str,
}

impl Copy<'_> {
    /// Brings the copy up to date: its size, how many entries are new, and what was fetched; or what is wrong with the log.
    async fn bring(&self, source: &Arc<impl Source>) -> Result<Result<(u64, u64, Brought), String>> {
        let log_key = self.log_key;
        let own = match fs::read_to_string(self.dir.join("checkpoint")) {
            Ok(note) => {
                let own = Checkpoint::read(&note, log_key);
                Some(own.with_context(|| format!("{} holds the copy of another log", self.dir.display()))?)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e).with_context(|| self.dir.display().to_string()),
        };
        let mut brought = Brought::default();
        // First: what a witness signs while the copy is made is newer than the checkpoint.
        let witnessed = text(source, WITNESSED, &mut brought).await?;
        let note =
            text(source, "checkpoint", &mut brought).await?.context("the log has no checkpoint yet")?;
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
        let pruned = text(source, PRUNED, &mut brought).await?;
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
        self.fetch(source, wanted, &mut brought).await?;
        // The new right edge must have the signed root, and the old tree must be its beginning.
        let tree = Tree::open(TileDirectory::new(self.dir), checkpoint.size)?;
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
        for (name, text) in [(PRUNED, pruned), (WITNESSED, witnessed)] {
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

    /// Fetches files, each by its name or, where it has been replaced meanwhile, by that of the full tile.
    async fn fetch(
        &self,
        source: &Arc<impl Source>,
        wanted: Vec<(PathBuf, PathBuf)>,
        brought: &mut Brought,
    ) -> Result<()> {
        let mut wanted = wanted.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_ONCE
                && let Some((exact, full)) = wanted.next()
            {
                let (source, dir) = (source.clone(), self.dir.to_owned());
                running.spawn(async move {
                    for path in [&exact, &full] {
                        let name = path.display().to_string();
                        if let Some(bytes) = source.file(&name).await? {
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

async fn text(source: &Arc<impl Source>, name: &str, brought: &mut Brought) -> Result<Option<String>> {
    let Some(bytes) = source.file(name).await? else { return Ok(None) };
    brought.files += 1;
    brought.bytes += bytes.len() as u64;
    Ok(Some(String::from_utf8(bytes).with_context(|| format!("{name} is no text"))?))
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

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use ledger::{Clock, Entry, Ledger, LedgerConfig};
    use std::sync::Mutex;

    /// A server that gives a folder's files and remembers which it was asked for.
    struct Folder {
        dir: PathBuf,
        asked: Mutex<Vec<String>>,
        /// What a witness signs as soon as the first tile is asked for.
        signed_then: Mutex<Option<Vec<u8>>>,
    }

    impl Source for Folder {
        async fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
            if name.starts_with("tile/")
                && let Some(note) = self.signed_then.lock().unwrap().take()
            {
                fs::write(self.dir.join(WITNESSED), note).unwrap();
            }
            let found = fs::read(self.dir.join(name)).ok();
            if found.is_some() {
                self.asked.lock().unwrap().push(name.to_owned());
            }
            Ok(found)
        }
    }

    /// Lets the log in `root` grow to `size` entries; `what` tells one history from another under the same key.
    async fn grow(root: &Path, size: u64, what: i64) -> String {
        let config = LedgerConfig::new(root.join("log"), root.join("log.key"), "rtr.example/t");
        let ledger = Ledger::open(config).unwrap();
        let mut appends = tokio::task::JoinSet::new();
        for n in ledger.size()..size {
            let at = DateTime::from_timestamp(1_795_000_000 + what + n as i64, 0).unwrap();
            let ledger = ledger.clone();
            appends.spawn(
                async move { ledger.append(Entry::heartbeat(at, Clock::Synchronised)).await.unwrap() },
            );
            tokio::task::yield_now().await;
        }
        appends.join_all().await;
        ledger.published().wait_for(|published| *published >= size).await.unwrap();
        ledger.vkey()
    }

    struct Server {
        root: tempfile::TempDir,
        key: String,
    }

    impl Server {
        async fn new(size: u64) -> Self {
            let root = tempfile::tempdir().unwrap();
            let key = grow(root.path(), size, 0).await;
            Self { root, key }
        }

        /// One run of `mirror` from the log in a folder: what it said, and what was fetched.
        async fn mirrored(&self, from: &Path) -> (Result<(u64, u64), String>, Vec<String>) {
            let source =
                Folder { dir: from.join("log"), asked: Mutex::default(), signed_then: Mutex::default() };
            self.bring(source).await
        }

        async fn bring(&self, source: Folder) -> (Result<(u64, u64), String>, Vec<String>) {
            let source = Arc::new(source);
            let copy = self.copy();
            let outcome = Copy { dir: &copy, log_key: &self.key }.bring(&source).await.unwrap();
            let asked = source.asked.lock().unwrap().clone();
            (outcome.map(|(size, new, _)| (size, new)), asked)
        }

        fn copy(&self) -> PathBuf {
            self.root.path().join("copy")
        }

        fn holds(&self) -> u64 {
            ledger::verify(&self.copy(), &self.key, &[]).unwrap().size
        }
    }

    #[tokio::test]
    async fn a_second_run_fetches_only_what_is_new_and_full_tiles_replace_partial_ones() {
        let server = Server::new(300).await;
        let root = server.root.path();
        let (outcome, asked) = server.mirrored(root).await;
        assert_eq!((outcome, server.holds()), (Ok((300, 300)), 300));
        assert!(asked.contains(&"tile/entries/001.p/44".to_owned()), "{asked:?}");
        let (outcome, asked) = server.mirrored(root).await;
        assert_eq!((outcome, asked), (Ok((300, 0)), vec!["checkpoint".to_owned()]), "nothing is new");

        grow(root, 700, 0).await;
        let (outcome, asked) = server.mirrored(root).await;
        assert_eq!((outcome, server.holds()), (Ok((700, 400)), 700));
        assert!(!asked.iter().any(|name| name.ends_with("/000")), "fetched before: {asked:?}");
        assert!(
            asked.contains(&"tile/entries/001".to_owned()) && asked.contains(&"tile/0/002.p/188".to_owned())
        );
        assert!(!server.copy().join("tile/entries/001.p").exists(), "the full tile took its place");
    }

    #[tokio::test]
    async fn a_cosignature_that_comes_while_a_copy_is_made_accuses_nobody() {
        let server = Server::new(300).await;
        let root = server.root.path();
        let before = tempfile::tempdir().unwrap();
        let (shown, then) = (before.path().join("log"), root.join("log"));
        for name in ["checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"]
            .into_iter()
            .chain(["tile/entries/000", "tile/entries/001.p/44"])
        {
            put(&shown.join(name), &fs::read(then.join(name)).unwrap()).unwrap();
        }
        fs::copy(shown.join("checkpoint"), shown.join(WITNESSED)).unwrap();
        grow(root, 310, 0).await;
        let newer = fs::read(then.join("checkpoint")).unwrap();
        let source =
            Folder { dir: shown.clone(), asked: Mutex::default(), signed_then: Mutex::new(Some(newer)) };
        assert_eq!(server.bring(source).await.0, Ok((300, 300)));
        assert_eq!(server.holds(), 300, "the copy says nothing of what came later");
        assert_eq!(
            fs::read(server.copy().join(WITNESSED)).unwrap(),
            fs::read(shown.join("checkpoint")).unwrap()
        );
    }

    #[tokio::test]
    async fn a_server_that_forks_or_shrinks_is_refused_and_the_copy_stays() {
        let server = Server::new(300).await;
        let root = server.root.path();
        server.mirrored(root).await.0.unwrap();
        let kept = fs::read(server.copy().join("checkpoint")).unwrap();
        let elsewhere = async |size: u64, what: i64| {
            let other = tempfile::tempdir().unwrap();
            fs::copy(root.join("log.key"), other.path().join("log.key")).unwrap();
            assert_eq!(grow(other.path(), size, what).await, server.key);
            other
        };
        let shorter = elsewhere(200, 0).await;
        let said = server.mirrored(shorter.path()).await.0.unwrap_err();
        assert!(said.contains("cut or rolled back at 200"), "{said}");
        let forked = elsewhere(600, 5000).await;
        let said = server.mirrored(forked.path()).await.0.unwrap_err();
        assert!(said.contains("rewritten before entry 300"), "{said}");
        let same_size = elsewhere(300, 5000).await;
        let said = server.mirrored(same_size.path()).await.0.unwrap_err();
        assert!(said.contains("do not have the root"), "{said}");
        assert_eq!(fs::read(server.copy().join("checkpoint")).unwrap(), kept);
        assert_eq!(server.holds(), 300, "what was copied is whole");
        // The true log is followed again.
        grow(root, 600, 0).await;
        assert_eq!((server.mirrored(root).await.0, server.holds()), (Ok((600, 300)), 600));
        // One bent byte on the way is not taken over.
        grow(root, 900, 0).await;
        let tile = root.join("log/tile/0/003.p/132");
        let good = fs::read(&tile).unwrap();
        let mut bytes = good.clone();
        bytes[7] ^= 1;
        fs::write(&tile, bytes).unwrap();
        assert!(server.mirrored(root).await.0.is_err());
        fs::write(&tile, good).unwrap();
        assert_eq!((server.mirrored(root).await.0, server.holds()), (Ok((900, 300)), 900));
    }
}
