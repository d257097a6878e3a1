//! SMTP: messages go to a mail server of the operator's (RFC 5321, RFC 8314).
//!
//! With TLS, from the first byte (`smtps:`) or by STARTTLS (`smtp:`), never without it but to this
//! machine (`smtp-plain:`): a server that does not offer STARTTLS gets no message and no password.
//!
//! What a server says is not passed on but for its code, since it repeats the address.

use super::{CarryError, Mailbox, Message};
use crate::base::private::Secret;
use lettre::address::{Address, Envelope};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// How long one step of a conversation may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Codes by which a server refuses this message, and not us: no such mailbox, no longer here, too
/// large, such an address is not allowed, or whatever else there is against it (RFC 5321 §4.2.3).
const REFUSED: [u16; 5] = [550, 551, 552, 553, 554];

/// A mail server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Relay {
    /// How it is spoken to.
    pub security: Security,
    /// Its name, which its certificate must have.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// How a mail server is spoken to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS by STARTTLS, or not at all.
    StartTls,
    /// Without TLS; only to this machine.
    Plain,
}

impl Relay {
    /// Reads `smtps://HOST`, `smtp://HOST` or `smtp-plain://HOST`, each with `:PORT` behind it if that is
    /// not 465, 587 or 25.
    ///
    /// # Errors
    /// Why it is no such text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is not such as \"smtps://mail.example.com\" or \"smtp://HOST:587\"");
        let (scheme, place) = text.split_once("://").ok_or_else(form)?;
        let (security, usual) = match scheme {
            "smtps" => (Security::Tls, 465),
            "smtp" => (Security::StartTls, 587),
            "smtp-plain" => (Security::Plain, 25),
            _ => return Err(form()),
        };
        let (host, port) = match place.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((host, port)) => (host, port.parse().map_err(|_| form())?),
            None => (place, usual),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == ':';
        if host.is_empty() || port == 0 || !host.chars().all(is_name) {
            return Err(form());
        }
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if security == Security::Plain && !here {
            return Err(format!("{text:?}: without TLS only to this machine (localhost, 127.0.0.1, ::1)"));
        }
        Ok(Self { security, host: host.to_owned(), port })
    }
}

/// The way to a mail server.
#[derive(Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").finish_non_exhaustive()
    }
}

impl Smtp {
    /// The way to this server, with user and password if it asks for them.
    ///
    /// # Errors
    /// If the sender's address will not do, or the system's certificates cannot be read.
    pub fn new(
        relay: &Relay,
        login: Option<(&str, &Secret<String>)>,
        from: &Mailbox,
    ) -> Result<Self, String> {
        let tls = || TlsParameters::new_rustls(relay.host.clone()).map_err(|error| error.to_string());
        let tls = match relay.security {
            Security::Tls => Tls::Wrapper(tls()?),
            Security::StartTls => Tls::Required(tls()?),
            Security::Plain => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(relay.host.as_str())
            .port(relay.port)
            .tls(tls)
            .timeout(Some(PATIENCE))
            .hello_name(ClientId::Domain(from.domain().to_owned()));
        if let Some((user, password)) = login {
            builder = builder.credentials(Credentials::new(user.to_owned(), password.expose().clone()));
        }
        let from = from.address.parse().map_err(|error| format!("{}: {error}", from.address))?;
        Ok(Self { transport: builder.build(), from })
    }

    /// Hands a message over.
    pub(super) async fn send(&self, message: &Message) -> Result<(), CarryError> {
        let to = message.to.parse().map_err(|_| CarryError::BadAddress)?;
        let envelope =
            Envelope::new(Some(self.from.clone()), vec![to]).map_err(|_| CarryError::BadAddress)?;
        match self.transport.send_raw(&envelope, &message.to_bytes()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.status().map(u16::from) {
                Some(code) if REFUSED.contains(&code) => CarryError::Refused(code),
                Some(code) => CarryError::Server(format!("it answered {code}")),
                None => CarryError::Server(error.to_string()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_servers() {
        let relay = |security, host: &str, port| Ok(Relay { security, host: host.into(), port });
        for (text, found) in [
            ("smtps://mail.example.com", relay(Security::Tls, "mail.example.com", 465)),
            ("smtp://mail.example.com", relay(Security::StartTls, "mail.example.com", 587)),
            ("smtp://mail.example.com:2525", relay(Security::StartTls, "mail.example.com", 2525)),
            ("smtp-plain://localhost", relay(Security::Plain, "localhost", 25)),
            ("smtp-plain://[::1]:2525", relay(Security::Plain, "::1", 2525)),
            ("smtps://[2001:db8::1]", relay(Security::Tls, "2001:db8::1", 465)),
        ] {
            assert_eq!(Relay::parse(text), found, "{text}");
        }
        for text in ["", "mail.example.com", "http://x", "smtp://", "smtp://x:0", "smtp://x:y", "smtp://u@x"]
        {
            assert!(Relay::parse(text).is_err(), "{text}");
        }
        let error = Relay::parse("smtp-plain://mail.example.com").unwrap_err();
        assert!(error.ends_with("without TLS only to this machine (localhost, 127.0.0.1, ::1)"), "{error}");
    }
}
