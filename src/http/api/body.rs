//! Bodies of requests, judged by the same description that the API's document publishes, so that every
//! fault is named: fields that are missing, unknown, there twice, of another type, too long.

use super::{Api, Source};
use crate::base::limit;
use crate::http::problem::{Fault, Problem};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{StatusCode, header};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use utoipa::PartialSchema;

/// A JSON object that is as `T` describes it: flat, of texts, whole numbers, truths and lists of these.
pub(in crate::http) struct Body<T>(pub(in crate::http) T);

impl<S: Send + Sync, T: DeserializeOwned + PartialSchema> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let reason = "the body must be application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
        }
        read(&bytes(request.into_body()).await?).map(Self)
    }
}

/// A body of whoever has not signed in: it is counted for its source before it is read.
pub(in crate::http) struct Open<T> {
    pub(in crate::http) source: Source,
    pub(in crate::http) body: T,
}

impl<T: DeserializeOwned + PartialSchema> FromRequest<Api> for Open<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let Ok(source) = Source::from_request_parts(&mut parts, api).await;
        api.admit(source)?;
        let Body(body) = Body::from_request(Request::from_parts(parts, body), api).await?;
        Ok(Self { source, body })
    }
}

/// A whole body, within its bounds of length and time.
pub(in crate::http) async fn bytes(body: axum::body::Body) -> Result<axum::body::Bytes, Problem> {
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

fn read<T: DeserializeOwned + PartialSchema>(text: &[u8]) -> Result<T, Problem> {
    let object: Object = serde_json::from_slice(text)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is no JSON object"))?;
    let described = serde_json::to_value(T::schema()).unwrap_or_default();
    let fields = judge(&described, object).map_err(Problem::faults)?;
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| Problem::faults(vec![Fault::new("", error.to_string())]))
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

/// The fields, if they are as described. A field that is null is as if it were not there, where that
/// is allowed.
fn judge(described: &Value, object: Object) -> Result<Map<String, Value>, Vec<Fault>> {
    let (mut faults, mut fields) = (Vec::new(), Map::new());
    for (name, value) in object.0 {
        let reason = match described["properties"].get(&name) {
            None => Some("there is no such field".to_owned()),
            Some(_) if fields.contains_key(&name) => Some("it stands there twice".to_owned()),
            Some(kind) => wrong(kind, &value),
        };
        faults.extend(reason.map(|reason| Fault::new(&name, reason)));
        fields.insert(name, value);
    }
    let required = described["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    for name in required.iter().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            faults.push(Fault::new(name, "it is missing"));
        }
    }
    if faults.is_empty() { Ok(fields) } else { Err(faults) }
}

/// What is wrong with a value where none may be.
const NOT_NULL: &str = "it must be null";

/// In what way a value is not of its kind.
fn wrong(kind: &Value, value: &Value) -> Option<String> {
    if let Some(kinds) = kind["oneOf"].as_array() {
        let reasons: Option<Vec<String>> = kinds.iter().map(|kind| wrong(kind, value)).collect();
        return reasons.and_then(|reasons| reasons.into_iter().find(|reason| reason != NOT_NULL));
    }
    let is = |name: &str| match &kind["type"] {
        Value::Array(names) => names.iter().any(|one| one == name),
        one => one == name,
    };
    match value {
        Value::Null if is("null") => None,
        Value::String(text) if is("string") => wrong_text(kind, text),
        Value::Bool(_) if is("boolean") => None,
        Value::Number(number) if is("integer") => wrong_number(kind, number),
        Value::Array(values) if is("array") => {
            let most = kind["maxItems"].as_u64().unwrap_or(u64::MAX);
            if values.len() as u64 > most {
                return Some(format!("it has more than {most} entries"));
            }
            values.iter().find_map(|value| wrong(&kind["items"], value))
        }
        _ => Some(
            match () {
                () if is("string") => "it must be a text",
                () if is("integer") => "it must be a whole number",
                () if is("boolean") => "it must be true or false",
                () if is("array") => "it must be a list",
                () => NOT_NULL,
            }
            .to_owned(),
        ),
    }
}

fn wrong_text(kind: &Value, text: &str) -> Option<String> {
    let length = text.chars().count() as u64;
    if let Some(words) = kind["enum"].as_array() {
        let known: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        return (!known.contains(&text)).then(|| format!("it is none of {}", known.join(", ")));
    }
    match (kind["minLength"].as_u64(), kind["maxLength"].as_u64()) {
        (Some(least), _) if length < least => Some(format!("it has less than {least} characters")),
        (_, Some(most)) if length > most => Some(format!("it has more than {most} characters")),
        _ => None,
    }
}

fn wrong_number(kind: &Value, number: &serde_json::Number) -> Option<String> {
    let Some(number) = number.as_i64() else { return Some("it must be a whole number".to_owned()) };
    match (kind["minimum"].as_i64(), kind["maximum"].as_i64()) {
        (Some(least), _) if number < least => Some(format!("it is less than {least}")),
        (_, Some(most)) if number > most => Some(format!("it is more than {most}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa::ToSchema;

    #[derive(Debug, Deserialize, PartialEq, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[schema(max_length = 3, min_length = 1)]
        token: String,
        password: String,
        #[schema(minimum = 1, maximum = 9)]
        count: Option<u8>,
        #[schema(inline)]
        word: Option<Word>,
        #[serde(default)]
        #[schema(max_items = 2)]
        more: Vec<String>,
        #[serde(default)]
        sure: bool,
    }

    #[derive(Debug, Deserialize, PartialEq, ToSchema)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        One,
        Two,
    }

    #[test]
    fn every_fault_of_a_body_is_named() {
        for (text, expected) in [
            (r#"{"password":"p","token":"t"}"#, &[][..]),
            (r#"{"password":"p","token":"ttt","count":9,"word":"two","more":["a","b"],"sure":true}"#, &[]),
            (r#"{"password":"p","token":"t","count":null,"word":null}"#, &[]),
            ("{}", &[("password", "it is missing"), ("token", "it is missing")]),
            (r#"{"token":1,"password":"p"}"#, &[("token", "it must be a text")]),
            (r#"{"token":"a","token":"b","password":"p"}"#, &[("token", "it stands there twice")]),
            (
                r#"{"token":"","x":1,"password":null}"#,
                &[
                    ("token", "it has less than 1 characters"),
                    ("x", "there is no such field"),
                    ("password", "it must be a text"),
                ],
            ),
            (
                r#"{"token":"äöüß","password":"","count":10,"word":"six","more":["a","b","c"],"sure":1}"#,
                &[
                    ("token", "it has more than 3 characters"),
                    ("count", "it is more than 9"),
                    ("word", "it is none of one, two"),
                    ("more", "it has more than 2 entries"),
                    ("sure", "it must be true or false"),
                ],
            ),
            (
                r#"{"token":"t","password":"","count":0,"word":[],"more":[1]}"#,
                &[
                    ("count", "it is less than 1"),
                    ("word", "it must be a text"),
                    ("more", "it must be a text"),
                ],
            ),
            (r#"{"token":"t","password":"","count":1.5}"#, &[("count", "it must be a whole number")]),
        ] {
            let described = serde_json::to_value(Asked::schema()).unwrap();
            let mut faults = judge(&described, serde_json::from_str(text).unwrap()).err().unwrap_or_default();
            faults.sort_by_key(|fault| expected.iter().position(|(field, _)| *field == fault.field));
            let found: Vec<_> =
                faults.iter().map(|fault| (fault.field.as_str(), fault.reason.as_str())).collect();
            assert_eq!(found, expected, "{text}");
            assert_eq!(read::<Asked>(text.as_bytes()).is_ok(), expected.is_empty(), "{text}");
        }
        for text in ["", "[]", "1", "{", r#"{"token":"t"} x"#] {
            let problem = read::<Asked>(text.as_bytes()).unwrap_err();
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST, "{text}");
        }
    }
}
