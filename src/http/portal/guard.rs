//! Who asks, by cookie: what every request of a person passes first.
//!
//! | asked | passes |
//! |-------|--------|
//! | by a page of another origin (`Sec-Fetch-Site`, else `Origin`) | never, if it would change something |
//! | without a session that goes on | 401 |
//! | a change without the session's CSRF token | 403 |
//! | anything but a new password where one must be set | 403 |

use super::super::Remote;
use super::super::problem::Problem;
use super::{Hall, STORE_AGAIN};
use crate::account::Token;
use crate::service::admin::Refusal;
use crate::service::portal::{Desk, Here, Refused};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// The session's cookie.
pub(super) const SESSION: &str = "__Host-session";

/// The browser's cookie.
pub(super) const DEVICE: &str = "__Host-device";

/// The header that a change by cookie must have.
const CSRF: &str = "x-csrf-token";

/// How long a browser keeps its cookie, in seconds: as long as browsers keep any.
const DEVICE_S: u32 = 400 * 86_400;

/// A refusal on its way out.
pub(super) struct Denied(Box<Response>);

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Problem> for Denied {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem.into_response()))
    }
}

impl From<Refused> for Denied {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::Wrong => unauthorized(&detail),
            Refused::Locked(wait) => Problem::new(StatusCode::FORBIDDEN, detail).after(wait).into(),
            Refused::Busy(wait) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).after(wait).into(),
            Refused::By(Refusal::WeakPassword(rules)) => {
                let errors = rules.into_iter().map(|rule| ("new".to_owned(), rule)).collect();
                let reason = "the password is refused";
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reason).with_errors(errors).into()
            }
            Refused::By(Refusal::Store(_)) => {
                let reason = "it cannot be said whether this was done; try again";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason).after(STORE_AGAIN).into()
            }
            Refused::By(_) => Problem::new(StatusCode::CONFLICT, detail).into(),
        }
    }
}

/// 401, with the challenge that it must have (RFC 9110 §15.5.2).
pub(super) fn unauthorized(detail: &str) -> Denied {
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
    let challenge = HeaderValue::from_static("Cookie realm=\"portal\", cookie-name=\"__Host-session\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    Denied(Box::new(response))
}

/// Somebody who asks, signed in or not.
pub(super) struct Caller {
    pub(super) desk: Desk,
    pub(super) from: IpAddr,
    /// The cookie of a session, if there is one.
    pub(super) session: Option<String>,
    /// The browser's cookie, if there is one.
    pub(super) device: Option<Token>,
    pub(super) agent: String,
}

impl FromRequestParts<Hall> for Caller {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, hall: &Hall) -> Result<Self, Denied> {
        let Ok(ConnectInfo(Remote(remote))) = ConnectInfo::<Remote>::from_request_parts(parts, hall).await
        else {
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "nobody asks").into());
        };
        if changes(&parts.method) && is_foreign(&parts.headers) {
            let reason = "a page of another origin may not ask this";
            return Err(Problem::new(StatusCode::FORBIDDEN, reason).into());
        }
        let desk = hall.door.get().cloned();
        let starting = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is starting");
        let agent = parts.headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
        Ok(Self {
            desk: desk.ok_or_else(|| starting().after(STORE_AGAIN))?,
            from: remote.ip(),
            session: cookie(&parts.headers, SESSION),
            device: cookie(&parts.headers, DEVICE).as_deref().and_then(Token::parse),
            agent: String::from_utf8_lossy(agent).into_owned(),
        })
    }
}

/// Somebody who is signed in, and whose change shows the CSRF token.
pub(super) struct Member {
    pub(super) desk: Desk,
    pub(super) here: Here,
    pub(super) from: IpAddr,
}

/// As [`Member`], though the password must be changed.
pub(super) struct Newcomer(pub(super) Member);

impl FromRequestParts<Hall> for Newcomer {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, hall: &Hall) -> Result<Self, Denied> {
        let caller = Caller::from_request_parts(parts, hall).await?;
        let here = match &caller.session {
            Some(cookie) => caller.desk.enter(cookie).await?,
            None => None,
        };
        let here = here.ok_or_else(|| unauthorized("you are not signed in, or not any more"))?;
        let shown = parts.headers.get(CSRF).and_then(|token| token.to_str().ok()).unwrap_or_default();
        if changes(&parts.method) && !caller.desk.csrf_is(&here.hash, shown) {
            let reason = "the header X-CSRF-Token is not the one of this session";
            return Err(Problem::new(StatusCode::FORBIDDEN, reason).into());
        }
        Ok(Self(Member { desk: caller.desk, here, from: caller.from }))
    }
}

impl FromRequestParts<Hall> for Member {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, hall: &Hall) -> Result<Self, Denied> {
        let Newcomer(member) = Newcomer::from_request_parts(parts, hall).await?;
        if member.here.must_change {
            let reason = "the password must be changed first";
            return Err(Problem::new(StatusCode::FORBIDDEN, reason).into());
        }
        Ok(member)
    }
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a page of another origin began a request. What is no browser says neither.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = headers.get("sec-fetch-site") {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = text(header::ORIGIN) else { return false };
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    // Ports that go without saying stand in neither.
    host.is_none_or(|host| text(header::HOST).is_none_or(|own| !own.eq_ignore_ascii_case(host)))
}

/// The cookie of this name, the first if there are several.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// The line that gives a browser the cookie of its session; it goes with the browser.
pub(super) fn session_line(value: &str) -> Option<HeaderValue> {
    line(&format!("{SESSION}={value}; Path=/; Secure; HttpOnly; SameSite=Strict"))
}

/// The line that takes it away.
pub(super) fn no_session_line() -> Option<HeaderValue> {
    line(&format!("{SESSION}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"))
}

/// The line that gives a browser its own cookie.
pub(super) fn device_line(device: &Token) -> Option<HeaderValue> {
    let value = device.expose();
    line(&format!("{DEVICE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={DEVICE_S}"))
}

fn line(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn requests_of_other_origins_are_seen() {
        for (lines, foreign) in [
            (&[][..], false),
            (&[("host", "a.test")], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.test")], false),
            (&[("host", "a.test"), ("origin", "https://a.test")], false),
            (&[("host", "A.test:8443"), ("origin", "https://a.test:8443")], false),
            (&[("host", "a.test"), ("origin", "https://a.test.evil.test")], true),
            (&[("host", "a.test"), ("origin", "https://b.test")], true),
            (&[("host", "a.test"), ("origin", "null")], true),
            (&[("origin", "https://a.test")], true),
        ] {
            assert_eq!(is_foreign(&headers(lines)), foreign, "{lines:?}");
        }
    }

    #[test]
    fn cookies_are_found_among_others() {
        let headers = headers(&[("cookie", "a=1; __Host-session=s=1; x__Host-device=no;__Host-device=d")]);
        assert_eq!(cookie(&headers, SESSION).as_deref(), Some("s=1"));
        assert_eq!(cookie(&headers, DEVICE).as_deref(), Some("d"));
        assert_eq!(cookie(&headers, "b"), None);
    }
}
