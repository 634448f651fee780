//! The client that console, `rtrctl`, benches and tests use: the HTTP API and the media socket over TLS pinned to the
//! daemon's own authority. It holds no rights of its own; whatever it may do, the daemon decides.
//!
//! All methods are async and need a tokio runtime. Those of [`Client`] and [`Session`] may be dropped at any point
//! (a dropped change may or may not have taken effect); [`MediaReceiver::next`] is cancellation safe.

mod clock;
mod register;
mod requests;

pub use register::{FactFilter, OutlookOf};
pub use requests::{Download, ReplayOf, TimelineOf};

use crate::{
    api::{
        About, CameraView, Health, Incident, IncidentChange, LedgerEntry, LogIn, Me, MunicipalityView,
        NewIncident, Problem, Why,
    },
    socket::{ClientMessage, ServerMessage},
    wire::{self, UnitHeader},
};
use bytes::Bytes;
use futures::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use mandate::{CameraId, IncidentId};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpStream, sync::Mutex};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{WebSocketStream, tungstenite};
use url::Url;

/// Longest wait for the answer to one HTTP request.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Longest wait for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The daemon refused, and says why.
    #[error("{} ({})", .0.detail.en, .0.code)]
    Problem(Box<Problem>),
    /// The address cannot be used.
    #[error("the address `{0}` is not of the form https://host:port")]
    Address(String),
    /// The authority's certificate cannot be read.
    #[error("the certificate of the server's authority cannot be read: {0}")]
    Certificate(String),
    /// No answer: the daemon is down, the network is, or the certificate is another one.
    #[error("no answer from the server: {0}")]
    Unreachable(String),
    /// An answer that this version does not understand.
    #[error("the server's answer was not understood: {0}")]
    Answer(String),
}

impl ClientError {
    /// The refusal, if the daemon gave one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }
}

/// A daemon's address and the authority it must prove. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
    patience: Duration,
    socket_tls: Arc<rustls::ClientConfig>,
}

impl Client {
    /// A client of the daemon at `base_url` (`https://host:port`), which must show a certificate of the authority in
    /// `ca_pem`. No connection is made yet.
    ///
    /// # Errors
    /// [`ClientError::Address`] or [`ClientError::Certificate`].
    pub fn connect(base_url: &str, ca_pem: &[u8]) -> Result<Self, ClientError> {
        let base = Url::parse(base_url).map_err(|_| ClientError::Address(base_url.to_owned()))?;
        if base.scheme() != "https" || base.host_str().is_none() {
            return Err(ClientError::Address(base_url.to_owned()));
        }
        let certificate = |e: &dyn std::fmt::Display| ClientError::Certificate(e.to_string());
        let mut roots = rustls::RootCertStore::empty();
        for der in CertificateDer::pem_slice_iter(ca_pem) {
            roots.add(der.map_err(|e| certificate(&e))?).map_err(|e| certificate(&e))?;
        }
        if roots.is_empty() {
            return Err(ClientError::Certificate("it holds no certificate".to_owned()));
        }
        // The provider is named here, so that a client never depends on what the process installed.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| certificate(&e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http_tls = tls.clone();
        http_tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut socket_tls = tls;
        socket_tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(http_tls)
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .build()
            .map_err(|e| certificate(&e))?;
        Ok(Self { base, http, patience: ANSWER_WITHIN, socket_tls: Arc::new(socket_tls) })
    }

    /// What the server is; needs no log-in.
    pub async fn about(&self) -> Result<About, ClientError> {
        self.call(reqwest::Method::GET, "about", None, None::<&()>).await
    }

    /// Logs in.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with code `log-in-refused` (name or password), `too-many-attempts` (wait), `role-needed`
    /// (several authorisations: name one), or a reason code of the law.
    pub async fn log_in(&self, credentials: &LogIn) -> Result<Session, ClientError> {
        let answer: crate::api::Session =
            self.call(reqwest::Method::POST, "sessions", None, Some(credentials)).await?;
        Ok(Session { client: self.clone(), token: Arc::from(answer.token), me: answer.me })
    }

    /// One request to `/api/v1/{path}`, raw: for programs that test what the daemon refuses. `path` carries its own
    /// query string. Gives status and body.
    pub async fn raw(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&serde_json::Value>,
    ) -> Result<(u16, serde_json::Value), ClientError> {
        let method =
            reqwest::Method::from_bytes(method.as_bytes()).map_err(|e| ClientError::Answer(e.to_string()))?;
        let (status, bytes) = self.send(method, path, token, body).await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(serde_json::Value::Null)))
    }

    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        token: Option<&str>,
        body: Option<&(impl Serialize + Sync + ?Sized)>,
    ) -> Result<(u16, Bytes), ClientError> {
        let url = self
            .base
            .join(&format!("/api/v1/{path}"))
            .map_err(|_| ClientError::Address(format!("{}/api/v1/{path}", self.base)))?;
        let mut request = self.http.request(method, url).timeout(self.patience);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|e| ClientError::Unreachable(chain(&e)))?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(|e| ClientError::Unreachable(chain(&e)))?;
        Ok((status, bytes))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: reqwest::Method,
        path: &str,
        token: Option<&str>,
        body: Option<&(impl Serialize + Sync + ?Sized)>,
    ) -> Result<T, ClientError> {
        let (status, bytes) = self.send(method, path, token, body).await?;
        if !(200..300).contains(&status) {
            return Err(match serde_json::from_slice::<Problem>(&bytes) {
                Ok(problem) => ClientError::Problem(Box::new(problem)),
                Err(_) => ClientError::Answer(format!("status {status} without a problem document")),
            });
        }
        // 204 has no body; `()` reads as null.
        let bytes = if bytes.is_empty() { Bytes::from_static(b"null") } else { bytes };
        serde_json::from_slice(&bytes).map_err(|e| ClientError::Answer(e.to_string()))
    }
}

/// A person logged in on a daemon. Cheap to clone; the token dies with [`Session::log_out`] or its term.
#[derive(Clone)]
pub struct Session {
    client: Client,
    token: Arc<str>,
    me: Me,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token stays out of every log.
        f.debug_struct("Session").field("me", &self.me).finish_non_exhaustive()
    }
}

impl Session {
    /// Who logged in, as the daemon said at log-in.
    pub fn me(&self) -> &Me {
        &self.me
    }

    /// The bearer token, for programs that speak to the API themselves.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The daemon this session is on.
    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.client.call(reqwest::Method::GET, path, Some(&self.token), None::<&()>).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        self.client.call(reqwest::Method::POST, path, Some(&self.token), Some(body)).await
    }

    /// Who this session is now; also keeps it from idling out.
    pub async fn refresh_me(&self) -> Result<Me, ClientError> {
        self.get("me").await
    }

    /// Ends the session; its looks end with it.
    pub async fn log_out(&self) -> Result<(), ClientError> {
        self.client.call(reqwest::Method::DELETE, "sessions/current", Some(&self.token), None::<&()>).await
    }

    /// The municipalities in scope.
    pub async fn municipalities(&self) -> Result<Vec<MunicipalityView>, ClientError> {
        self.get("municipalities").await
    }

    /// The cameras in scope with their access now.
    pub async fn cameras(&self) -> Result<Vec<CameraView>, ClientError> {
        self.get("cameras").await
    }

    /// Why this person may, or may not, watch this camera now.
    pub async fn why(&self, camera: &CameraId) -> Result<Why, ClientError> {
        self.get(&format!("cameras/{}/why", segment(camera.as_str()))).await
    }

    /// Incidents of the scope, newest first.
    pub async fn incidents(&self) -> Result<Vec<Incident>, ClientError> {
        self.get("incidents").await
    }

    /// Marks an incident.
    pub async fn mark(&self, incident: &NewIncident) -> Result<Incident, ClientError> {
        self.post("incidents", incident).await
    }

    /// Changes or closes an incident.
    pub async fn change_incident(
        &self,
        id: &IncidentId,
        change: &IncidentChange,
    ) -> Result<Incident, ClientError> {
        let path = format!("incidents/{}", segment(id.as_str()));
        self.client.call(reqwest::Method::PATCH, &path, Some(&self.token), Some(change)).await
    }

    /// State of cameras, disk and log.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.get("health").await
    }

    /// Log entries from `from_seq`, at most `limit`; `purpose` is one of `lawfulness`, `internal_control`, `integrity`,
    /// `criminal_proceedings` (Wpg 32a lid 2).
    pub async fn ledger_entries(
        &self,
        purpose: &str,
        from_seq: u64,
        limit: u32,
    ) -> Result<Vec<LedgerEntry>, ClientError> {
        self.get(&format!("ledger/entries?purpose={}&from_seq={from_seq}&limit={limit}", segment(purpose)))
            .await
    }

    /// The receipt of an entry about one's own act: a C2SP `tlog-proof@v1` with the entry in it, to be kept. Waits up to
    /// three seconds for the log to publish it. `rtrctl ledger verify --proof FILE` checks it, and `--kept FILE` whether a
    /// log that is shown later still carries it.
    pub async fn receipt(&self, seq: u64) -> Result<String, ClientError> {
        let bytes = self.bytes(&format!("receipts/{seq}")).await?;
        String::from_utf8(bytes.to_vec()).map_err(|e| ClientError::Answer(e.to_string()))
    }

    /// A file of the published log (`checkpoint`, `tile/0/000`), read for one of the purposes of Wpg 32a lid 2.
    pub async fn log_file(&self, path: &str, purpose: &str) -> Result<Bytes, ClientError> {
        self.bytes(&format!("ledger/tree/{path}?purpose={purpose}")).await
    }

    async fn bytes(&self, path: &str) -> Result<Bytes, ClientError> {
        let (status, bytes) =
            self.client.send(reqwest::Method::GET, path, Some(&self.token), None::<&()>).await?;
        if status == 200 {
            return Ok(bytes);
        }
        Err(match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => ClientError::Problem(Box::new(problem)),
            Err(_) => ClientError::Answer(format!("status {status} without a problem document")),
        })
    }

    /// Opens the media socket of this session.
    pub async fn media(&self) -> Result<(MediaSender, MediaReceiver), ClientError> {
        let base = &self.client.base;
        let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = base.port_or_known_default().unwrap_or(443);
        let unreachable = |e: &dyn std::fmt::Display| ClientError::Unreachable(e.to_string());
        let connect = TcpStream::connect((host.as_str(), port));
        let tcp = tokio::time::timeout(CONNECT_WITHIN, connect)
            .await
            .map_err(|_| ClientError::Unreachable("the connection took too long".to_owned()))?
            .map_err(|e| unreachable(&e))?;
        tcp.set_nodelay(true).map_err(|e| unreachable(&e))?;
        let name = ServerName::try_from(host).map_err(|e| unreachable(&e))?;
        let tls = tokio_rustls::TlsConnector::from(self.client.socket_tls.clone())
            .connect(name, tcp)
            .await
            .map_err(|e| unreachable(&e))?;
        let mut url = base.join("/api/v1/media").map_err(|e| unreachable(&e))?;
        url.set_scheme("wss").map_err(|()| ClientError::Address(base.to_string()))?;
        let request =
            tungstenite::ClientRequestBuilder::new(url.as_str().parse().map_err(|e| unreachable(&e))?)
                .with_header("Authorization", format!("Bearer {}", self.token))
                .with_sub_protocol("rtr.v1");
        let mut config = tungstenite::protocol::WebSocketConfig::default();
        config.max_message_size = Some(64 << 20);
        config.max_frame_size = Some(64 << 20);
        let (socket, _) = match tokio_tungstenite::client_async_with_config(request, tls, Some(config)).await
        {
            Ok(open) => open,
            Err(tungstenite::Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                return Err(match serde_json::from_slice::<Problem>(body) {
                    Ok(problem) => ClientError::Problem(Box::new(problem)),
                    Err(_) => ClientError::Answer(format!("status {} for the media socket", answer.status())),
                });
            }
            Err(e) => return Err(unreachable(&e)),
        };
        let (sink, stream) = socket.split();
        Ok((MediaSender { sink: Arc::new(Mutex::new(sink)) }, MediaReceiver { stream }))
    }
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// The sending half of a media socket. Cheap to clone.
#[derive(Clone)]
pub struct MediaSender {
    sink: Arc<Mutex<SplitSink<Socket, tungstenite::Message>>>,
}

impl MediaSender {
    /// Says something to the daemon. Not cancellation safe: a dropped call may leave the message half sent.
    pub async fn send(&self, message: &ClientMessage) -> Result<(), ClientError> {
        let text = serde_json::to_string(message).map_err(|e| ClientError::Answer(e.to_string()))?;
        let mut sink = self.sink.lock().await;
        sink.send(tungstenite::Message::text(text)).await.map_err(|e| ClientError::Unreachable(e.to_string()))
    }

    /// Closes the socket.
    pub async fn close(&self) {
        // Whoever closes no longer cares whether the other side was still there.
        drop(self.sink.lock().await.close().await);
    }
}

/// What arrives on a media socket.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// A control message.
    Control(ServerMessage),
    /// A picture: its header and its length-prefixed NAL units.
    Unit(UnitHeader, Bytes),
    /// The socket is closed, with the reason; nothing more arrives.
    Closed(String),
}

/// The receiving half of a media socket.
pub struct MediaReceiver {
    stream: SplitStream<Socket>,
}

impl MediaReceiver {
    /// The next message. Cancellation safe. Messages of a newer daemon that this version does not know are skipped.
    pub async fn next(&mut self) -> Incoming {
        loop {
            match self.stream.next().await {
                Some(Ok(tungstenite::Message::Binary(bytes))) => match wire::decode(&bytes) {
                    Ok((header, payload)) => return Incoming::Unit(header, payload),
                    Err(e) => return Incoming::Closed(e.to_string()),
                },
                Some(Ok(tungstenite::Message::Text(text))) => {
                    if let Ok(message) = serde_json::from_str(text.as_str()) {
                        return Incoming::Control(message);
                    }
                }
                Some(Ok(tungstenite::Message::Close(frame))) => {
                    let reason = frame.map(|f| f.reason.as_str().to_owned()).unwrap_or_default();
                    return Incoming::Closed(reason);
                }
                Some(Ok(_)) => {}
                Some(Err(e)) => return Incoming::Closed(e.to_string()),
                None => return Incoming::Closed("the connection ended".to_owned()),
            }
        }
    }
}

/// An error with its causes, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// One path segment or query value, percent-encoded.
fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
