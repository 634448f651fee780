//! Starting and stopping: every room opened in order, the listeners, the schedulers.

use crate::{
    api::{self, Rooms},
    captured::{Captured, Keeper},
    clock::{SharedClock, SystemClock},
    exports::Exports,
    gate::{Gate, Logs},
    guard::Reading,
    holds::Holds,
    identity::Identity,
    incidents::Incidents,
    journal::{Journal, RECORD, RegisterLeaf},
    log::{SharedLog, keep_public_key},
    media_socket::Figures,
    metrics,
    recorder::{Recorder, Recording},
    retention::Retention,
    schedule,
    streams::Streams,
    synchronisation,
    tally::{self, Tally},
    tls, witnessing,
};
use anyhow::Context as _;
use axum_server::{
    accept::NoDelayAcceptor,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use chrono::TimeDelta;
use ingest::{Hub, HubConfig, Ingest, IngestConfig};
use ledger::{Change, Entry, Ledger, LedgerConfig, Operation};
use mandate::{FactBody, Policy};
use settings::Settings;
use std::{
    fs, io::Write as _, net::SocketAddr, os::unix::fs::DirBuilderExt as _, path::Path, sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use vault::{Vault, VaultConfig};

/// What a start is called in the log.
const STARTED: &str = "daemon.started";
/// How long recording waits for somebody to confirm a clock that is doubted.
const CONFIRM_WITHIN: Duration = Duration::from_mins(1);
/// How long open requests may take to end at a stop.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// The stores that `init` and `serve` both open.
struct Stores {
    ledger: Ledger,
    log: SharedLog,
    journal: Journal,
    identity: Identity,
    clock: SharedClock,
}

/// The controller's choices, as the law asks for them.
fn policy(settings: &Settings) -> Policy {
    let law = &settings.law;
    Policy {
        replay_limit: match law.observer_replay_limit_minutes {
            0 => None,
            minutes => TimeDelta::try_minutes(minutes.into()),
        },
        log_term_years: settings.daemon.log_term_years,
        sign_check_days: law.sign_check_days,
        confirmation_hours: law.emergency_confirmation_hours,
        host: law.host.clone(),
    }
}

fn open_stores(settings: &Settings) -> anyhow::Result<Stores> {
    let data = &settings.daemon.data;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("the data folder {} cannot be made", data.display()))?;
    let clock: SharedClock = Arc::new(SystemClock::default());
    let ledger = open_ledger(settings)?;
    let log: SharedLog = Arc::new(ledger.clone());
    let newest = log.newest(RECORD).context("the log cannot be read")?;
    let last_leaf = newest.and_then(|(seq, leaf)| RegisterLeaf::read(seq, &leaf));
    let policy = policy(settings);
    let journal =
        Journal::open(&data.join("journal.sqlite"), log.clone(), clock.clone(), policy, last_leaf.as_ref())
            .context("the register cannot be opened")?;
    let identity = Identity::open(
        &data.join("accounts.sqlite"),
        clock.clone(),
        TimeDelta::minutes(settings.daemon.session_idle_minutes.into()),
        TimeDelta::hours(settings.daemon.session_hours.into()),
    )
    .context("the accounts cannot be opened")?;
    Ok(Stores { ledger, log, journal, identity, clock })
}

fn open_ledger(settings: &Settings) -> anyhow::Result<Ledger> {
    let data = &settings.daemon.data;
    anyhow::ensure!(
        !crate::epoch::half_begun(data),
        "a new epoch of the log was begun and not finished: run `rtrd epoch begin` again with the same grant"
    );
    let mut config =
        LedgerConfig::new(data.join("ledger"), data.join("ledger.key"), settings.daemon.origin.clone());
    config.witnesses.clone_from(&settings.daemon.witnesses);
    let ledger = Ledger::open(config).map_err(|error| match error {
        ledger::LedgerError::Rewritten(_) => anyhow::Error::new(error).context(
            "nothing may be appended until the police have signed a new epoch: see `rtrd epoch` and `rtr-witness epoch`",
        ),
        error => anyhow::Error::new(error).context("the log cannot be opened"),
    })?;
    ledger.set_clock(synchronisation::read());
    // The public key is carried to the witness by hand; it stands beside the log, not in it, as no reader may take it from there.
    if let Err(error) = keep_public_key(&data.join("ledger.vkey"), &ledger.vkey()) {
        tracing::error!(%error, "the log's public key cannot be written to ledger.vkey");
    }
    Ok(ledger)
}

/// First start: records the configured facts in an empty register and makes an account for every person. The random
/// passwords are written to `accounts` once, mode 0600, as TOML lines `name = "password"`.
///
/// # Errors
/// When the register or the accounts are not empty, or a store cannot be written.
pub async fn init(settings: &Settings, accounts: &Path) -> anyhow::Result<()> {
    let stores = open_stores(settings)?;
    anyhow::ensure!(
        stores.journal.snapshot().facts.is_empty(),
        "the register is not empty: `init` works once only"
    );
    anyhow::ensure!(stores.identity.is_empty()?, "there are accounts already: `init` works once only");
    // The authority is made before anything is recorded, so that a failed start leaves an empty register.
    tls::server_config(&settings.daemon.data.join("tls"), settings.daemon.listen)?;
    entry_zero(settings, &stores, settings.facts.len()).await?;
    let recorded = stores.journal.record_first(settings.facts.clone()).await?;
    let mut lines = Vec::new();
    for fact in &settings.facts {
        let FactBody::Person(person) = fact else { continue };
        let password = stores.identity.create(&person.id)?;
        // Ids may hold dots and spaces, so keys are quoted like the passwords.
        let line = format!("{} = {}\n", toml_text(person.id.as_str()), toml_text(&password));
        lines.push(zeroize::Zeroizing::new(line));
    }
    let people = lines.len();
    let text: zeroize::Zeroizing<Vec<u8>> = lines.iter().flat_map(|l| l.bytes()).collect::<Vec<u8>>().into();
    if accounts.exists() {
        fs::remove_file(accounts).with_context(|| format!("{} cannot be replaced", accounts.display()))?;
    }
    tls::write_private(accounts, &text)
        .with_context(|| format!("{} cannot be written", accounts.display()))?;
    println!("recorded {recorded} facts; passwords of {people} people in {}", accounts.display());
    Ok(())
}

/// First start in earnest (`decisions.md` 9): no facts, no accounts, but a token that is printed here once and with which
/// `rtrctl init` enrols a police authoriser and a user admin within the hour. May be run again until that is done.
///
/// # Errors
/// When the register or the accounts are not empty, or a store cannot be written.
pub async fn first_start(settings: &Settings) -> anyhow::Result<()> {
    let stores = open_stores(settings)?;
    anyhow::ensure!(
        stores.journal.snapshot().facts.is_empty() && stores.identity.is_empty()?,
        "the register is not empty: `init` works once only"
    );
    tls::server_config(&settings.daemon.data.join("tls"), settings.daemon.listen)?;
    if stores.ledger.size() == 0 {
        entry_zero(settings, &stores, 0).await?;
    }
    let (token, expires_at) = stores.identity.invite(None)?;
    println!("token {}", *token);
    println!("good until {}", expires_at.to_rfc3339());
    println!(
        "start the daemon and run: rtrctl init --url … --ca {}",
        settings.daemon.data.join("tls/ca.pem").display()
    );
    Ok(())
}

/// What everything rests on stands in entry 0: the log's key, the witnesses', and the authority of the daemon's
/// certificate.
async fn entry_zero(settings: &Settings, stores: &Stores, facts: usize) -> anyhow::Result<()> {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};
    use sha2::Digest as _;
    let authority = settings.daemon.data.join("tls/ca.pem");
    let certificate = CertificateDer::from_pem_file(&authority)
        .map_err(|e| anyhow::anyhow!("{}: {e}", authority.display()))?;
    let mut entry = Entry::new(stores.clock.now(), Operation::Maintenance, "daemon.init");
    entry.data = Some(serde_json::json!({
        "demo": settings.daemon.demo, "facts": facts, "log_key": stores.ledger.vkey(),
        "witness_keys": settings.daemon.witnesses,
        "authority_sha256": crate::identity::hex(&sha2::Sha256::digest(&certificate)),
    }));
    stores.log.append(entry).await.context("the log cannot be written")?;
    Ok(())
}

/// What starts, and with which configuration: the digest of each file, as `sha256sum` prints it. A configuration that is
/// another than at the start before gets an entry of its own.
fn log_start(settings: &Settings, stores: &Stores) -> anyhow::Result<()> {
    let before = stores.log.newest(STARTED).context("the log cannot be read")?;
    let before = before.and_then(|(_, leaf)| leaf.pointer("/data/configuration").cloned());
    let configuration = serde_json::json!(settings.digests);
    let now = stores.clock.now();
    if let Some(before) = before.filter(|before| *before != configuration) {
        let mut changed = Entry::new(now, Operation::Alter, "configuration.changed");
        changed.object = Some(ledger::Object::thing("configuration", &settings.daemon.origin));
        changed.change = Some(Change::Clear { old: before, new: configuration.clone() });
        stores.log.append_spooled(changed);
    }
    let mut started = Entry::new(now, Operation::Maintenance, STARTED);
    started.data = Some(serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"), "demo": settings.daemon.demo, "configuration": configuration,
    }));
    stores.log.append_spooled(started);
    Ok(())
}

fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When a store, the network address or the threads cannot be had.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let stores = open_stores(&settings)?;
    anyhow::ensure!(
        !stores.journal.snapshot().facts.is_empty() || stores.identity.awaits_first_start()?,
        "the register is empty: run `rtrd --config FILE init` once (with `--accounts FILE` for the configured facts)"
    );
    let data = settings.daemon.data.clone();
    let second_keys = settings.daemon.second_key_folder.clone().unwrap_or_else(|| data.join("keys-b"));
    let mut vault_config = VaultConfig::new(data.join("vault"), [data.join("keys-a"), second_keys]);
    vault_config.volume_bytes = settings.recording.volume_mib << 20;
    vault_config.volume_least = Duration::from_secs(settings.recording.volume_seconds.into());
    // The stated budget covers both the frames that wait for the disk and the current groups of pictures.
    let half = (settings.recording.memory_mib as usize) << 19;
    vault_config.budget_bytes = half;
    vault_config.protection = crate::protection::open(&settings.keys)?;
    let vault = Vault::open(vault_config).context("the footage store cannot be opened")?;
    let recording = Arc::new(Recording::new(vault.clone(), stores.log.clone(), stores.clock.clone()));
    let hub = Hub::new(HubConfig { budget_bytes: half }, recording.clone());
    let ingest = Arc::new(
        Ingest::start(IngestConfig { threads: settings.ingest.threads }, Arc::new(hub))
            .context("the camera threads cannot be started")?,
    );
    let streams = Arc::new(Streams::new(&settings.sources, &stores.journal)?);
    let gate = Gate::new(stores.journal.watch(), stores.log.clone(), stores.clock.clone());
    if !settings.daemon.witnesses.is_empty() {
        gate.require_witness();
    }
    let logs = Logs::read(&data, &stores.ledger.vkey());
    gate.know_logs(logs.context("the keys of former logs cannot be read")?);
    let witnessed = stores.journal.wait_for_witness(gate.requires_witness());
    witnessed.context("which grants wait for the witness cannot be read")?;
    let stop = CancellationToken::new();
    // First of all: after a long downtime only a witness can confirm the clock, and nothing is destroyed before.
    let authority = settings.daemon.witness_authority.as_ref().map(fs::read).transpose();
    let authority = authority.context("the certificate of the witnesses' authority cannot be read")?;
    witnessing::start(&stores.ledger, &settings.daemon.witness_urls, authority.as_deref(), &stop)?;
    let budget = settings.recording.budget_gib.map(|gib| gib << 30);
    let retention = Retention::open(&data, gate.clone(), vault.clone(), streams.clone(), budget)
        .context("what is kept of retention cannot be read")?;
    let retention = Arc::new(retention);
    // What fell due while the daemon was down goes before anything new is recorded.
    tokio::task::spawn_blocking({
        let retention = retention.clone();
        move || retention.pass()
    })
    .await?;
    let captured = Arc::new(Captured::open(&data.join("footage.sqlite"))?);
    let tally = Arc::new(Tally::open(&data.join("tally.sqlite"))?);
    let app = Arc::new(Rooms {
        captured: captured.clone(),
        tally: tally.clone(),
        reports: settings.reports,
        gate: gate.clone(),
        identity: stores.identity.clone(),
        journal: stores.journal.clone(),
        holds: Holds::open(&data.join("holds.sqlite"))?,
        incidents: Incidents::open(&data.join("incidents.sqlite"))?,
        exports: Exports::open(&data.join("requests.sqlite"))?,
        ingest: ingest.clone(),
        vault: vault.clone(),
        ledger: stores.ledger.clone(),
        streams: streams.clone(),
        retention: retention.clone(),
        recording: recording.clone(),
        origin: settings.daemon.origin.clone(),
        demo: settings.daemon.demo,
        readings: api::tree::Readings::default(),
        media: Figures::default(),
        stop: stop.clone(),
    });

    let listener = std::net::TcpListener::bind(settings.daemon.listen)
        .with_context(|| format!("{} cannot be listened on", settings.daemon.listen))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let tls = tls::server_config(&data.join("tls"), address)?;
    if let Some(wanted) = settings.daemon.metrics {
        anyhow::ensure!(wanted.ip().is_loopback(), "metrics are served on loopback only, not on {wanted}");
        let listener = tokio::net::TcpListener::bind(wanted)
            .await
            .with_context(|| format!("{wanted} cannot be listened on"))?;
        println!("metrics http://{}/metrics", listener.local_addr()?);
        let router = metrics::router(app.clone());
        let stop = stop.clone();
        tokio::spawn(async move {
            let done = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
            if let Err(error) = done {
                tracing::error!(%error, "the metrics listener ended");
            }
        });
    }

    log_start(&settings, &stores)?;
    let supervisor = tokio::spawn(gate.clone().supervise());
    tokio::spawn(stores.journal.clone().keep_settled());
    tokio::spawn(stores.journal.clone().keep_granting());
    let recorder = Recorder::new(gate.clone(), ingest.clone(), vault.clone(), streams.clone(), &recording);
    let recorder = tokio::spawn({
        let (retention, clock, stop) = (retention.clone(), stores.clock.clone(), stop.clone());
        async move {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = retention.before_recording(CONFIRM_WITHIN, || Reading::now(clock.wall())) => {}
            }
            recorder.run(stop).await;
        }
    });
    let keeper = Keeper::new(gate.clone(), streams.clone(), vault.clone(), captured, stores.journal.clone());
    let keeper = tokio::spawn(keeper.run(stop.clone()));
    let counter =
        tokio::spawn(tally::count(tally, gate.clone(), ingest.clone(), streams.clone(), stop.clone()));
    let dead = CancellationToken::new();
    schedule::start(&app, &data, &stop, dead.clone())
        .context("what is kept of volumes' roots cannot be read")?;
    tokio::task::spawn_blocking({
        let app = app.clone();
        move || api::holds::tell_of_empty(&app)
    });
    tokio::spawn(api::requests::resume(app.clone()));
    let clock_state = synchronisation::read();
    tokio::spawn(synchronisation::keep(stores.ledger.clone(), clock_state, stop.clone()));
    let log_term = chrono::Months::new(settings.daemon.log_term_years.saturating_mul(12));
    tokio::spawn(crate::custody::keep(app.clone(), log_term, stop.clone()));

    let handle = axum_server::Handle::new();
    let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(tls)).acceptor(NoDelayAcceptor::new());
    let server = axum_server::from_tcp(listener)?
        .acceptor(acceptor)
        .handle(handle.clone())
        .serve(api::router(app.clone()).into_make_service_with_connect_info::<SocketAddr>());
    let server = tokio::spawn(server);
    println!("ready https://{address}");
    std::io::stdout().flush()?;

    tokio::select! {
        ended = terminated() => ended?,
        () = dead.cancelled() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
    handle.graceful_shutdown(Some(STOP_WITHIN));
    server.await??;
    recorder.await?;
    keeper.await?;
    counter.await?;
    supervisor.abort();
    // What was counted and not told yet: nobody else will.
    gate.tell_refusals(true);
    recording.tell_gaps(true);
    let mut stopped = Entry::new(stores.clock.now(), Operation::Maintenance, "daemon.stopped");
    stopped.data = Some(serde_json::json!({ "received": vault.stats().received }));
    if let Err(error) = stores.log.append(stopped).await {
        tracing::error!(%error, "the stop could not be logged");
    }
    let figures = tokio::task::spawn_blocking(move || vault.flush().map(|()| vault.stats()))
        .await?
        .context("the last footage could not be written")?;
    anyhow::ensure!(!dead.is_cancelled(), "the writer of the footage store had died");
    println!("stopped received {} indexed {}", figures.received, figures.indexed);
    Ok(())
}

async fn terminated() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
