//! SMTP: messages go to a mail server of the operator's (RFC 5321, RFC 8314).
//!
//! With TLS, from the first byte (`smtps:`) or by STARTTLS (`smtp:`), never without it but to this
//! machine (`smtp-plain:`): a server that does not offer STARTTLS gets no message and no password.
//!
//! Whether a server refuses one message, or all of them, is told by where in the conversation it does, since
//! the codes are the same:
//!
//! | where | what is concerned |
//! |-------|-------------------|
//! | connecting, greeting, EHLO, STARTTLS, AUTH, MAIL FROM | the server: all messages wait |
//! | an address or a header that it cannot be told (no SMTPUTF8, no 8BITMIME) | the message |
//! | 4xx and 5xx to RCPT, to DATA and to the message | the message |
//! | 421 there, silence, anything that is not SMTP | the server |
//!
//! What a server says is not passed on but for its code, since it repeats the address.

use super::{CarryError, Mailbox, Message};
use crate::base::private::Secret;
use lettre::address::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// How long one step of a conversation may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a server may take to say goodbye; nothing depends on it.
const GOODBYE: Duration = Duration::from_secs(1);

/// A server that goes away (RFC 5321 §3.8).
const CLOSING: u16 = 421;

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
    relay: Relay,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    hello: ClientId,
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
            Security::Tls | Security::StartTls => Some(tls()?),
            Security::Plain => None,
        };
        let credentials =
            login.map(|(user, password)| Credentials::new(user.to_owned(), password.expose().clone()));
        let hello = ClientId::Domain(from.domain().to_owned());
        let from = from.address.parse().map_err(|error| format!("{}: {error}", from.address))?;
        Ok(Self { relay: relay.clone(), tls, credentials, hello, from })
    }

    /// Hands a message over.
    pub(super) async fn send(&self, message: &Message) -> Result<(), CarryError> {
        let to = message.to.parse().map_err(|_| CarryError::BadAddress)?;
        let mut server = self.connect().await?;
        let told = self.tell(&mut server, to, &message.to_bytes()).await;
        let _ = tokio::time::timeout(GOODBYE, server.abort()).await;
        told
    }

    /// A server that is ready to be told messages.
    async fn connect(&self) -> Result<AsyncSmtpConnection, CarryError> {
        let place = (self.relay.host.as_str(), self.relay.port);
        let at_once = self.tls.clone().filter(|_| self.relay.security == Security::Tls);
        let connect = AsyncSmtpConnection::connect_tokio1(place, Some(PATIENCE), &self.hello, at_once, None);
        let mut server = patient(connect, of_server).await?;
        if let (Security::StartTls, Some(tls)) = (self.relay.security, &self.tls) {
            patient(server.starttls(tls.clone(), &self.hello), of_server).await?;
        }
        if let Some(credentials) = &self.credentials {
            patient(server.auth(DEFAULT_MECHANISMS, credentials), of_server).await?;
        }
        Ok(server)
    }

    /// Tells a server that is ready a message.
    async fn tell(
        &self,
        server: &mut AsyncSmtpConnection,
        to: Address,
        message: &[u8],
    ) -> Result<(), CarryError> {
        let is_ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
        let offers = |extension| server.server_info().supports_feature(extension);
        let mut parameters = Vec::new();
        if !is_ascii(&self.from) || !is_ascii(&to) {
            if !offers(Extension::SmtpUtfEight) {
                return Err(match is_ascii(&self.from) {
                    true => CarryError::BadAddress,
                    false => CarryError::Server("it cannot be told who sends: it has no SMTPUTF8".into()),
                });
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        // Only addresses stand in a message as they are.
        if !message.is_ascii() {
            if !offers(Extension::EightBitMime) {
                return Err(CarryError::BadAddress);
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        patient(server.command(Mail::new(Some(self.from.clone()), parameters)), of_server).await?;
        patient(server.command(Rcpt::new(to, Vec::new())), of_message).await?;
        patient(server.command(Data), of_message).await?;
        patient(server.message(message), of_message).await.map(drop)
    }
}

/// One step of a conversation, which may take [`PATIENCE`].
async fn patient<T>(
    step: impl Future<Output = Result<T, Error>>,
    judge: fn(&Error) -> CarryError,
) -> Result<T, CarryError> {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(done) => done.map_err(|error| judge(&error)),
        Err(_) => Err(CarryError::Server("it is silent".into())),
    }
}

/// A failure that concerns all messages.
fn of_server(error: &Error) -> CarryError {
    CarryError::Server(match error.status().map(u16::from) {
        Some(code) => format!("it answered {code}"),
        None if error.is_response() => "it broke off, or what it answered is not SMTP".into(),
        None => error.to_string(),
    })
}

/// A failure that concerns one message, if the server gives it a code of its own.
fn of_message(error: &Error) -> CarryError {
    match error.status().map(u16::from) {
        Some(code) if code != CLOSING => CarryError::Refused(code),
        _ => of_server(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

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

    /// A mail server that has one conversation, and gives these answers to lines that begin so instead of its
    /// usual ones; its greeting answers the empty line, and what stands behind DATA the line ".".
    fn server(
        answers: &'static [(&'static str, &'static str)],
    ) -> (u16, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let conversation = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let (mut told, mut in_message) = (Vec::new(), false);
            for line in std::iter::once(Ok(String::new())).chain(lines) {
                let Ok(line) = line else { break };
                if in_message && line != "." {
                    continue;
                }
                let other = answers.iter().find(|(begin, _)| match *begin {
                    "" => line.is_empty(),
                    begin => line.starts_with(begin),
                });
                let usual = if line == "DATA" { "354 go on" } else { "250 ok" };
                let answer = other.map_or(usual, |(_, answer)| *answer);
                in_message = line == "DATA" && answer == usual;
                told.push(line);
                if answer == "(ends)" || stream.write_all(format!("{answer}\r\n").as_bytes()).is_err() {
                    break;
                }
            }
            told
        });
        (port, conversation)
    }

    /// What comes of a message to this address, and the lines that were told.
    fn sent(
        to: &str,
        sender: &str,
        answers: &'static [(&'static str, &'static str)],
    ) -> (Result<(), CarryError>, Vec<String>) {
        let (port, conversation) = server(answers);
        let relay = Relay { security: Security::Plain, host: "127.0.0.1".into(), port };
        let smtp = Smtp::new(&relay, None, &Mailbox::parse(sender).unwrap()).unwrap();
        let message = Message {
            name: "1".into(),
            at: crate::base::time::Wall::from_secs(1_000_000),
            from: Mailbox::parse(sender).unwrap(),
            to: to.into(),
            subject: "x".into(),
            text: "x".into(),
            html: "x".into(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(smtp.send(&message));
        (result, conversation.join().unwrap())
    }

    const US: &str = "phones@example.test";

    #[test]
    fn where_a_server_refuses_says_whether_it_is_one_message() {
        let (taken, told) = sent("200@example.test", US, &[]);
        assert!(taken.is_ok(), "{taken:?} {told:?}");
        for (answers, of_message) in [
            (&[("", "554 no service here")], false),
            (&[("", "421 too busy")], false),
            (&[("", "(ends)")], false),
            (&[("", "what is this")], false),
            (&[("EHLO", "550 not you")], false),
            (&[("MAIL", "550 not you")], false),
            (&[("MAIL", "452 no room")], false),
            (&[("MAIL", "501 what")], false),
            (&[("RCPT", "450 unknown domain")], true),
            (&[("RCPT", "451 greylisted")], true),
            (&[("RCPT", "452 too many")], true),
            (&[("RCPT", "501 what")], true),
            (&[("RCPT", "503 not now")], true),
            (&[("RCPT", "550 no such mailbox")], true),
            (&[("RCPT", "556 takes no mail")], true),
            (&[("RCPT", "421 closing")], false),
            (&[("RCPT", "(ends)")], false),
            (&[("DATA", "451 not now")], true),
            (&[("DATA", "554 no")], true),
            (&[("DATA", "421 closing")], false),
            (&[(".", "451 not now")], true),
            (&[(".", "554 spam")], true),
            (&[(".", "552 too large")], true),
            (&[(".", "421 closing")], false),
            (&[(".", "(ends)")], false),
        ] {
            let (result, told) = sent("200@example.test", US, answers);
            let error = result.expect_err("it is refused");
            assert_eq!(error.is_of_message(), of_message, "{answers:?}: {error} {told:?}");
            assert!(!error.to_string().contains("what is this"), "{error}");
        }
    }

    #[test]
    fn an_address_beyond_ascii_is_told_only_to_who_can_read_it() {
        let (result, told) = sent("jörg@example.test", US, &[]);
        assert!(matches!(result, Err(CarryError::BadAddress)), "{result:?}");
        assert!(!told.iter().any(|line| line.starts_with("MAIL")), "{told:?}");
        let all = &[("EHLO", "250-x\r\n250-8BITMIME\r\n250 SMTPUTF8")];
        let (result, told) = sent("jörg@example.test", US, all);
        assert!(result.is_ok(), "{result:?}");
        let from = "MAIL FROM:<phones@example.test> SMTPUTF8 BODY=8BITMIME".to_owned();
        assert!(told.contains(&from), "{told:?}");
        // Our own address is the same for all.
        let (result, _) = sent("200@example.test", "téléphone@example.test", &[]);
        assert!(matches!(result, Err(CarryError::Server(_))), "{result:?}");
    }
}
