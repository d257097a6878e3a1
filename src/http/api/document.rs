//! The document that describes the API (OpenAPI 3.1), made from the handlers themselves.
//!
//! A handler says what is its own: path, parameters, body, the answer when all went well. What holds for
//! many is said here once: who may ask, the conditions of changes, and which refusals there are.

use super::{extensions, keys, lookouts, own, phones, second, secrets, stations, tenants};
use crate::base::limit::ONCE_KEY_BYTES_MAX;
use crate::http::problem::{Fault, ProblemBody};
use crate::http::{forgotten, invitations, portal};
use serde_json::{Value, json};
use utoipa::OpenApi;

/// Where it is served.
pub(super) const PATH: &str = "/api/v1/openapi.json";

/// What the API is called, and schemas that no handler names.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stationmaster",
        description = "Everything that the command line can, by the same rules. Every refusal is a problem \
                       (RFC 9457) that names each faulty field."
    ),
    paths(published),
    components(schemas(ProblemBody, Fault))
)]
struct Doc;

#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "document", security(()),
    responses((status = 200, description = "This document", body = Object)))]
/// This document
#[allow(dead_code)]
async fn published() {}

/// What each refusal means where it is not the request's own fault.
const REFUSALS: &[(&str, &str)] = &[
    ("400", "Parameters, header fields or fields of the body are wrong; each is named"),
    ("401", "No access key or session was shown, or one that opens nothing"),
    (
        "403",
        "This is not yours to ask, whether or not it is there; or by session: the password must be changed, or \
         two-step verification set up, first",
    ),
    ("404", "What the path names is not there"),
    ("408", "The body took too long"),
    ("409", "It does not fit what there is"),
    ("412", "It was changed meanwhile: it has another revision than If-Match says"),
    ("413", "The body is too long"),
    ("415", "The body is not application/json"),
    ("422", "What is asked breaks rules, each of which is named; or the idempotency key was used before"),
    ("429", "Too many tries from this address"),
    ("503", "The store is away, or the server starts; ask again"),
];

/// The document as JSON.
pub(in crate::http) fn document() -> String {
    let mut api = Doc::openapi();
    for part in [
        tenants::Doc::openapi(),
        extensions::Doc::openapi(),
        phones::Doc::openapi(),
        lookouts::Doc::openapi(),
        keys::Doc::openapi(),
        stations::Doc::openapi(),
        second::Doc::openapi(),
        secrets::Doc::openapi(),
        own::Doc::openapi(),
        invitations::Doc::openapi(),
        forgotten::Doc::openapi(),
    ] {
        api.merge(part);
    }
    portal::documents().into_iter().for_each(|part| api.merge(part));
    let mut document = serde_json::to_value(api).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "key": {
            "type": "http", "scheme": "bearer", "bearerFormat": "ID.SECRET",
            "description": "An access key: its id, a dot, and its secret"
        },
        "session": {
            "type": "apiKey", "in": "cookie", "name": "__Host-session",
            "description": "The cookie of a session; what changes something needs X-CSRF-Token besides"
        },
    });
    let refusals = REFUSALS.iter().map(|(status, meaning)| ((*status).to_owned(), refusal(status, meaning)));
    document["components"]["responses"] = Value::Object(refusals.collect());
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete(path, method, operation);
        }
    }
    document.to_string()
}

fn refusal(status: &str, meaning: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    let mut refusal =
        json!({ "description": meaning, "content": { "application/problem+json": { "schema": schema } } });
    if matches!(status, "429" | "503") {
        refusal["headers"] = json!({ "Retry-After": {
            "description": "In how many seconds to ask again", "required": true,
            "schema": { "type": "integer", "minimum": 1 }
        }});
    }
    refusal
}

/// Says of one operation what holds for its kind.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let changes = method != "get";
    let open = operation["security"] == json!([{}]);
    let own = operation["security"].is_array() && !open;
    // Handlers of different things may have the same name.
    let name =
        [&operation["tags"][0], &operation["operationId"]].map(|part| part.as_str().unwrap_or_default());
    operation["operationId"] = json!(name.join("_"));
    let mut refusals = if open { vec!["429"] } else { vec!["401", "403", "429", "503"] };
    if open {
        operation["security"] = json!([]);
    } else if !own {
        operation["security"] = json!([{ "key": [] }, { "session": [] }]);
    }
    if operation["requestBody"].is_object() {
        refusals.extend(["400", "408", "413", "415", "422"]);
    }
    let mut parameters = match operation["parameters"].take() {
        Value::Array(parameters) => parameters,
        _ => Vec::new(),
    };
    if parameters.iter().any(|parameter| parameter["in"] == "query") {
        refusals.extend(["400", "422"]);
    }
    if path.contains('{') {
        refusals.push("404");
    }
    let depends = depends(method, path, open);
    match depends {
        Depends::Nothing => {}
        // A revision, which is there of nothing, is refused.
        Depends::Once if open => refusals.extend(["400", "412", "422"]),
        Depends::Once | Depends::Both => refusals.extend(["400", "404", "409", "412", "422"]),
    }
    if changes && !open {
        parameters.push(csrf());
    }
    let [once, matching] = conditions();
    parameters.extend((depends != Depends::Nothing).then_some(once));
    parameters.extend((depends == Depends::Both).then_some(matching));
    operation["parameters"] = Value::Array(parameters);
    for status in refusals {
        let known = operation["responses"].get(status).is_some();
        if !known {
            operation["responses"][status] = json!({ "$ref": format!("#/components/responses/{status}") });
        }
    }
}

/// On what a request may depend.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Depends {
    /// It only looks, needs no sign-in, or is done however often it is asked.
    Nothing,
    /// `Idempotency-Key`: what it changes has no revision, or none that the asker has seen.
    Once,
    /// And `If-Match`.
    Both,
}

fn depends(method: &str, path: &str, open: bool) -> Depends {
    match (method, path) {
        ("get", _) | ("delete", "/api/v1/session") => Depends::Nothing,
        ("delete", "/api/v1/sessions" | "/api/v1/sessions/{id}")
        | ("post", "/api/v1/invitations/accept" | "/api/v1/reset") => Depends::Once,
        _ if open => Depends::Nothing,
        _ => Depends::Both,
    }
}

/// What a change by the cookie of a session must show.
fn csrf() -> Value {
    json!({
        "name": "X-CSRF-Token", "in": "header", "required": false,
        "description": "The csrf_token of the session, for who asks by its cookie",
        "schema": { "type": "string" }
    })
}

/// The header fields on which a change may depend.
fn conditions() -> [Value; 2] {
    let once = json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "Asked again under the same key within 24 hours, the same is answered and nothing is done",
        "schema": { "type": "string", "minLength": 1, "maxLength": ONCE_KEY_BYTES_MAX, "pattern": "^[\t -~]+$" }
    });
    let matching = json!({
        "name": "If-Match", "in": "header", "required": false,
        "description": "Only if the tenant or extension still has this revision, as ETag told it",
        "schema": { "type": "string", "pattern": "^[ \t]*(\"[0-9]{1,19}\"|[*])[ \t]*$" }
    });
    [once, matching]
}
