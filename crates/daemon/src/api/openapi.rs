//! The OpenAPI 3.1 document, made from the table of endpoints and from the types that travel.

mod schemas;

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
    let schemas = schemas::all();
    for endpoint in endpoints {
        // A path's rest is a wildcard to the router and a parameter like others to a reader.
        let template = endpoint.path.replace("{*", "{");
        let path = paths.entry(template).or_insert_with(|| json!({}));
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
            .map(|name| name.trim_start_matches('*'))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(to)) = fields.get("$ref") {
                    found.push(to);
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    /// Every type that an endpoint names is described by its fields, and every reference leads somewhere.
    #[test]
    fn every_type_is_described() {
        let document = build(&endpoints());
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 200, "{} references", found.len());
        for to in found {
            let pointer = to.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{to} leads nowhere");
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            let says = ["properties", "oneOf", "anyOf", "enum", "const", "$ref"];
            let described = says.iter().any(|key| schema.get(key).is_some())
                || schema["type"].as_str().is_some_and(|kind| kind != "object")
                || name == "OpenApi";
            assert!(described, "{name}: {schema}");
        }
        let decree = document.pointer("/components/schemas/FactBody/oneOf").unwrap().to_string();
        assert!(
            decree.contains("retention_days") || document["components"]["schemas"].get("Decree").is_some()
        );
    }
}
