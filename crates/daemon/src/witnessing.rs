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
    Unreachable(#[from] reqwest::Error),
    /// It remembers a longer log than there is here.
    #[error("has signed {signed} entries of this log, of which {here} are here: history is missing")]
    Ahead {
        /// Entries that it signed.
        signed: u64,
        /// Entries there are.
        here: u64,
    },
    /// What is here does not continue what it signed.
    #[error(
        "says that this log does not continue what it signed ({why}): history is missing or was rewritten"
    )]
    Rewritten {
        /// What it says.
        why: String,
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

impl Trouble {
    /// The word in the log.
    fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Ahead { .. } | Self::Rewritten { .. } => "history",
            Self::Refused { .. } => "refused",
            Self::Log(_) => "answer",
        }
    }
}

/// One witness and what it signed last.
struct Road {
    url: String,
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
        let road = Road { url: url.trim_end_matches('/').to_owned(), client: client.build()?, old };
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
                Ok(size) => {
                    if trouble.take().is_some() {
                        tracing::info!(url = %self.url, size, "the witness signs again");
                        self.log(&ledger, "witness.signs", None);
                    }
                }
                Err(error) => {
                    if matches!(error, Trouble::Ahead { .. } | Trouble::Rewritten { .. }) {
                        // Whatever were appended here would be another history.
                        ledger.disown(&format!("the witness {} {error}", self.url));
                    }
                    let code = error.code();
                    if trouble.replace(code) != Some(code) {
                        tracing::error!(url = %self.url, %error, "NO COSIGNATURE of the police's witness");
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
        entry.object = Some(ledger::Object::thing("witness", &self.url));
        if let Some(code) = code {
            entry.outcome = ledger::Outcome::Failed { reason_code: code.to_owned() };
        }
        ledger.append_spooled(entry);
    }

    /// Brings the newest published checkpoint; returns its size once the cosignature is taken.
    async fn bring(&mut self, ledger: &Ledger) -> Result<u64, Trouble> {
        let own = ledger.clone();
        let note = blocking(move || own.checkpoint()).await?;
        let checkpoint = Checkpoint::read(&note, &ledger.vkey())?;
        let here = checkpoint.size;
        // Twice: a witness that signed something else last says what, and is asked again from there.
        for _ in 0..2 {
            if self.old > here {
                return Err(Trouble::Ahead { signed: self.old, here });
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
                    return Ok(here);
                }
                409 => match answer.trim().parse::<u64>() {
                    Ok(size) if size != self.old => self.old = size,
                    // Another tree of the same size (tlog-witness), or a witness that makes no sense.
                    Ok(_) => return Err(Trouble::Refused { status, why: answer }),
                    Err(_) => return Err(Trouble::Rewritten { why: answer }),
                },
                422 => return Err(Trouble::Rewritten { why: answer }),
                _ => return Err(Trouble::Refused { status, why: answer }),
            }
        }
        Err(Trouble::Refused { status: 409, why: "it says two sizes one after the other".to_owned() })
    }
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
