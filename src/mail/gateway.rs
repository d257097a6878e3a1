//! An SMS gateway: a text is handed over by one POST, as a form or as JSON, made from a template.
//!
//! Over TLS, or without it to this machine only. A redirection is not followed, and what the gateway says is
//! not passed on but for its status, since it may repeat the number or the text.
//!
//! | the answer | means |
//! |------------|-------|
//! | 2xx | it was handed over |
//! | 4xx, but for 408, 425 and 429 | this text will not be taken |
//! | anything else, or none in time | it is not known; hand it over again |

use super::message::base64;
use super::text::{filled, places};
use crate::base::private::Secret;
use hyper::header::{self, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The places that a template may have.
const PLACES: [&str; 3] = ["to", "from", "text"];

/// Where a gateway is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    secure: bool,
    host: String,
    port: u16,
    authority: String,
    /// Path and query.
    target: String,
}

/// How a text is posted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// `application/json`.
    Json,
}

/// What is posted: a template of a format, with the places `{to}`, `{from}` and `{text}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    format: Format,
    text: String,
}

/// Who we are to a gateway.
#[derive(Clone, Debug)]
pub enum Login {
    /// Nobody.
    None,
    /// A user with a password (RFC 7617).
    Basic(String, Secret<String>),
    /// The bearer of a token (RFC 6750).
    Bearer(Secret<String>),
}

/// Why a text was not handed over.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TextError {
    /// The gateway does not take it, and would not another time.
    #[error("the SMS gateway refused a text with {0}")]
    Refused(u16),
    /// It is not there, not as it should be, or has too much to do.
    #[error("the SMS gateway: {0}")]
    Down(String),
}

/// The way to a gateway. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    template: Template,
    from: String,
    login: Option<HeaderValue>,
    timeout: Duration,
    tls: TlsConnector,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Reads `https://HOST[:PORT]/PATH`, or `http://` the same on this machine.
    ///
    /// # Errors
    /// Why it is no such text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is no address such as \"https://sms.example.com/send\"");
        let uri: Uri = text.parse().map_err(|_| form())?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(form()),
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or_else(form)?.to_string();
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        if host.is_empty() || port == 0 || text.contains('#') {
            return Err(form());
        }
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !secure && !here {
            return Err(format!("{text:?}: without TLS only to this machine (localhost, 127.0.0.1, ::1)"));
        }
        let target = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        Ok(Self { secure, host, port, authority, target })
    }

    /// Whether it is spoken to over TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }
}

impl Template {
    /// Reads a template; an empty one is the usual one of its format.
    ///
    /// # Errors
    /// Why it will not do.
    pub fn new(format: Format, text: &str) -> Result<Self, String> {
        let usual = match format {
            Format::Form => "To={to}&From={from}&Body={text}",
            Format::Json => r#"{"to":"{to}","from":"{from}","text":"{text}"}"#,
        };
        let text = if text.is_empty() { usual } else { text };
        if let Some(place) = places(text).find(|place| !PLACES.contains(place)) {
            return Err(format!("there is no {{{place}}}: it may have {{to}}, {{from}} and {{text}}"));
        }
        if let Some(place) = ["to", "text"].iter().find(|place| !places(text).any(|known| known == **place)) {
            return Err(format!("it has no {{{place}}}"));
        }
        let template = Self { format, text: text.to_owned() };
        let sample = template.fill("+16045550199", "\"\\", "é\n");
        if format == Format::Json && serde_json::from_str::<serde_json::Value>(&sample).is_err() {
            return Err("it is no JSON; each place stands in a string: {\"to\":\"{to}\"}".into());
        }
        if format == Format::Form && !sample.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a form has neither spaces nor letters beyond ASCII but in its places".into());
        }
        Ok(template)
    }

    /// Its format.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    fn fill(&self, to: &str, from: &str, text: &str) -> String {
        filled(&self.text, |place| {
            let value = match place {
                "to" => to,
                "from" => from,
                _ => text,
            };
            match self.format {
                Format::Form => form_escaped(value),
                Format::Json => json_escaped(value),
            }
        })
    }

    const fn kind(&self) -> &'static str {
        match self.format {
            Format::Form => "application/x-www-form-urlencoded",
            Format::Json => "application/json",
        }
    }
}

fn form_escaped(value: &str) -> String {
    value.bytes().fold(String::with_capacity(value.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._*".contains(&byte) {
            out.push(char::from(byte));
        } else if byte == b' ' {
            out.push('+');
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// As it stands in a JSON string, without the quotes.
fn json_escaped(value: &str) -> String {
    let quoted = serde_json::to_string(value).unwrap_or_default();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_owned()
}

impl Login {
    fn header(&self) -> Result<Option<HeaderValue>, String> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Basic(user, password) => {
                let pair = Secret::new(format!("{user}:{}", password.expose()));
                Secret::new(format!("Basic {}", base64(pair.expose().as_bytes())))
            }
            Self::Bearer(token) => Secret::new(format!("Bearer {}", token.expose())),
        };
        let value = HeaderValue::from_str(text.expose());
        let mut value = value.map_err(|_| "a token has only printable ASCII characters".to_owned())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl Gateway {
    /// The way to this gateway, which must show a certificate of one of `roots`. One conversation takes
    /// `timeout` at most.
    ///
    /// # Errors
    /// If the token cannot stand in a header field.
    pub fn new(
        endpoint: Endpoint,
        template: Template,
        from: String,
        login: &Login,
        timeout: Duration,
        roots: RootCertStore,
    ) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
        let (login, tls) = (login.header()?, TlsConnector::from(Arc::new(tls)));
        Ok(Self(Arc::new(Inner { endpoint, template, from, login, timeout, tls })))
    }

    /// Hands a text over.
    ///
    /// # Errors
    /// [`TextError`]; after [`TextError::Down`] it may have been taken all the same.
    ///
    /// # Cancel safety
    /// Cancel safe: the text may have been handed over or not.
    pub async fn send(&self, to: &str, text: &str) -> Result<(), TextError> {
        let body = self.0.template.fill(to, &self.0.from, text);
        let answered = tokio::time::timeout(self.0.timeout, self.0.post(body)).await;
        let status = answered.unwrap_or_else(|_| Err("it did not answer in time".into()));
        let status = status.map_err(TextError::Down)?;
        match status.as_u16() {
            200..=299 => Ok(()),
            code @ (408 | 425 | 429) => Err(TextError::Down(format!("it answered {code}"))),
            code @ 400..=499 => Err(TextError::Refused(code)),
            code => Err(TextError::Down(format!("it answered {code}"))),
        }
    }
}

impl Inner {
    async fn post(&self, body: String) -> Result<StatusCode, String> {
        let Endpoint { secure, host, port, .. } = &self.endpoint;
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|error| error.to_string())?;
        if !secure {
            return self.exchange(stream, body).await;
        }
        let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
        let stream = self.tls.connect(name, stream).await.map_err(|error| error.to_string())?;
        self.exchange(stream, body).await
    }

    async fn exchange<S>(&self, stream: S, body: String) -> Result<StatusCode, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let mut request = Request::post(&self.endpoint.target)
            .header(header::HOST, &self.endpoint.authority)
            .header(header::CONTENT_TYPE, self.template.kind())
            .header(header::USER_AGENT, "stationmaster")
            .header(header::CONNECTION, "close");
        if let Some(login) = &self.login {
            request = request.header(header::AUTHORIZATION, login);
        }
        let request = request.body(body).map_err(|error| error.to_string())?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| error.to_string())?;
        let mut asked = std::pin::pin!(sender.send_request(request));
        let response = tokio::select! {
            biased;
            response = &mut asked => response,
            _ = connection => asked.await, // it has ended, and the answer with it has come or never will
        };
        response.map(|response| response.status()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways() {
        let endpoint = |text: &str| Endpoint::parse(text).map(|it| (it.secure, it.host, it.port, it.target));
        let is =
            |secure, host: &str, port, target: &str| Ok((secure, host.to_owned(), port, target.to_owned()));
        for (text, found) in [
            ("https://sms.example.com", is(true, "sms.example.com", 443, "/")),
            ("https://sms.example.com:8443/a/b.json?c=d", is(true, "sms.example.com", 8443, "/a/b.json?c=d")),
            ("http://localhost/send", is(false, "localhost", 80, "/send")),
            ("http://127.0.0.1:8080/", is(false, "127.0.0.1", 8080, "/")),
            ("http://[::1]:8080/send", is(false, "::1", 8080, "/send")),
        ] {
            assert_eq!(endpoint(text), found, "{text}");
        }
        for text in [
            "",
            "sms.example.com/send",
            "ftp://x/",
            "https://",
            "https://u:p@x/",
            "https://x:0/",
            "https://x/#y",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
        let error = Endpoint::parse("http://sms.example.com/send").unwrap_err();
        assert!(error.ends_with("without TLS only to this machine (localhost, 127.0.0.1, ::1)"), "{error}");
    }

    #[test]
    fn a_template_is_filled_as_its_format_needs() {
        let fill = |format, text: &str| {
            Template::new(format, text).unwrap().fill("+16045550199", "Acme & Co", "12 is \"é\"")
        };
        for (format, text, filled) in [
            (Format::Form, "", "To=%2B16045550199&From=Acme+%26+Co&Body=12+is+%22%C3%A9%22"),
            (Format::Form, "m={text}&n={to}&key=1", "m=12+is+%22%C3%A9%22&n=%2B16045550199&key=1"),
            (Format::Json, "", r#"{"to":"+16045550199","from":"Acme & Co","text":"12 is \"é\""}"#),
            (
                Format::Json,
                r#"{"messages":[{"to":["{to}"],"body":{"plain":"{text}"}}]}"#,
                r#"{"messages":[{"to":["+16045550199"],"body":{"plain":"12 is \"é\""}}]}"#,
            ),
        ] {
            assert_eq!(fill(format, text), filled, "{text}");
        }
    }

    #[test]
    fn templates_that_will_not_do() {
        for (format, text, why) in [
            (Format::Form, "To={to}", "it has no {text}"),
            (Format::Json, r#"{"text":"{text}"}"#, "it has no {to}"),
            (Format::Form, "To={to}&Body={text}&x={code}", "there is no {code}"),
            (Format::Form, "To={to}&Body=Code {text}", "a form has neither spaces"),
            (Format::Json, r#"{"to":{to},"text":"{text}"}"#, "it is no JSON"),
            (Format::Json, "To={to}&Body={text}", "it is no JSON"),
        ] {
            let error = Template::new(format, text).unwrap_err();
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }

    #[test]
    fn who_we_are_is_shown_as_the_gateway_wants_it_and_in_no_debug() {
        let secret = || Secret::new("Points&Crossings".to_owned());
        let header = |login: Login| login.header().unwrap().map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header(Login::None), None);
        assert_eq!(
            header(Login::Basic("AC1".into(), secret())).as_deref(),
            Some("Basic QUMxOlBvaW50cyZDcm9zc2luZ3M=")
        );
        assert_eq!(header(Login::Bearer(secret())).as_deref(), Some("Bearer Points&Crossings"));
        assert!(Login::Bearer(Secret::new("a\nb".into())).header().is_err());
        assert!(!format!("{:?}", Login::Basic("AC1".into(), secret())).contains("Points"));
    }
}
