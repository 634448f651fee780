//! The configuration files: what they may say, and errors that name the place and what to do.
//!
//! `config/rtr.toml` configures the daemon, `config/organisations.toml` names the parties and people, and each file under
//! `config/municipalities/` holds one municipality's decisions and cameras. The legal facts in them are *initial* facts:
//! `rtrd init` records them in an empty register, after which the register, not the file, is the truth. Technical
//! settings (addresses, streams, sizes) are read at every start.
//!
//! Unknown keys are errors. Every error names file, line and key, and the nearest known key.

mod daemon;
mod error;
mod facts;
mod refer;

pub use daemon::{
    CostKey, DaemonSettings, IngestSettings, KeySettings, LawSettings, RecordingSettings, ReportSettings,
};
pub use error::SettingsError;
pub use facts::{CameraSource, StreamSource, Transport};

use mandate::FactBody;
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, path::Path};

/// Everything the files say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[daemon]` of `rtr.toml`.
    pub daemon: DaemonSettings,
    /// `[recording]`.
    pub recording: RecordingSettings,
    /// `[keys]`.
    pub keys: KeySettings,
    /// `[ingest]`.
    pub ingest: IngestSettings,
    /// `[law]`: the choices that the controller may configure.
    pub law: LawSettings,
    /// `[reports]`: small counts and the cost key.
    pub reports: ReportSettings,
    /// The initial facts of the register, organisations and people first.
    pub facts: Vec<FactBody>,
    /// How to reach each camera.
    pub sources: Vec<CameraSource>,
    /// SHA-256 (hex) of each file that was read, by its path from the folder of `rtr.toml`: what `sha256sum` says, so that
    /// the log can name the configuration without repeating it. Files with passwords are not among them.
    pub digests: BTreeMap<String, String>,
}

/// Reads the facts of one file, or of every `*.toml` in a folder and the folders in it (but `rtr.toml`), references first.
/// What is referred to may also be among the facts that are `known` already. Technical settings in them are left out.
///
/// # Errors
/// All mistakes found, each with file, line and key.
pub fn load_facts(path: &Path, known: &[FactBody]) -> Result<Vec<FactBody>, SettingsError> {
    let files = fact_files(path)?;
    refer::check(&files, known)?;
    Ok(in_order(files))
}

/// The same for whoever may not read the register: where references lead is left to the daemon.
///
/// # Errors
/// What cannot be read, with file, line and key.
pub fn read_facts(path: &Path) -> Result<Vec<FactBody>, SettingsError> {
    Ok(in_order(fact_files(path)?))
}

fn fact_files(path: &Path) -> Result<Vec<facts::FactFile>, SettingsError> {
    let mut files = Vec::new();
    if path.is_dir() {
        facts::read_tree(path, &mut files)?;
    } else {
        files.push(facts::read(path)?);
    }
    Ok(files)
}

/// Kind by kind over all files, so that a file may refer to any other.
fn in_order(files: Vec<facts::FactFile>) -> Vec<FactBody> {
    let mut bodies: Vec<FactBody> = files.into_iter().flat_map(facts::FactFile::bodies).collect();
    bodies.sort_by_key(facts::rank);
    bodies
}

/// Reads `rtr.toml` at `path` and the files it names.
///
/// # Errors
/// All mistakes found in the first file that has any, each with file, line and key.
pub fn load(path: &Path) -> Result<Settings, SettingsError> {
    let (file, text) = daemon::read(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut files = vec![facts::read(&folder.join(&file.organisations))?];
    files.extend(facts::read_folder(&folder.join(&file.municipalities))?);
    refer::check(&files, &[])?;
    let texts = files.iter().map(|file| (file.path.as_path(), file.text.as_str()));
    let digests = std::iter::once((path, text.as_str()))
        .chain(texts)
        .map(|(file, text)| (name_in(folder, file), digest(text)))
        .collect();
    let mut facts = Vec::new();
    let mut sources = Vec::new();
    for read in files {
        sources.extend(read.sources()?);
        facts.extend(read.bodies());
    }
    let mut daemon = file.daemon;
    if daemon.data.is_relative() {
        daemon.data = folder.join(&daemon.data);
    }
    daemon.witness_authority = daemon.witness_authority.map(|file| folder.join(file));
    Ok(Settings {
        daemon,
        recording: file.recording,
        keys: file.keys,
        ingest: file.ingest,
        law: file.law,
        reports: file.reports,
        facts,
        sources,
        digests,
    })
}

fn name_in(folder: &Path, file: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).display().to_string()
}

fn digest(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a text cannot fail.
        write!(hex, "{byte:02x}").ok();
        hex
    })
}
