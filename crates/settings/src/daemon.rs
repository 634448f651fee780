//! `rtr.toml`: the daemon's own settings.

use crate::error::{Mistake, SettingsError, parse, text_of};
use mandate::OrganisationId;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) daemon: DaemonSettings,
    #[serde(default)]
    pub(crate) recording: RecordingSettings,
    #[serde(default)]
    pub(crate) keys: KeySettings,
    #[serde(default)]
    pub(crate) ingest: IngestSettings,
    #[serde(default)]
    pub(crate) law: LawSettings,
    #[serde(default)]
    pub(crate) reports: ReportSettings,
    #[serde(default = "organisations")]
    pub(crate) organisations: PathBuf,
    #[serde(default = "municipalities")]
    pub(crate) municipalities: PathBuf,
}

fn organisations() -> PathBuf {
    PathBuf::from("organisations.toml")
}

fn municipalities() -> PathBuf {
    PathBuf::from("municipalities")
}

/// `[daemon]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonSettings {
    /// Folder of journal, accounts, ledger, vault and TLS files; relative to the configuration file.
    pub data: PathBuf,
    /// Where the HTTPS API listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where Prometheus metrics are served, on loopback; none: not served.
    #[serde(default)]
    pub metrics: Option<SocketAddr>,
    /// Origin of the ledger: one line, for example `rtr.example/ledger`.
    pub origin: String,
    /// Whether this is a demonstration; shown on every screen and in the log's origin.
    #[serde(default)]
    pub demo: bool,
    /// The second folder of the key store, on another device; relative to the configuration file. Default: in `data`.
    #[serde(default)]
    pub second_key_folder: Option<PathBuf>,
    /// Public keys (vkey texts) of the police witnesses whose cosignatures count.
    #[serde(default)]
    pub witnesses: Vec<String>,
    /// Submission prefixes of witnesses (C2SP tlog-witness) to which the daemon itself brings each checkpoint:
    /// `http://127.0.0.1:7411` through a tunnel, or `https://…`.
    #[serde(default)]
    pub witness_urls: Vec<String>,
    /// Certificate (PEM) of the authority behind their `https` addresses; relative to the configuration file.
    #[serde(default)]
    pub witness_authority: Option<PathBuf>,
    /// Years for which the log's own entries are kept: at least until the external audit that covers them (Wpg 32 lid 4, 33).
    /// At least four: for so long a person may ask to whom data about them went (Wpg 25).
    #[serde(default = "log_term_years", deserialize_with = "bounded::<4, 100, _>")]
    pub log_term_years: u32,
    /// Hours after which a session ends even when used (one shift).
    #[serde(default = "session_hours")]
    pub session_hours: u32,
    /// Minutes without use after which a session ends. A connected media socket counts as use.
    #[serde(default = "session_idle_minutes")]
    pub session_idle_minutes: u32,
}

fn log_term_years() -> u32 {
    5
}

fn session_hours() -> u32 {
    10
}

fn session_idle_minutes() -> u32 {
    30
}

/// `[recording]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingSettings {
    /// Size at which a volume is sealed, MiB.
    pub volume_mib: u64,
    /// For how long a volume is written at least, however many cameras fill it, seconds (0 to 3600).
    #[serde(deserialize_with = "bounded::<0, 3600, _>")]
    pub volume_seconds: u32,
    /// Memory for frames on their way to disk and for the current groups of pictures, all streams together, MiB.
    pub memory_mib: u64,
    /// Bytes of footage beyond which the oldest is destroyed before its term, GiB: the controller's standing instruction.
    /// Without it nothing is destroyed early, and a full disk makes gaps.
    pub budget_gib: Option<u64>,
}

impl Default for RecordingSettings {
    fn default() -> Self {
        Self { volume_mib: 256, volume_seconds: 60, memory_mib: 128, budget_gib: None }
    }
}

/// `[keys]`: what protects the keys of footage beside the mode of their files (0600). At most one of the two.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeySettings {
    /// Name of a systemd credential (`LoadCredentialEncrypted=`) that seals every key.
    pub credential: Option<String>,
    /// A PKCS#11 token (RFC 7512) that seals the keys, by one key of its own per retention class and hour.
    pub token: Option<String>,
}

/// `[ingest]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestSettings {
    /// Threads that receive cameras.
    pub threads: usize,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self { threads: 1 }
    }
}

/// `[law]`: choices the law leaves to the controller, each within what `domain.md` calls policy. A value outside its bounds
/// is refused: no setting opens what the statute closes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LawSettings {
    /// How far back an observer may look in an incident, minutes; 0: not at all. At most an hour: what lies further back
    /// is looked at for an offence, by the police (151c lid 9).
    #[serde(deserialize_with = "bounded::<0, 60, _>")]
    pub observer_replay_limit_minutes: u32,
    /// Hours after its start within which an emergency window must be confirmed in writing (GW-20).
    #[serde(deserialize_with = "bounded::<1, 168, _>")]
    pub emergency_confirmation_hours: u32,
    /// Days after which somebody must look again whether a sign still stands (151c lid 6).
    #[serde(deserialize_with = "bounded::<1, 366, _>")]
    pub sign_check_days: u32,
    /// The processor at which the platform runs, by its id in the register: recording stops when the agreement with it lapses
    /// (Wpg 6c). None: any processor's agreement carries it.
    pub host: Option<OrganisationId>,
}

impl Default for LawSettings {
    fn default() -> Self {
        Self {
            observer_replay_limit_minutes: 15,
            emergency_confirmation_hours: 24,
            sign_check_days: 180,
            host: None,
        }
    }
}

/// A whole number from `LEAST` to `MOST`.
fn bounded<'de, const LEAST: u32, const MOST: u32, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    let number = i64::deserialize(d)?;
    u32::try_from(number)
        .ok()
        .filter(|number| (LEAST..=MOST).contains(number))
        .ok_or_else(|| D::Error::custom(format!("{number} is not from {LEAST} to {MOST}")))
}

/// `[reports.costs]`: the parts of the cost key; only their ratio matters.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CostKey {
    /// By number of cameras.
    pub cameras: f64,
    /// By hours in which a camera was watched.
    pub watched_hours: f64,
    /// By terabytes stored, times days.
    pub stored_terabyte_days: f64,
}

impl Default for CostKey {
    fn default() -> Self {
        Self { cameras: 1.0, watched_hours: 1.0, stored_terabyte_days: 1.0 }
    }
}

/// `[reports]`: figures for the council and the mayors.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportSettings {
    /// The smallest count that is told; what is fewer could be about somebody.
    pub smallest_count: u64,
    /// How costs are split: parts per key, of which only the ratio matters.
    pub costs: CostKey,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self { smallest_count: 5, costs: CostKey::default() }
    }
}

/// The file, and its text for the digest.
pub(crate) fn read(path: &Path) -> Result<(File, String), SettingsError> {
    let text = text_of(path)?;
    let file: File = parse(path, &text)?;
    if file.keys.credential.is_some() && file.keys.token.is_some() {
        let line =
            text.lines().position(|line| line.trim_start().starts_with("[keys]")).map_or(1, |at| at + 1);
        let message =
            "`[keys]` names a `credential` and a `token`; keys are sealed by one of them".to_owned();
        return Err(SettingsError::Wrong(vec![Mistake { file: path.to_owned(), line, message }]));
    }
    Ok((file, text))
}
