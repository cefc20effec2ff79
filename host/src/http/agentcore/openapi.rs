//! OpenAPI 3.1, made from the table of calls and the table of routes: there is no second copy to keep in step.

use super::calls::{self, Call};
use super::fault::Kind as Fault;
use super::shape::{ANY, Field, Kind, Place, Shape};
use crate::http::access::calls as routes;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The document, without its server, which is whatever host serves it.
pub(in crate::http) fn document(origin: &str) -> Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    let mut document = DOCUMENT.get_or_init(write).clone();
    document["servers"] = json!([{ "url": origin }]);
    document
}

fn write() -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for (method, path, operation) in routes() {
        let Some(call) = calls::of(operation) else { continue };
        let described = describe(call, &mut schemas);
        let path = paths.entry(path).or_insert_with(|| json!({}));
        path[method.to_ascii_lowercase()] = described;
    }
    schemas.0.insert("Error", error());
    schemas.0.insert("ValidationError", validation_error());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Attaché",
            "summary": "The identity operations of Amazon Bedrock AgentCore, and a few more",
            "description": "Calls are signed with AWS Signature Version 4 under an access key of this host (service \
                            `bedrock-agentcore`, any region), or carry a bearer token of the operators' issuer. Agents are also \
                            called with the bearer token of a user whom the agent's authorizer accepts.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 WITH LLVM-exception", "identifier": "Apache-2.0 WITH LLVM-exception" },
        },
        "security": [{ "sigv4": [] }, { "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.0,
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AWS Signature Version 4",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                },
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
            },
        },
    })
}

/// Named schemas, each written once.
#[derive(Default)]
struct Schemas(BTreeMap<&'static str, Value>);

impl Schemas {
    fn reference(&mut self, shape: &Shape) -> Value {
        if !self.0.contains_key(shape.name) {
            // Before its members are written; no shape holds itself.
            self.0.insert(shape.name, Value::Null);
            let written = self.write(shape);
            self.0.insert(shape.name, written);
        }
        json!({ "$ref": format!("#/components/schemas/{}", shape.name) })
    }

    fn write(&mut self, shape: &Shape) -> Value {
        let mut schema = match shape.kind {
            Kind::Text { min, max, pattern } => {
                let mut schema = json!({ "type": "string" });
                bounds(&mut schema, "minLength", "maxLength", min, max);
                if !pattern.is_empty() {
                    schema["pattern"] = format!("^(?:{pattern})$").into();
                }
                schema
            }
            Kind::Choice(words) => json!({ "type": "string", "enum": words }),
            Kind::Flag => json!({ "type": "boolean" }),
            Kind::Whole { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
            Kind::Time => json!({ "type": "number", "description": "Seconds since 1970" }),
            Kind::List { min, max, item } => {
                let mut schema = json!({ "type": "array", "items": self.reference(item) });
                bounds(&mut schema, "minItems", "maxItems", min, max);
                schema
            }
            Kind::Map { min, max, key, value } => {
                let mut schema = json!({
                    "type": "object",
                    "propertyNames": self.reference(key),
                    "additionalProperties": self.reference(value),
                });
                bounds(&mut schema, "minProperties", "maxProperties", min, max);
                schema
            }
            Kind::Structure(fields) => self.structure(fields),
            Kind::Union(fields) => {
                let mut schema = self.structure(fields);
                let one: Vec<Value> = fields.iter().map(|field| json!({ "required": [field.name] })).collect();
                schema["oneOf"] = one.into();
                schema
            }
            Kind::Bytes => json!({}),
            Kind::NotOffered(why) => json!({ "not": {}, "description": why }),
        };
        if shape.secret {
            schema["x-sensitive"] = true.into();
        }
        schema
    }

    fn structure<'a>(&mut self, fields: impl IntoIterator<Item = &'a Field>) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for field in fields {
            if matches!(field.shape.kind, Kind::NotOffered(_)) {
                continue;
            }
            properties.insert(field.name.to_owned(), self.reference(field.shape));
            if field.required {
                required.push(field.name);
            }
        }
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }
}

fn bounds(schema: &mut Value, least: &str, most: &str, min: u32, max: u32) {
    if min > 0 {
        schema[least] = min.into();
    }
    if max < ANY {
        schema[most] = max.into();
    }
}

fn describe(call: &Call, schemas: &mut Schemas) -> Value {
    let mut described = json!({
        "operationId": call.operation.name(),
        "summary": call.summary,
        "responses": responses(call, schemas),
    });
    let parameters: Vec<Value> = call.input.iter().filter_map(|field| parameter(field, schemas)).collect();
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    let in_body: Vec<&Field> = call.input.iter().filter(|field| field.place == Place::Body).collect();
    if call.input.iter().any(|field| field.place == Place::Payload) {
        described["requestBody"] = json!({ "content": { "application/octet-stream": {}, "application/json": {} } });
    } else if !in_body.is_empty() {
        let required = in_body.iter().any(|field| field.required);
        let schema = schemas.structure(in_body);
        described["requestBody"] =
            json!({ "required": required, "content": { "application/json": { "schema": schema } } });
    }
    described
}

fn parameter(field: &Field, schemas: &mut Schemas) -> Option<Value> {
    let (place, name) = match field.place {
        Place::Path => ("path", field.name),
        Place::Query(name) => ("query", name),
        // Two that OpenAPI keeps for itself (§4.8.12.1).
        Place::Header("content-type" | "accept") => return None,
        Place::Header(name) => ("header", name),
        Place::Body | Place::Payload => return None,
    };
    let schema = schemas.reference(field.shape);
    Some(json!({ "name": name, "in": place, "required": field.required, "schema": schema }))
}

fn responses(call: &Call, schemas: &mut Schemas) -> Value {
    let mut responses = Map::new();
    let mut success = json!({ "description": "done", "headers": headers(false) });
    let streams = call.output.iter().any(|field| field.place == Place::Payload);
    if streams {
        success["content"] = json!({ "*/*": {} });
    } else if call.status != 204 {
        let fields = call.output.iter().filter(|field| field.place == Place::Body);
        success["content"] = json!({ "application/json": { "schema": schemas.structure(fields) } });
    }
    responses.insert(call.status.to_string(), success);
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for fault in call.faults.iter().chain([&Fault::Unauthorized]) {
        let names = by_status.entry(fault.status().as_u16()).or_default();
        if !names.contains(&fault.name()) {
            names.push(fault.name());
        }
    }
    let of_callers = [
        "MissingAuthenticationTokenException",
        "IncompleteSignatureException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
    ];
    by_status.entry(403).or_default().extend(of_callers);
    for (status, names) in by_status {
        let schema = if status == 400 { "ValidationError" } else { "Error" };
        responses.insert(
            status.to_string(),
            json!({
                "description": names.join(", "),
                "headers": headers(true),
                "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } },
            }),
        );
    }
    responses.into()
}

fn headers(of_error: bool) -> Value {
    let mut headers = json!({
        "x-amzn-RequestId": { "description": "names this answer", "schema": { "type": "string" } },
    });
    if of_error {
        headers["x-amzn-ErrorType"] = json!({ "description": "the exception", "schema": { "type": "string" } });
    }
    headers
}

fn error() -> Value {
    json!({
        "type": "object",
        "properties": { "message": { "type": "string", "description": "why, and what to do" } },
        "required": ["message"],
    })
}

fn validation_error() -> Value {
    json!({
        "type": "object",
        "properties": {
            "message": { "type": "string" },
            "reason": { "type": "string", "enum": ["CannotParse", "FieldValidationFailed"] },
            "fieldList": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": { "name": { "type": "string" }, "message": { "type": "string" } },
                    "required": ["name", "message"],
                },
            },
        },
        "required": ["message"],
    })
}
