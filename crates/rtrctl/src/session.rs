//! Logging in, and the session that the other verbs use. The token is kept in a file that only its owner can read; it is
//! worth nothing after one shift, or half an hour without use.

use anyhow::{Context as _, bail};
use protocol::{
    api::LogIn,
    client::{Client, Session},
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// What the session file holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    url: String,
    /// The authority that the daemon must prove, PEM.
    authority: String,
    token: String,
    user: String,
    role: mandate::Role,
}

/// Where and as whom to log in.
#[derive(clap::Args)]
pub(crate) struct Login {
    /// The daemon, `https://host:port`
    #[arg(long, env = "RTR_URL")]
    url: String,
    /// The certificate of the daemon's authority, PEM
    #[arg(long, env = "RTR_CA")]
    ca: PathBuf,
    /// Log-in name
    #[arg(long, env = "RTR_USER")]
    user: String,
    /// Role to act in; needed by people who have several
    #[arg(long)]
    role: Option<String>,
}

/// The file of the session: as given, else in the user's own runtime or configuration folder.
pub(crate) fn file(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given);
    }
    let folder = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))
        .context("neither XDG_RUNTIME_DIR nor HOME is set: name a file with --session")?;
    Ok(folder.join("rtr").join("session.json"))
}

/// A word of an enum as the API spells it.
pub(crate) fn word<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> anyhow::Result<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|error| anyhow::anyhow!("{what}: {error}"))
}

/// The password: from the environment, else typed where a terminal is, else the first line of the input.
fn password(user: &str) -> anyhow::Result<String> {
    if let Ok(password) = std::env::var("RTR_PASSWORD") {
        return Ok(password);
    }
    let prompted = rpassword::prompt_password(format!("password of {user}: "));
    prompted.context("no password: type it at a terminal, or set RTR_PASSWORD")
}

/// Logs in and keeps the session.
pub(crate) async fn log_in(given: Login, file: &Path) -> anyhow::Result<()> {
    let authority =
        fs::read_to_string(&given.ca).with_context(|| format!("{} cannot be read", given.ca.display()))?;
    let client = Client::connect(&given.url, authority.as_bytes())?;
    let role = given.role.as_deref().map(|role| word(role, "--role")).transpose()?;
    let credentials = LogIn {
        password: password(&given.user)?,
        username: given.user.clone(),
        role,
        workstation: Some("rtrctl".to_owned()),
    };
    let session = client.log_in(&credentials).await?;
    let me = session.me();
    let kept = Kept {
        url: given.url,
        authority,
        token: session.token().to_owned(),
        user: given.user,
        role: me.role,
    };
    keep(file, &kept)?;
    println!("{} as {}, until {}", me.name, crate::show::word(&me.role), crate::show::instant(me.expires_at));
    Ok(())
}

/// Written beside its place and moved there, so that it is never readable by others, not even for a moment.
fn keep(file: &Path, kept: &Kept) -> anyhow::Result<()> {
    if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let beside = file.with_extension(format!("new-{}", std::process::id()));
    let mut new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    new.write_all(serde_json::to_string(kept)?.as_bytes())?;
    fs::rename(&beside, file).with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(())
}

/// The session that was kept.
pub(crate) async fn resume(file: &Path) -> anyhow::Result<Session> {
    let Ok(text) = fs::read_to_string(file) else {
        bail!("not logged in: run `rtrctl login --url … --ca … --user …` first");
    };
    let kept: Kept = serde_json::from_str(&text)
        .with_context(|| format!("{} is no session; log in again", file.display()))?;
    let client = Client::connect(&kept.url, kept.authority.as_bytes())?;
    match Session::resume(&client, &kept.token).await {
        Ok(session) => Ok(session),
        Err(error) if error.problem().is_some_and(|p| p.code == "not-logged-in") => {
            bail!("the session of {} ({}) is over: log in again", kept.user, crate::show::word(&kept.role))
        }
        Err(error) => Err(error.into()),
    }
}

/// Ends the session and forgets it.
pub(crate) async fn log_out(file: &Path) -> anyhow::Result<()> {
    let ended = match resume(file).await {
        Ok(session) => session.log_out().await.map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    ended
}
