//! Refusals as problem details (RFC 9457), and requests whose every fault is named.

use crate::base::limit;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// A refusal: a status, a sentence, and faults by field.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<(String, String)>,
    retry_after: Option<Duration>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }

    /// The same with what is wrong with which field.
    pub(super) fn with_errors(mut self, errors: Vec<(String, String)>) -> Self {
        self.errors = errors;
        self
    }

    /// The same with when to ask again.
    pub(super) fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail, errors, retry_after } = self;
        let title = status.canonical_reason().unwrap_or("Refused");
        let errors: Vec<Value> =
            errors.iter().map(|(field, reason)| json!({ "field": field, "reason": reason })).collect();
        let body = json!({ "title": title, "status": status.as_u16(), "detail": detail, "errors": errors });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

/// The text fields of a JSON object that has exactly these, in their order.
///
/// # Errors
/// Another content type, a body that is too long or too slow, no JSON object; every field that is
/// missing, twice, unknown or no text.
pub(super) async fn fields<const N: usize>(
    request: Request,
    names: [&'static str; N],
) -> Result<[String; N], Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let reason = "the body must be application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
    }
    let body = body(request.into_body()).await?;
    let object: Object = serde_json::from_slice(&body)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is no JSON object"))?;
    read(object, names)
        .map_err(|errors| Problem::new(StatusCode::BAD_REQUEST, "some fields are wrong").with_errors(errors))
}

async fn body(body: Body) -> Result<axum::body::Bytes, Problem> {
    let whole = axum::body::to_bytes(body, limit::HTTP_BODY_BYTES_MAX);
    match tokio::time::timeout(limit::HTTP_BODY_WAIT_MAX, whole).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => {
            let reason = format!("the body has more than {} bytes, or broke off", limit::HTTP_BODY_BYTES_MAX);
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, reason))
        }
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

/// A JSON object as it was written: a field that stands there twice is in it twice.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

fn read<const N: usize>(
    object: Object,
    names: [&'static str; N],
) -> Result<[String; N], Vec<(String, String)>> {
    let mut errors: Vec<(String, String)> = Vec::new();
    let mut found = [const { None }; N];
    for (name, value) in object.0 {
        let place = names.iter().position(|known| *known == name).and_then(|at| found.get_mut(at));
        match (place, value) {
            (None, _) => errors.push((name, "there is no such field".into())),
            (Some(Some(_)), _) => errors.push((name, "it stands there twice".into())),
            (Some(place), Value::String(text)) => *place = Some(text),
            (Some(place), _) => {
                *place = Some(String::new());
                errors.push((name, "it must be a text".into()));
            }
        }
    }
    for (name, value) in names.iter().zip(&found) {
        if value.is_none() {
            errors.push(((*name).to_owned(), "it is missing".into()));
        }
    }
    if errors.is_empty() { Ok(found.map(Option::unwrap_or_default)) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_request_is_named() {
        let read = |text: &str| read(serde_json::from_str(text).unwrap(), ["token", "password"]);
        assert_eq!(read(r#"{"password":"p","token":"t"}"#), Ok(["t".into(), "p".into()]));
        for (text, expected) in [
            ("{}", &[("token", "it is missing"), ("password", "it is missing")][..]),
            (r#"{"token":1,"password":"p"}"#, &[("token", "it must be a text")]),
            (r#"{"token":"a","token":"b","password":"p"}"#, &[("token", "it stands there twice")]),
            (
                r#"{"token":"a","x":1,"password":null}"#,
                &[("x", "there is no such field"), ("password", "it must be a text")],
            ),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(name, why)| ((*name).to_owned(), (*why).to_owned())).collect();
            assert_eq!(read(text), Err(expected), "{text}");
        }
        for text in ["", "[]", "1", "{", r#"{"token":"t"} x"#] {
            assert!(serde_json::from_str::<Object>(text).is_err(), "{text}");
        }
    }
}
