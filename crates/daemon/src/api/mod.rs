//! The HTTPS API under `/api/v1`. [`table`] is the one list of endpoints: the router, the OpenAPI document and the tests
//! that try every endpoint with every role all come from it.
//!
//! Each endpoint answers in this order: 401 without a session; 403, logged, for a role that may never do it; then what
//! is wrong with path or body; then the law's own answer for the person and the object.

mod accounts;
mod clock;
mod emergency;
mod entering;
pub(crate) mod holds;
mod openapi;
mod outlook;
pub mod problem;
mod proposing;
mod quarantine;
mod query;
mod records;
mod register;
mod replay_mp4;
mod reports;
pub(crate) mod requests;
pub(crate) mod room;
mod sessions;
mod timeline;
pub(crate) mod tree;

use crate::{
    captured::Captured,
    exports::Exports,
    gate::{Ask, Gate},
    holds::Holds,
    identity::{Identity, Session},
    incidents::Incidents,
    journal::Journal,
    media_socket,
    recorder::Recording,
    retention::Retention,
    streams::Streams,
    tally::Tally,
};
use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Request as HttpRequest, State},
    http::header,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, delete, get, patch, post},
};
use ingest::Ingest;
use ledger::Ledger;
use mandate::{Action, Object, ReasonCode, Role, roles::ROLE_MATRIX};
use problem::ApiError;
use std::sync::Arc;
use vault::Vault;

/// Largest request body, bytes.
const LARGEST_BODY: usize = 1 << 20;

/// Everything the handlers work with.
pub struct Rooms {
    /// The gate.
    pub gate: Gate,
    /// Accounts and sessions.
    pub identity: Identity,
    /// The register's journal.
    pub journal: Journal,
    /// Footage secured for cases.
    pub holds: Holds,
    /// The shift's incidents.
    pub incidents: Incidents,
    /// Footage requests.
    pub exports: Exports,
    /// The cameras.
    pub ingest: Arc<Ingest>,
    /// The footage.
    pub vault: Vault,
    /// The log, to be read.
    pub ledger: Ledger,
    /// Stream numbers.
    pub streams: Arc<Streams>,
    /// What dies when.
    pub retention: Arc<Retention>,
    /// What was handed to the vault.
    pub recording: Arc<Recording>,
    /// Under which basis footage was captured.
    pub captured: Arc<Captured>,
    /// Counters without persons.
    pub tally: Arc<Tally>,
    /// Small counts and the cost key.
    pub reports: settings::ReportSettings,
    /// Origin of the log.
    pub origin: String,
    /// Whether this is a demonstration.
    pub demo: bool,
    /// Readings of the log's tiles that are going on.
    pub readings: tree::Readings,
    /// Counts of the media sockets.
    pub media: media_socket::Figures,
    /// Cancelled when the daemon stops.
    pub stop: tokio_util::sync::CancellationToken,
}

/// The handlers' shared state.
pub type App = Arc<Rooms>;

/// What an endpoint asks of whoever calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// A session in whatever role.
    LogIn,
    /// A role that may do one of these actions; the handler passes the gate with the one that applies.
    Action(&'static [Action]),
    /// A role that may confirm somebody else's entry in the register (`decisions.md` 8).
    SecondPerson,
    /// A role that may confirm a new password for an account that exists.
    Confirming,
}

impl Needs {
    /// The roles that get further than 403; `None` where any session or none will do.
    pub fn roles(self) -> Option<Vec<Role>> {
        let mut roles: Vec<Role> = match self {
            Self::Nothing | Self::LogIn => return None,
            Self::Action(actions) => ROLE_MATRIX
                .iter()
                .filter(|(action, _)| actions.contains(action))
                .flat_map(|(_, roles)| roles.iter().copied())
                .collect(),
            Self::SecondPerson => entering::SECOND_PERSONS.to_vec(),
            Self::Confirming => accounts::CONFIRMING.to_vec(),
        };
        roles.sort_unstable();
        roles.dedup();
        Some(roles)
    }
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// HTTP method, upper case.
    pub method: &'static str,
    /// Path below `/api/v1`, with `{id}` placeholders.
    pub path: &'static str,
    /// What it asks of the caller.
    pub needs: Needs,
    /// Stable name of the operation, for clients made from the document.
    pub operation: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Name of the body's type in `protocol::api`, if it takes one.
    pub body: Option<&'static str>,
    /// Status and type of the answer.
    pub answer: (u16, Option<&'static str>),
    /// Keys that may stand in the query.
    pub query: &'static [&'static str],
}

impl Endpoint {
    const fn asking(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }
}

impl Endpoint {
    /// How the log calls what this endpoint does: a role's refusal stands under the same name as the act, so that who looks for
    /// attempts at it finds both. Endpoints that write no entry of their own keep the operation's name.
    pub fn action(&self) -> &'static str {
        match self.operation {
            "ledgerEntries" => "log.read",
            "checkpoint" => "log.checkpoint",
            "ledgerTree" => "log.tiles",
            "markIncident" => "incident.mark",
            "changeIncident" => "incident.change",
            "media" => "live_view",
            "setHold" => "hold.set",
            "releaseHold" | "closeRequest" => "hold.release",
            "requestFootage" => "export.request",
            "approveRequest" => "export.approve",
            "refuseRequest" => "export.refuse",
            "downloadFile" => "export.download",
            "acceptClock" => "clock.accept",
            "invite" => "account.invite",
            "confirmInvitation" => "account.confirm",
            operation => operation,
        }
    }
}

const fn endpoint(
    method: &'static str,
    path: &'static str,
    needs: Needs,
    operation: &'static str,
    summary: &'static str,
    body: Option<&'static str>,
    answer: (u16, Option<&'static str>),
) -> Endpoint {
    Endpoint { method, path, needs, operation, summary, body, answer, query: &[] }
}

/// Who reads the log.
const LOG: Needs = Needs::Action(&[Action::ReadLog]);

/// Every endpoint there is, with its handler.
pub fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    use Needs::{LogIn, Nothing};
    const LIST: Needs = Needs::Action(&[Action::ListCameras]);
    const MARK: Needs = Needs::Action(&[Action::MarkIncident]);
    let e = endpoint;
    let mut all = vec![
        (
            e("GET", "/about", Nothing, "about", "What this server is", None, (200, Some("About"))),
            get(room::about),
        ),
        (
            e("GET", "/openapi.json", Nothing, "openapi", "This document", None, (200, Some("OpenApi"))),
            get(openapi::document),
        ),
        (
            e("POST", "/sessions", Nothing, "logIn", "Log in", Some("LogIn"), (201, Some("Session"))),
            post(sessions::log_in),
        ),
        (
            e(
                "DELETE",
                "/sessions/current",
                LogIn,
                "logOut",
                "End this session and its looks",
                None,
                (204, None),
            ),
            delete(sessions::log_out),
        ),
        (e("GET", "/me", LogIn, "me", "Who this session is", None, (200, Some("Me"))), get(sessions::me)),
        (
            e(
                "GET",
                "/municipalities",
                LIST,
                "municipalities",
                "Municipalities in scope",
                None,
                (200, Some("MunicipalityView[]")),
            ),
            get(room::municipalities),
        ),
        (
            e(
                "GET",
                "/cameras",
                LIST,
                "cameras",
                "Cameras in scope and whether they are open",
                None,
                (200, Some("CameraView[]")),
            ),
            get(room::cameras),
        ),
        (
            e(
                "GET",
                "/cameras/{id}/why",
                LIST,
                "why",
                "Why this camera is open or closed to you",
                None,
                (200, Some("Why")),
            ),
            get(room::why),
        ),
        (
            e(
                "GET",
                "/incidents",
                Needs::Action(&[Action::ListIncidents]),
                "incidents",
                "The newest incidents in scope",
                None,
                (200, Some("Incident[]")),
            ),
            get(room::incidents),
        ),
        (
            e(
                "POST",
                "/incidents",
                MARK,
                "markIncident",
                "Mark an incident",
                Some("NewIncident"),
                (201, Some("Incident")),
            ),
            post(room::mark),
        ),
        (
            e(
                "PATCH",
                "/incidents/{id}",
                MARK,
                "changeIncident",
                "Change or close an incident",
                Some("IncidentChange"),
                (200, Some("Incident")),
            ),
            patch(room::change_incident),
        ),
        (
            e(
                "GET",
                "/health",
                Needs::Action(&[Action::ReadHealth]),
                "health",
                "State of cameras, disk and log",
                None,
                (200, Some("Health")),
            ),
            get(room::health),
        ),
        (
            e(
                "GET",
                "/ledger/entries",
                LOG,
                "ledgerEntries",
                "Read the log; `purpose`, `from_seq` and `limit` in the query, and what to look for",
                None,
                (200, Some("LedgerEntry[]")),
            )
            .asking(records::FILTERS),
            get(records::entries),
        ),
        (
            e(
                "GET",
                "/ledger/checkpoint",
                LOG,
                "checkpoint",
                "The newest signed checkpoint; `purpose` in the query",
                None,
                (200, Some("Checkpoint")),
            ),
            get(records::checkpoint),
        ),
        (
            e(
                "GET",
                "/media",
                Needs::Action(&[Action::LiveView, Action::Replay]),
                "media",
                "The media socket (WebSocket, sub-protocol rtr.v1)",
                None,
                (101, None),
            ),
            get(media_socket::open),
        ),
    ];
    all.extend(register::table());
    all.extend(tree::table());
    all.extend(holds::table());
    all.extend(clock::table());
    all.extend(timeline::table());
    all.extend(outlook::table());
    all.extend(emergency::table());
    all.extend(reports::table());
    all.extend(quarantine::table());
    all.extend(accounts::table());
    all.extend(requests::table());
    all.extend(replay_mp4::table());
    all
}

/// The endpoints without their handlers.
pub fn endpoints() -> Vec<Endpoint> {
    table().into_iter().map(|(endpoint, _)| endpoint).collect()
}

/// The router over [`table`].
pub fn router(app: App) -> Router {
    let mut api: Router<App> = Router::new();
    for (endpoint, handler) in table() {
        let guarded = handler.layer(middleware::from_fn_with_state((app.clone(), endpoint), guard));
        api = api.route(endpoint.path, guarded);
    }
    Router::new()
        .nest("/api/v1", api)
        .fallback(|| async { ApiError::NotFound })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::map_response(headers))
        .with_state(app)
}

async fn headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

/// Who calls, and whether their role may ever do this; before anything of the request is read.
async fn guard(
    State((app, endpoint)): State<(App, Endpoint)>,
    mut request: HttpRequest,
    next: Next,
) -> Result<Response, ApiError> {
    if endpoint.needs == Needs::Nothing {
        return Ok(next.run(request).await);
    }
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(ApiError::NotLoggedIn)?
        .to_owned();
    let session = app.identity.session(&token)?;
    if let Some(roles) = endpoint.needs.roles()
        && !roles.contains(&session.role)
    {
        let action = match endpoint.needs {
            Needs::Action([action, ..]) => *action,
            _ => Action::ConfigureDecree,
        };
        let ask = Ask {
            request: crate::gate::request(&session, action, Object::None),
            session: Some(session),
            name: endpoint.action(),
            display: None,
        };
        return Err(app.gate.refuse(&ask, ReasonCode::RoleNotPermitted).await.into());
    }
    request.extensions_mut().insert(session);
    request.extensions_mut().insert(Token(token.into()));
    Ok(next.run(request).await.into_response())
}

/// The bearer token of a request that passed [`guard`].
#[derive(Clone)]
pub(crate) struct Token(pub(crate) Arc<str>);

/// The session of a request that passed [`guard`].
pub(crate) type Caller = Extension<Session>;

/// A question of a session's person about one object.
pub(crate) fn ask(session: &Session, action: Action, object: Object, name: &'static str) -> Ask {
    Ask {
        request: crate::gate::request(session, action, object),
        session: Some(session.clone()),
        name,
        display: None,
    }
}
