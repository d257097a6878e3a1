//! Who asks, by cookie: what every request of a person passes first.
//!
//! | asked | passes |
//! |-------|--------|
//! | by a page of another origin (`Sec-Fetch-Site`, else `Origin`) | never, if it would change something |
//! | without a session that goes on | 401 |
//! | a change without the session's CSRF token | 403 |
//! | anything but a new password where one must be set | 403 |
//! | anything but a new password and two-step verification where the tenant requires the latter and it is off | 403 |

use super::super::api::Source;
use super::super::problem::{Fault, Problem};
use super::Api;
use crate::account::Token;
use crate::service::admin::{Actor, Caller, Condition, Via};
use crate::service::portal::{Asking, Here, Refused};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::net::IpAddr;

/// The session's cookie.
pub(super) const SESSION: &str = "__Host-session";

/// The browser's cookie.
pub(super) const DEVICE: &str = "__Host-device";

/// The header that a change by cookie must have.
const CSRF: &str = "x-csrf-token";

/// How long a browser keeps its cookie, in seconds: as long as browsers keep any.
const DEVICE_S: u32 = 400 * 86_400;

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::Wrong | Refused::NotPending => unauthorized(&detail),
            Refused::Locked(wait) => Self::new(StatusCode::FORBIDDEN, detail).after(wait),
            Refused::Busy(wait) => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).after(wait),
            Refused::TooSoon(wait) => Self::new(StatusCode::TOO_MANY_REQUESTS, detail).after(wait),
            Refused::By(refusal) => refusal.into(),
        }
    }
}

/// 401, with the challenge that it must have (RFC 9110 §15.5.2).
fn unauthorized(detail: &str) -> Problem {
    let challenge =
        HeaderValue::from_static("Cookie realm=\"stationmaster\", cookie-name=\"__Host-session\"");
    Problem::new(StatusCode::UNAUTHORIZED, detail).with_header(header::WWW_AUTHENTICATE, challenge)
}

/// That what was typed into a field is wrong.
pub(super) fn wrong_field(field: &str, reason: &str) -> Problem {
    let fault = vec![Fault::new(field, reason)];
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{field}: {reason}")).with_errors(fault)
}

/// As [`From`], but what is wrong stands in a field: whoever asks is and stays signed in.
pub(super) fn with_field(field: &'static str, reason: &'static str) -> impl Fn(Refused) -> Problem {
    move |refused| match refused {
        Refused::Wrong => wrong_field(field, reason),
        refused => refused.into(),
    }
}

/// A browser, signed in or not.
pub(super) struct Browser {
    pub(super) from: IpAddr,
    /// Its cookie, if it has one.
    pub(super) device: Option<Token>,
    /// What it calls itself.
    pub(super) agent: String,
}

impl FromRequestParts<Api> for Browser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        refuse_foreign(&parts.method, &parts.headers)?;
        let Ok(Source(from)) = Source::from_request_parts(parts, api).await;
        let agent = parts.headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
        let device = cookie(&parts.headers, DEVICE).as_deref().and_then(Token::parse);
        Ok(Self { from, device, agent: String::from_utf8_lossy(agent).into_owned() })
    }
}

/// Somebody who is signed in, and whose change shows the CSRF token.
pub(super) struct Member {
    pub(super) here: Here,
    pub(super) from: IpAddr,
}

/// As [`Member`], though the password must be changed, or two-step verification set up.
pub(super) struct Newcomer(pub(super) Member);

/// As [`Member`], though two-step verification must be set up.
pub(super) struct Unsecured(pub(super) Member);

impl Member {
    /// As administration and the audit see them.
    pub(super) fn caller(&self) -> Caller {
        caller(&self.here, self.from)
    }

    /// The same, and on what their change depends.
    pub(super) fn asks(&self, condition: Condition) -> Asking {
        Asking { caller: self.caller(), condition }
    }
}

fn caller(here: &Here, from: IpAddr) -> Caller {
    let actor = Actor::of(here.login().clone(), here.role);
    Caller { actor, via: Via::Session(here.id().into()), from }
}

impl FromRequestParts<Api> for Newcomer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Ok(Source(from)) = Source::from_request_parts(parts, api).await;
        let here = enter(api, &parts.method, &parts.headers).await?;
        let here = here.ok_or_else(|| unauthorized("you are not signed in, or not any more"))?;
        Ok(Self(Member { here, from }))
    }
}

impl FromRequestParts<Api> for Member {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Newcomer(member) = Newcomer::from_request_parts(parts, api).await?;
        settled(&member.here)?;
        Ok(member)
    }
}

impl FromRequestParts<Api> for Unsecured {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Newcomer(member) = Newcomer::from_request_parts(parts, api).await?;
        changed(&member.here)?;
        Ok(Self(member))
    }
}

/// Who asks by the cookie of a session, for requests that access keys may ask too; none if there is no
/// such cookie, or its session has ended.
pub(in crate::http) async fn by_session(
    api: &Api,
    source: Source,
    parts: &Parts,
) -> Result<Option<Caller>, Problem> {
    let Some(here) = enter(api, &parts.method, &parts.headers).await? else { return Ok(None) };
    settled(&here)?;
    Ok(Some(caller(&here, source.0)))
}

/// Whether a request shows the cookie of a session, whatever it is worth.
pub(in crate::http) fn shows_session(headers: &HeaderMap) -> bool {
    cookie(headers, SESSION).is_some()
}

/// The session of the cookie, if it goes on and a change shows that it comes from its own page.
pub(super) async fn enter(api: &Api, method: &Method, headers: &HeaderMap) -> Result<Option<Here>, Problem> {
    refuse_foreign(method, headers)?;
    let Some(cookie) = cookie(headers, SESSION) else { return Ok(None) };
    let desk = api.desk()?;
    let Some(here) = desk.enter(&cookie).await? else { return Ok(None) };
    let shown = headers.get(CSRF).and_then(|token| token.to_str().ok()).unwrap_or_default();
    if changes(method) && !desk.csrf_is(&here.hash, shown) {
        let reason = "the header X-CSRF-Token is not the one of this session";
        return Err(Problem::new(StatusCode::FORBIDDEN, reason));
    }
    Ok(Some(here))
}

/// That nothing must be done first.
fn settled(here: &Here) -> Result<(), Problem> {
    changed(here)?;
    if here.second_missing {
        return Err(Problem::new(StatusCode::FORBIDDEN, "two-step verification must be set up first"));
    }
    Ok(())
}

/// That the password need not be changed first.
fn changed(here: &Here) -> Result<(), Problem> {
    if here.must_change {
        return Err(Problem::new(StatusCode::FORBIDDEN, "the password must be changed first"));
    }
    Ok(())
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn refuse_foreign(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if changes(method) && is_foreign(headers) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "a page of another origin may not ask this"));
    }
    Ok(())
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
            assert_eq!(refuse_foreign(&Method::POST, &headers(lines)).is_err(), foreign, "{lines:?}");
            assert!(refuse_foreign(&Method::GET, &headers(lines)).is_ok(), "{lines:?}");
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
