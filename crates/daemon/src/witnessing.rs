//! The way to the police's witness over the network: the daemon brings each checkpoint to the witness with the proof that it
//! extends the last one, and takes the cosignature home (C2SP tlog-witness, `add-checkpoint`). The other ways stay: a
//! witness that reads the log's folder or its tiles, and letters carried by hand where networks are separate.
//!
//! The witness needs not trust this daemon, nor the wire; a witness that refuses is an alarm here too, but the police hear of
//! it from their own machine.

use ledger::{Entry, Ledger, LedgerError, Operation, note::Checkpoint};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A growing log is brought this often at most: its cosignature must be fresh, not immediate.
const AT_MOST: Duration = Duration::from_secs(10);
/// And this often at least, for a fresh time.
const AT_LEAST: Duration = Duration::from_mins(1);
/// How long a witness may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A few signature lines, or a sentence that says why not.
const LARGEST_ANSWER: usize = 16 << 10;

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// The witness cannot be reached, or does not answer.
    #[error("cannot be reached: {0}")]
    Unreachable(reqwest::Error),
    /// It says that it remembers a longer log than there is here, or another one, and does not prove it.
    #[error("says that it signed another log than this ({why}), and does not show what it signed")]
    Claims {
        /// What it says.
        why: String,
    },
    /// It showed what it signed, with the log's own signature and its own: what is here does not carry that.
    #[error("shows that history is missing: {why}")]
    Proven {
        /// What is missing.
        why: String,
        /// The checkpoint that it showed.
        note: String,
    },
    /// It refuses.
    #[error("refuses with {status}: {why}")]
    Refused {
        /// HTTP status (tlog-witness: 403, 404, 409, 422).
        status: u16,
        /// What it says.
        why: String,
    },
    /// Its answer, or the log here, is not in order.
    #[error(transparent)]
    Log(#[from] LedgerError),
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        // Its text would name the whole address.
        Self::Unreachable(error.without_url())
    }
}

impl Trouble {
    /// The word in the log.
    fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Claims { .. } => "history_claimed",
            Self::Proven { .. } => "history",
            Self::Refused { .. } => "refused",
            Self::Log(_) => "answer",
        }
    }
}

/// One witness and what it signed last.
struct Road {
    url: String,
    /// What may be said of the address: the rest of it is a secret (the submission prefix).
    name: String,
    client: reqwest::Client,
    old: u64,
}

/// Brings checkpoints to each of these submission prefixes until the daemon stops. `authority` is the PEM certificate that
/// `https` addresses must prove.
///
/// # Errors
/// When the certificate is none.
pub(crate) fn start(
    ledger: &Ledger,
    urls: &[String],
    authority: Option<&[u8]>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.unwrap_or_default()) {
        roots.add(certificate?)?;
    }
    for url in urls {
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots.clone()).with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none());
        let old = ledger.witnessed_checkpoint().map_or(0, |checkpoint| checkpoint.size);
        let (url, name) = (url.trim_end_matches('/').to_owned(), host_of(url));
        let road = Road { url, name, client: client.build()?, old };
        tokio::spawn(road.keep(ledger.clone(), stop.clone()));
    }
    Ok(())
}

impl Road {
    async fn keep(mut self, ledger: Ledger, stop: CancellationToken) {
        let mut published = ledger.published();
        let mut trouble: Option<&'static str> = None;
        loop {
            match self.bring(&ledger).await {
                Ok(None) => {}
                Ok(Some(size)) => {
                    if trouble.take().is_some() {
                        tracing::info!(witness = %self.name, size, "the witness signs again");
                        self.log(&ledger, "witness.signs", None);
                    }
                }
                Err(error) => {
                    if let Trouble::Proven { note, .. } = &error {
                        // Whatever were appended here would be another history.
                        ledger.disown(&format!("the witness {} {error}", self.name), note);
                    }
                    let code = error.code();
                    if trouble.replace(code) != Some(code) {
                        tracing::error!(witness = %self.name, %error, "NO COSIGNATURE of the police's witness");
                        self.log(&ledger, "witness.refuses", Some(code));
                    }
                }
            }
            published.mark_unchanged();
            let grown = async {
                tokio::time::sleep(AT_MOST).await;
                published.changed().await.ok();
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = grown => {}
                () = tokio::time::sleep(AT_LEAST) => {}
            }
        }
    }

    fn log(&self, ledger: &Ledger, action: &'static str, code: Option<&str>) {
        let mut entry = Entry::new(chrono::Utc::now(), Operation::Maintenance, action);
        entry.object = Some(ledger::Object::thing("witness", &self.name));
        if let Some(code) = code {
            entry.outcome = ledger::Outcome::Failed { reason_code: code.to_owned() };
        }
        ledger.append_spooled(entry);
    }

    /// Brings the newest published checkpoint; returns its size once the cosignature is taken, or nothing while what is
    /// durable here still has to be published.
    async fn bring(&mut self, ledger: &Ledger) -> Result<Option<u64>, Trouble> {
        let own = ledger.clone();
        let note = blocking(move || own.checkpoint()).await?;
        let checkpoint = Checkpoint::read(&note, &ledger.vkey())?;
        let here = checkpoint.size;
        // Twice: a witness that signed something else last says what, and is asked again from there.
        for _ in 0..2 {
            if self.old > here {
                return self.behind(ledger).await;
            }
            let (own, old) = (ledger.clone(), self.old);
            let proof = blocking(move || own.consistency(old, here)).await?;
            let asked = self.client.post(format!("{}/add-checkpoint", self.url)).body(proof.request(&note));
            let (status, answer) = read(asked.send().await?).await?;
            match status {
                200 => {
                    let (own, cosigned) = (ledger.clone(), checkpoint.with_cosignatures(&answer));
                    blocking(move || own.record_cosignature(&cosigned)).await?;
                    self.old = here;
                    return Ok(Some(here));
                }
                409 => match answer.trim().parse::<u64>() {
                    Ok(size) if size != self.old => self.old = size,
                    // Another tree of the same size (tlog-witness), or a witness that makes no sense.
                    Ok(_) => return Err(Trouble::Refused { status, why: answer }),
                    Err(_) => return Err(self.accused(ledger, answer).await),
                },
                422 => return Err(self.accused(ledger, answer).await),
                _ => return Err(Trouble::Refused { status, why: answer }),
            }
        }
        Err(Trouble::Refused { status: 409, why: "it says two sizes one after the other".to_owned() })
    }

    /// It signed more than is published here. After a loss of power the checkpoint may be behind the log itself; only what is
    /// durable counts.
    async fn behind(&mut self, ledger: &Ledger) -> Result<Option<u64>, Trouble> {
        let (signed, here) = (self.old, ledger.size());
        if signed <= here {
            return Ok(None);
        }
        // What it said is forgotten again: a true answer comes again, a false one must not stay.
        self.old = ledger.witnessed_checkpoint().map_or(0, |checkpoint| checkpoint.size);
        Err(self.accused(ledger, format!("{signed} entries, of which {here} are here")).await)
    }

    /// The witness says that history is missing. Anybody on the way could say so: only the checkpoint that it signed, with the
    /// log's own signature under it, stops this log for good.
    async fn accused(&self, ledger: &Ledger, why: String) -> Trouble {
        let shown = async {
            let (status, note) = read(self.client.get(format!("{}/signed", self.url)).send().await?).await?;
            if status != 200 {
                return Ok(None);
            }
            let own = ledger.clone();
            // A note that bears not both signatures proves nothing.
            let found = blocking(move || Ok(own.contradiction(&note)?.map(|why| (why, note)))).await;
            Ok(found.unwrap_or_default())
        };
        match shown.await {
            Ok(Some((why, note))) => Trouble::Proven { why, note },
            Ok(None) => Trouble::Claims { why },
            Err(error) => Trouble::Unreachable(reqwest::Error::without_url(error)),
        }
    }
}

/// Scheme and host of an address, without the path that only this host knows.
fn host_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}")
}

async fn read(mut response: reqwest::Response) -> Result<(u16, String), reqwest::Error> {
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    while let Some(more) = response.chunk().await? {
        bytes.extend_from_slice(&more);
        if bytes.len() > LARGEST_ANSWER {
            break;
        }
    }
    bytes.truncate(LARGEST_ANSWER);
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| LedgerError::Closed)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{LedgerConfig, note::CosignerKey};
    use std::sync::{Arc, Mutex};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// What stands at the witness's address: each request is answered from here.
    #[derive(Clone, Default)]
    struct Stranger {
        to_post: Arc<Mutex<(u16, String)>>,
        to_get: Arc<Mutex<(u16, String)>>,
    }

    impl Stranger {
        async fn serve(&self) -> String {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let this = self.clone();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let mut head = [0; 4096];
                    let read = stream.read(&mut head).await.unwrap_or_default();
                    let post = head[..read].starts_with(b"POST");
                    let answer = if post { &this.to_post } else { &this.to_get };
                    let (status, body) = answer.lock().unwrap().clone();
                    let length = body.len();
                    let text = format!(
                        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                    );
                    stream.write_all(text.as_bytes()).await.unwrap();
                }
            });
            format!("http://{address}")
        }

        fn answers(&self, post: (u16, &str), get: (u16, &str)) {
            *self.to_post.lock().unwrap() = (post.0, post.1.to_owned());
            *self.to_get.lock().unwrap() = (get.0, get.1.to_owned());
        }
    }

    #[test]
    fn the_secret_of_an_address_is_not_said() {
        assert_eq!(host_of("https://witness.politie.example/s3cret/"), "https://witness.politie.example");
        assert_eq!(host_of("http://127.0.0.1:7411"), "http://127.0.0.1:7411");
        assert_eq!(host_of("https://user:word@w.example?s3cret"), "https://w.example");
    }

    #[tokio::test]
    async fn an_entry_about_a_witness_does_not_name_its_secret() {
        crate::tls::install_provider();
        let root = tempfile::tempdir().unwrap();
        let (dir, key) = (root.path().join("log"), root.path().join("keys/log.key"));
        let ledger = Ledger::open(LedgerConfig::new(dir, key, "rtr.example/test")).unwrap();
        // Nobody listens there any more.
        let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let stop = CancellationToken::new();
        ledger.append(Entry::heartbeat(chrono::Utc::now(), ledger::Clock::Unknown)).await.unwrap();
        start(&ledger, &[format!("http://127.0.0.1:{port}/s3cret")], None, &stop).unwrap();
        ledger.health().wait_for(|health| health.entries > 1).await.unwrap();
        let (_, entry) = ledger.newest("witness.refuses").unwrap().unwrap();
        assert_eq!(entry["object"]["id"], format!("http://127.0.0.1:{port}"));
        assert!(!entry.to_string().contains("s3cret"), "{entry}");
        stop.cancel();
    }

    #[tokio::test]
    async fn only_what_the_witness_signed_itself_stops_the_log() {
        crate::tls::install_provider();
        let root = tempfile::tempdir().unwrap();
        let config = |name: &str| {
            LedgerConfig::new(root.path().join(name), root.path().join("keys/log.key"), "rtr.example/test")
        };
        let police =
            CosignerKey::load_or_create(&root.path().join("police.key"), "politie.example/w").unwrap();
        let ledger = Ledger::open(config("log")).unwrap();
        ledger.trust_witness(&police.vkey()).unwrap();
        let beat = || Entry::heartbeat(chrono::Utc::now(), ledger::Clock::Unknown);
        for _ in 0..3 {
            ledger.append(beat()).await.unwrap();
        }
        ledger.published().wait_for(|size| *size >= 3).await.unwrap();
        let stranger = Stranger::default();
        let url = stranger.serve().await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut road = Road { name: host_of(&url), url, client, old: 0 };
        let mut outcome = async || match road.bring(&ledger).await {
            Err(error) => error.code(),
            Ok(_) => "signed",
        };

        // Words, and notes that nobody signed, or only this log did.
        let own = ledger.checkpoint().unwrap();
        for shown in ["", "nonsense", own.as_str()] {
            for (status, said) in [(409, "999\n"), (409, "you forked\n"), (422, "not an extension\n")] {
                stranger.answers((status, said), (if shown.is_empty() { 404 } else { 200 }, shown));
                assert_eq!(outcome().await, "history_claimed", "{status} {said} {shown}");
            }
        }
        // A size between what is published and what is durable: the publisher is still at work.
        let signed_on = |name: &str, entries: usize| {
            let (other, police) = (config(name), &police);
            async move {
                // The same key under another folder: what a rolled-back disk had before.
                let other = Ledger::open(other).unwrap();
                for _ in 0..entries {
                    other.append(beat()).await.unwrap();
                }
                other.published().wait_for(|size| *size >= entries as u64).await.unwrap();
                let checkpoint = Checkpoint::read(&other.checkpoint().unwrap(), &other.vkey()).unwrap();
                let line = police.cosign(&checkpoint.text, chrono::Utc::now()).unwrap();
                checkpoint.with_cosignatures(&line)
            }
        };
        let longer = signed_on("longer", 5).await;
        let forked = signed_on("forked", 2).await;
        stranger.answers((409, "5\n"), (200, &longer));
        assert_eq!(outcome().await, "history");
        assert!(ledger.contradiction(&longer).unwrap().unwrap().contains("5 entries"));
        stranger.answers((422, "not an extension\n"), (200, &forked));
        assert_eq!(outcome().await, "history");
        ledger.append(beat()).await.unwrap();
    }
}
