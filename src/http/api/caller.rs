//! Who asks, from what they show: an access key, `Authorization: Bearer ID.SECRET`, or the cookie of a
//! session ([`crate::http::portal::guard`]).
//!
//! What is wrong, unknown or taken away has one answer (401), and another one (429) once a source has
//! shown such too often. What is right is let in all the same: so nobody can shut out others who share
//! their address, and nobody can guess 256 bits.

use super::{Api, Source};
use crate::account::access_key;
use crate::http::portal::guard::{by_session, shows_session};
use crate::http::problem::Problem;
use crate::service::admin::{Caller, Refusal, Via};
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Api: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let api = Api::from_ref(state);
        let Ok(source) = Source::from_request_parts(parts, state).await;
        let caller = match bearer(&parts.headers) {
            Some(shown) => by_key(&api, source, shown).await?,
            None if shows_session(&parts.headers) => by_session(&api, source, parts).await?,
            None => return Err(unknown("show an access key: Authorization: Bearer ID.SECRET, or sign in")),
        };
        match caller {
            Some(caller) => Ok(caller),
            None => {
                api.failed(source)?;
                Err(unknown("this opens nothing, or not any more"))
            }
        }
    }
}

/// What is shown as `Authorization: Bearer`; the word in whatever case (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

async fn by_key(api: &Api, source: Source, shown: &str) -> Result<Option<Caller>, Problem> {
    let services = api.admin()?.services();
    let Some((id, secret)) = access_key::parse(shown) else { return Ok(None) };
    let found = services.whose_key(id.clone(), secret).await.map_err(Refusal::from)?;
    Ok(found.map(|actor| Caller { actor, via: Via::Key(id), from: source.0 }))
}

/// Nobody that we know (401).
fn unknown(detail: &str) -> Problem {
    let challenge = HeaderValue::from_static("Bearer realm=\"stationmaster\"");
    Problem::new(StatusCode::UNAUTHORIZED, detail).with_header(header::WWW_AUTHENTICATE, challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown() {
        for (text, shown) in [
            ("Bearer a.b", Some("a.b")),
            ("bearer  a.b ", Some("a.b")),
            ("Basic a.b", None),
            ("Bearer", None),
            ("a.b", None),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, text.parse().unwrap())]);
            assert_eq!(bearer(&headers), shown, "{text}");
        }
    }
}
