//! The files with facts: `organisations.toml` and one file per municipality. Both take the same tables, so that a small
//! site may keep everything in one file.

use crate::error::{Mistake, SettingsError, parse, text_of};
use mandate::{
    CameraId, FactBody,
    facts::{
        Agreement, Area, Audit, AuditFinding, Authorisation, Breach, Camera, Consultation, Decree, Extension,
        ExtraWindow, MaintenanceAccess, Mask, Municipality, Ordinance, Organisation, Period, Person,
        PoliceInstruction, Position, Revocation, Shift, Signage, SubjectRequest,
    },
};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// RTP inside the RTSP connection, or as datagrams beside it (RFC 2326 clause 10.12, RFC 3550).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Interleaved; nothing is lost on the way.
    #[default]
    Tcp,
    /// Datagrams, for cameras that do nothing else.
    Udp,
}

/// How to reach one camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraSource {
    /// The camera.
    pub camera: CameraId,
    /// The full picture; recorded.
    pub main: StreamSource,
    /// A small picture for small tiles, if the camera has one.
    pub sub: Option<StreamSource>,
    /// When the disk is too slow and memory runs out, pictures of the camera with the lowest number are dropped first.
    pub importance: u8,
}

/// How important a camera is that says nothing of it.
const ORDINARY: u8 = 1;

fn ordinary() -> u8 {
    ORDINARY
}

/// One RTSP stream.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamSource {
    /// `rtsp://host:port/path`, without credentials.
    pub url: String,
    /// How the pictures travel.
    pub transport: Transport,
    /// Log-in name at the camera.
    pub username: Option<String>,
    /// Password at the camera; never printed.
    pub password: Option<String>,
}

impl std::fmt::Debug for StreamSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamSource")
            .field("url", &self.url)
            .field("transport", &self.transport)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .finish()
    }
}

/// `[[stream]]`: the technical side of a camera.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stream {
    pub(crate) camera: CameraId,
    main: String,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    transport: Transport,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password_file: Option<PathBuf>,
    #[serde(default = "ordinary")]
    importance: u8,
}

/// The tables of a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tables {
    pub(crate) municipality: Option<Municipality>,
    pub(crate) organisation: Vec<Organisation>,
    pub(crate) agreement: Vec<Agreement>,
    pub(crate) person: Vec<Person>,
    pub(crate) authorisation: Vec<Authorisation>,
    pub(crate) shift: Vec<Shift>,
    pub(crate) ordinance: Vec<Ordinance>,
    pub(crate) decree: Vec<Decree>,
    pub(crate) area: Vec<Area>,
    pub(crate) extension: Vec<Extension>,
    pub(crate) revocation: Vec<Revocation>,
    pub(crate) consultation: Vec<Consultation>,
    pub(crate) period: Vec<Period>,
    pub(crate) extra_window: Vec<ExtraWindow>,
    pub(crate) signage: Vec<Signage>,
    pub(crate) camera: Vec<Camera>,
    pub(crate) position: Vec<Position>,
    pub(crate) mask: Vec<Mask>,
    pub(crate) instruction: Vec<PoliceInstruction>,
    pub(crate) breach: Vec<Breach>,
    pub(crate) subject_request: Vec<SubjectRequest>,
    pub(crate) audit: Vec<Audit>,
    pub(crate) audit_finding: Vec<AuditFinding>,
    pub(crate) maintenance: Vec<MaintenanceAccess>,
    pub(crate) stream: Vec<Stream>,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct FactFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) tables: Tables,
}

pub(crate) fn read(path: &Path) -> Result<FactFile, SettingsError> {
    let text = text_of(path)?;
    let tables = parse(path, &text)?;
    Ok(FactFile { path: path.to_owned(), text, tables })
}

/// Every `*.toml` of a folder, by name.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<FactFile>, SettingsError> {
    let unreadable = |source| SettingsError::Unreadable { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// Every `*.toml` of a folder and of the folders in it but `rtr.toml`, by name.
pub(crate) fn read_tree(folder: &Path, files: &mut Vec<FactFile>) -> Result<(), SettingsError> {
    let unreadable = |source| SettingsError::Unreadable { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read_tree(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "toml")
            && path.file_name().is_some_and(|n| n != "rtr.toml")
        {
            files.push(read(&path)?);
        }
    }
    Ok(())
}

/// The place of a kind in an order in which what is referred to comes first.
pub(crate) fn rank(body: &FactBody) -> u8 {
    match body {
        FactBody::Municipality(_) => 0,
        FactBody::Organisation(_) => 1,
        FactBody::Agreement(_) => 2,
        FactBody::Person(_) => 3,
        FactBody::Authorisation(_) => 4,
        FactBody::Shift(_) => 5,
        FactBody::Ordinance(_) => 6,
        FactBody::Decree(_) => 7,
        FactBody::Area(_) => 8,
        FactBody::Extension(_) => 9,
        FactBody::Revocation(_) => 10,
        FactBody::Consultation(_) => 11,
        FactBody::Period(_) => 12,
        FactBody::ExtraWindow(_) => 13,
        FactBody::Signage(_) => 14,
        FactBody::Camera(_) => 15,
        FactBody::Position(_) => 16,
        FactBody::Mask(_) => 17,
        FactBody::Instruction(_) => 18,
        FactBody::Breach(_) => 19,
        FactBody::SubjectRequest(_) => 20,
        FactBody::Audit(_) => 21,
        FactBody::AuditFinding(_) => 22,
        FactBody::Maintenance(_) => 23,
    }
}

impl FactFile {
    /// A mistake at the first place where `needle` stands in quotes, preferably behind `key`.
    pub(crate) fn mistake(&self, key: &str, needle: &str, message: String) -> Mistake {
        let quoted = format!("\"{needle}\"");
        let line = self
            .text
            .lines()
            .position(|l| l.trim_start().starts_with(key) && l.contains(&quoted))
            .or_else(|| self.text.lines().position(|l| l.contains(&quoted)))
            .or_else(|| self.text.lines().position(|l| l.trim_start().starts_with(key)))
            .map_or(1, |index| index + 1);
        Mistake { file: self.path.clone(), line, message: format!("`{key}`: {message}") }
    }

    /// The addresses of its cameras, with passwords read from their files.
    pub(crate) fn sources(&self) -> Result<Vec<CameraSource>, SettingsError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        self.tables
            .stream
            .iter()
            .map(|stream| {
                let password = match &stream.password_file {
                    Some(file) => Some(text_of(&folder.join(file))?.trim_end().to_owned()),
                    None => None,
                };
                let source = |url: &String| StreamSource {
                    url: url.clone(),
                    transport: stream.transport,
                    username: stream.username.clone(),
                    password: password.clone(),
                };
                Ok(CameraSource {
                    camera: stream.camera.clone(),
                    main: source(&stream.main),
                    sub: stream.sub.as_ref().map(source),
                    importance: stream.importance,
                })
            })
            .collect()
    }

    /// Its facts, in an order in which each fact's references come first.
    pub(crate) fn bodies(self) -> Vec<FactBody> {
        let t = self.tables;
        let mut out = Vec::new();
        out.extend(t.municipality.map(FactBody::Municipality));
        out.extend(t.organisation.into_iter().map(FactBody::Organisation));
        out.extend(t.agreement.into_iter().map(FactBody::Agreement));
        out.extend(t.person.into_iter().map(FactBody::Person));
        out.extend(t.authorisation.into_iter().map(FactBody::Authorisation));
        out.extend(t.shift.into_iter().map(FactBody::Shift));
        out.extend(t.ordinance.into_iter().map(FactBody::Ordinance));
        out.extend(t.decree.into_iter().map(FactBody::Decree));
        out.extend(t.area.into_iter().map(FactBody::Area));
        out.extend(t.extension.into_iter().map(FactBody::Extension));
        out.extend(t.revocation.into_iter().map(FactBody::Revocation));
        out.extend(t.consultation.into_iter().map(FactBody::Consultation));
        out.extend(t.period.into_iter().map(FactBody::Period));
        out.extend(t.extra_window.into_iter().map(FactBody::ExtraWindow));
        out.extend(t.signage.into_iter().map(FactBody::Signage));
        out.extend(t.camera.into_iter().map(FactBody::Camera));
        out.extend(t.position.into_iter().map(FactBody::Position));
        out.extend(t.mask.into_iter().map(FactBody::Mask));
        out.extend(t.instruction.into_iter().map(FactBody::Instruction));
        out.extend(t.breach.into_iter().map(FactBody::Breach));
        out.extend(t.subject_request.into_iter().map(FactBody::SubjectRequest));
        out.extend(t.audit.into_iter().map(FactBody::Audit));
        out.extend(t.audit_finding.into_iter().map(FactBody::AuditFinding));
        out.extend(t.maintenance.into_iter().map(FactBody::Maintenance));
        out
    }
}
