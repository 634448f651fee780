//! The OpenAPI 3.1 document, made from the table of endpoints.

use super::{Endpoint, Needs, endpoints};
use crate::gate::word;
use axum::Json;
use serde_json::{Map, Value, json};

/// `GET /openapi.json`.
pub(super) async fn document() -> Json<Value> {
    Json(build(&endpoints()))
}

/// The document for a list of endpoints.
pub(super) fn build(endpoints: &[Endpoint]) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    schemas.insert("Problem".to_owned(), problem_schema());
    for endpoint in endpoints {
        for name in endpoint.body.into_iter().chain(endpoint.answer.1) {
            let name = name.trim_end_matches("[]");
            schemas.entry(name.to_owned()).or_insert_with(|| {
                json!({ "type": "object", "description": format!("`protocol::api::{name}` of the client library") })
            });
        }
        let path = paths.entry(endpoint.path.to_owned()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(endpoint.method.to_ascii_lowercase(), operation(endpoint));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "RTR",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Camera supervision of public places. Every refusal is a problem document (RFC 9457) whose \
                            `code` is a stable reason.",
            "license": { "name": "EUPL-1.2", "identifier": "EUPL-1.2" },
            "contact": { "name": "The control room's system administrator" },
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "session": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "session": { "type": "http", "scheme": "bearer", "description": "From POST /sessions" } },
            "schemas": schemas,
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let reference = |name: &str| match name.strip_suffix("[]") {
        Some(item) => json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{item}") } }),
        None => json!({ "$ref": format!("#/components/schemas/{name}") }),
    };
    let (status, answer) = endpoint.answer;
    let mut success = json!({ "description": endpoint.summary });
    if let (Some(name), Some(success)) = (answer, success.as_object_mut()) {
        success.insert("content".to_owned(), json!({ "application/json": { "schema": reference(name) } }));
    }
    let problem = |description: &str| {
        json!({
            "description": description,
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        })
    };
    let mut responses = Map::new();
    responses.insert(status.to_string(), success);
    if endpoint.needs != Needs::Nothing {
        responses.insert("401".to_owned(), problem("Not logged in"));
        responses
            .insert("403".to_owned(), problem("Refused; the code is the reason, and the refusal is logged"));
    }
    responses.insert("default".to_owned(), problem("What went wrong, and what to do"));
    let mut operation = json!({
        "operationId": endpoint.operation,
        "summary": endpoint.summary,
        "responses": responses,
    });
    if let Some(operation) = operation.as_object_mut() {
        if endpoint.needs == Needs::Nothing {
            operation.insert("security".to_owned(), json!([]));
        }
        if let Some(roles) = endpoint.needs.roles() {
            operation.insert("x-roles".to_owned(), roles.iter().map(word).collect());
        }
        let mut parameters: Vec<Value> = endpoint
            .path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        if endpoint.path.starts_with("/ledger/") {
            parameters.push(json!({
                "name": "purpose", "in": "query", "required": true,
                "schema": { "enum": ["lawfulness", "internal_control", "integrity", "criminal_proceedings"] },
            }));
        }
        if endpoint.operation == "ledgerEntries" {
            for name in ["from_seq", "limit"] {
                parameters.push(
                    json!({ "name": name, "in": "query", "schema": { "type": "integer", "minimum": 0 } }),
                );
            }
        }
        for name in endpoint.query {
            parameters.push(json!({ "name": name, "in": "query", "schema": { "type": "string" } }));
        }
        if !parameters.is_empty() {
            operation.insert("parameters".to_owned(), parameters.into());
        }
        if let Some(body) = endpoint.body {
            operation.insert(
                "requestBody".to_owned(),
                json!({ "required": true, "content": { "application/json": { "schema": reference(body) } } }),
            );
        }
    }
    operation
}

fn problem_schema() -> Value {
    let sentence = json!({
        "type": "object", "required": ["nl", "en"],
        "properties": { "nl": { "type": "string" }, "en": { "type": "string" } },
    });
    json!({
        "type": "object",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": { "type": "string" }, "title": { "type": "string" }, "status": { "type": "integer" },
            "code": { "type": "string" }, "detail": sentence,
            "until": { "type": "string", "format": "date-time" }, "ledger_seq": { "type": "integer" },
        },
    })
}
