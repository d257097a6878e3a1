//! On what a change depends: `If-Match` and `Idempotency-Key`.

use crate::base::limit::ONCE_KEY_BYTES_MAX;
use crate::http::problem::{Fault, Problem};
use crate::service::admin::{Condition, Refusal};
use crate::store::Revision;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

/// The header field of idempotency keys.
pub(in crate::http) const IDEMPOTENCY_KEY: &str = "idempotency-key";

impl<S: Send + Sync> FromRequestParts<S> for Condition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(&parts.headers).map_err(Problem::faults)
    }
}

fn read(headers: &HeaderMap) -> Result<Condition, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?;
        match value.to_str() {
            Ok(text) if values.next().is_none() => Some(text.trim().to_owned()),
            Ok(_) => {
                faults.push(Fault::new(name, "it stands there twice"));
                None
            }
            Err(_) => {
                faults.push(Fault::new(name, "it has other characters than printable ASCII"));
                None
            }
        }
    };
    let (matching, once) = (one(header::IF_MATCH.as_str()), one(IDEMPOTENCY_KEY));
    // Any revision will do, and a record that is not there is refused anyway.
    let matching = matching.filter(|text| text != "*");
    let expect = matching.as_deref().map(revision);
    if expect == Some(None) {
        faults.push(Fault::new("if-match", "it is no revision such as \"17\", in quotes"));
    }
    if once.as_ref().is_some_and(|key| key.is_empty() || key.len() > ONCE_KEY_BYTES_MAX) {
        faults
            .push(Fault::new(IDEMPOTENCY_KEY, format!("it is not of 1 to {ONCE_KEY_BYTES_MAX} characters")));
    }
    if faults.is_empty() { Ok(Condition { expect: expect.flatten(), once }) } else { Err(faults) }
}

/// The revision of an entity tag (RFC 9110 §8.8.3). Ours are strong, since `If-Match` compares strongly
/// (§13.1.1), though two looks at an extension may differ under one tag in what its phones do: no answer may be
/// kept, so a tag stands for what may be edited, and for nothing else.
fn revision(tag: &str) -> Option<Revision> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    let good = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| digits.parse().ok().map(Revision)).flatten()
}

/// The entity tag of a revision.
fn tag(revision: Revision) -> String {
    format!("\"{}\"", revision.0)
}

/// An answer with its revision, if it has one, as its entity tag.
pub(in crate::http) fn tagged(mut page: Response, revision: Option<Revision>) -> Response {
    if let Some(tag) = revision.and_then(|revision| HeaderValue::try_from(tag(revision)).ok()) {
        page.headers_mut().insert(header::ETAG, tag);
    }
    page
}

/// An idempotency key, where no revision can be expected: what is asked has none.
pub(in crate::http) struct Once(pub(in crate::http) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Once {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Condition::from_request_parts(parts, state).await? {
            Condition { expect: None, once } => Ok(Self(once)),
            Condition { expect: Some(_), .. } => Err(Refusal::NoRevision.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        let long = "k".repeat(ONCE_KEY_BYTES_MAX);
        let longer = format!("{long}k");
        for (fields, expect, once, faulty) in [
            (&[][..], None, None, &[][..]),
            (&[("if-match", "\"17\"")], Some(17), None, &[]),
            (&[("if-match", "*")], None, None, &[]),
            (&[("idempotency-key", "a b")], None, Some("a b"), &[]),
            (&[("idempotency-key", long.as_str())], None, Some(long.as_str()), &[]),
            (&[("idempotency-key", longer.as_str())], None, None, &["idempotency-key"]),
            (&[("idempotency-key", "")], None, None, &["idempotency-key"]),
            (&[("if-match", "17"), ("idempotency-key", "")], None, None, &["if-match", "idempotency-key"]),
            (&[("if-match", "W/\"17\"")], None, None, &["if-match"]),
            (&[("if-match", "\"17\", \"18\"")], None, None, &["if-match"]),
            (&[("if-match", "\"99999999999999999999\"")], None, None, &["if-match"]),
            (&[("if-match", "\"1\""), ("if-match", "\"2\"")], None, None, &["if-match"]),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, value.parse().unwrap());
            }
            let found = read(&headers);
            let names: Vec<_> =
                found.as_ref().err().into_iter().flatten().map(|fault| fault.field.as_str()).collect();
            assert_eq!(names, faulty, "{fields:?}");
            if let Ok(condition) = found {
                assert_eq!(condition.expect, expect.map(Revision), "{fields:?}");
                assert_eq!(condition.once.as_deref(), once, "{fields:?}");
            }
        }
        assert_eq!(revision(&tag(Revision(17))), Some(Revision(17)));
    }
}
