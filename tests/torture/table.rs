//! What a row of the torture table says, and all rows.
//!
//! A row belongs to one file of `data/`: the message as it is on the wire. It says whether the
//! parser takes it, what must be read out of it, and what a running server does with it over UDP
//! and over TCP, where that differs; `why` gives the text that asks for it, or the reason where the
//! text leaves the choice to us.

use super::{rfc4475, rfc5118, sloppy};
use stationmaster::sip::{Contacts, Fault, Message, Name, ParseError, Uri, Via};

/// One message and all that is expected of it.
pub(crate) struct Row {
    /// Its file under `data/`, without `.dat`.
    pub(crate) file: &'static str,
    /// The section of the RFC that the folder is named after; empty for messages of our own.
    pub(crate) section: &'static str,
    /// The SHA-256 of the message in the archive that the RFC carries; empty for our own.
    pub(crate) digest: &'static str,
    pub(crate) parse: Parse,
    pub(crate) facts: &'static [(What, &'static str)],
    pub(crate) udp: Does,
    pub(crate) tcp: Does,
    /// Fields that the last answer has: the name, and what stands in one field of that name.
    pub(crate) answer: &'static [(&'static str, &'static str)],
    pub(crate) why: &'static str,
}

/// What the parser makes of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Parse {
    /// It is taken.
    Good,
    /// It is read as far as an answer needs, with this fault.
    Bad(Fault),
    /// It is no message.
    Nothing(ParseError),
}

/// What the server does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    /// It answers with these statuses, in this order, and goes on listening.
    Answers(&'static [u16]),
    /// A datagram only: it is no SIP, and is answered by its own protocol (RFC 5389).
    AnswersInStun,
    /// A stream only: it answers with these, then waits for the rest of what the last bytes begin.
    Waits(&'static [u16]),
    /// A stream only: it answers with these, then closes the connection, since where the next
    /// message begins cannot be known.
    Closes(&'static [u16]),
}

/// Nothing is answered.
pub(crate) const SILENCE: Does = Does::Answers(&[]);

/// Something that is read out of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Method,
    Status,
    Reason,
    Uri,
    /// The user part of the Request-URI, escapes undone.
    UriUser,
    UriHost,
    UriPort,
    /// Whether the Request-URI can be read: `yes`, `no`.
    UriReadable,
    ToDisplay,
    ToUri,
    ToUser,
    ToTag,
    FromDisplay,
    FromUri,
    FromUser,
    FromTag,
    FromParam(&'static str),
    CallId,
    CSeq,
    MaxForwards,
    /// How many Via values there are.
    Vias,
    /// One of them: transport, host, port and branch, `-` for what is not there.
    Via(usize),
    ViaParam(&'static str),
    /// How many Contacts there are, `*` for the star, `-` if they cannot be read.
    Contacts,
    ContactUri(usize),
    ContactUser(usize),
    ContactParam(usize, &'static str),
    /// The value of a field as it stands.
    Field(&'static str),
    /// How many values a field has.
    Values(&'static str),
    /// The length of the body.
    Body,
}

/// Whatever can be read out of any message.
pub(crate) const EVERYTHING: &[What] = &[
    What::Method,
    What::Status,
    What::Reason,
    What::Uri,
    What::UriUser,
    What::UriHost,
    What::UriPort,
    What::UriReadable,
    What::ToDisplay,
    What::ToUri,
    What::ToUser,
    What::ToTag,
    What::FromDisplay,
    What::FromUri,
    What::FromUser,
    What::FromTag,
    What::FromParam("tag"),
    What::CallId,
    What::CSeq,
    What::MaxForwards,
    What::Vias,
    What::Via(0),
    What::Via(1),
    What::ViaParam("received"),
    What::Contacts,
    What::ContactUri(0),
    What::ContactUser(1),
    What::ContactParam(0, "expires"),
    What::Field("Subject"),
    What::Field("X-Unknown"),
    What::Values("Route"),
    What::Body,
];

impl Row {
    /// A row; the server does the same over TCP as over UDP.
    pub(crate) const fn new(file: &'static str, parse: Parse, udp: Does, why: &'static str) -> Self {
        Self { file, section: "", digest: "", parse, facts: &[], udp, tcp: udp, answer: &[], why }
    }

    /// The section and the digest in the RFC's archive.
    pub(crate) const fn of(mut self, section: &'static str, digest: &'static str) -> Self {
        (self.section, self.digest) = (section, digest);
        self
    }

    pub(crate) const fn tcp(mut self, tcp: Does) -> Self {
        self.tcp = tcp;
        self
    }

    pub(crate) const fn facts(mut self, facts: &'static [(What, &'static str)]) -> Self {
        self.facts = facts;
        self
    }

    pub(crate) const fn answer(mut self, answer: &'static [(&'static str, &'static str)]) -> Self {
        self.answer = answer;
        self
    }
}

/// Every row.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    rfc4475::VALID
        .iter()
        .chain(rfc4475::INVALID)
        .chain(rfc4475::MEANING)
        .chain(rfc5118::ROWS)
        .chain(sloppy::ROWS)
}

/// Reads one thing out of a message, as text; `-` if it is not there.
pub(crate) fn read(message: &Message, what: What) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let maybe = |bytes: Option<&[u8]>| bytes.map_or_else(|| "-".to_owned(), text);
    let number = |number: Option<u16>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let user = |uri: &[u8]| Uri::parse(uri).map_or_else(|| "-".to_owned(), |uri| text(&uri.user_decoded()));
    let param = |param: Option<Option<&[u8]>>| maybe(param.map(Option::unwrap_or_default));
    let uri = Uri::parse(message.request_uri());
    match what {
        What::Method if message.is_request() => text(message.method_token()),
        What::Method => message.method().token().to_owned(),
        What::Status => message.status().to_string(),
        What::Reason => text(message.reason()),
        What::Uri => text(message.request_uri()),
        What::UriUser => user(message.request_uri()),
        What::UriHost => maybe(uri.map(|uri| uri.host)),
        What::UriPort => number(uri.and_then(|uri| uri.port)),
        What::UriReadable => if uri.is_some() { "yes" } else { "no" }.to_owned(),
        What::ToDisplay => text(message.to().display),
        What::ToUri => text(message.to().uri),
        What::ToUser => user(message.to().uri),
        What::ToTag => maybe(message.to().tag()),
        What::FromDisplay => text(message.from().display),
        What::FromUri => text(message.from().uri),
        What::FromUser => user(message.from().uri),
        What::FromTag => maybe(message.from().tag()),
        What::FromParam(name) => param(message.from().param(name)),
        What::CallId => text(message.call_id()),
        What::CSeq => format!("{} {}", message.cseq().number, text(message.cseq().method)),
        What::MaxForwards => number(message.max_forwards().map(u16::from)),
        What::Vias => message.values(Name::Via).count().to_string(),
        What::Via(at) => message.values(Name::Via).nth(at).and_then(Via::parse).map_or_else(
            || "-".to_owned(),
            |via| {
                let (transport, host) = (text(via.transport), text(via.host));
                format!("{transport} {host} {} {}", number(via.port), maybe(via.branch()))
            },
        ),
        What::ViaParam(name) => param(message.via().and_then(|via| via.param(name))),
        What::Contacts => match Contacts::of(message) {
            None => "-".to_owned(),
            Some(Contacts::None) => "0".to_owned(),
            Some(Contacts::Star) => "*".to_owned(),
            Some(Contacts::Some(all)) => all.len().to_string(),
        },
        What::ContactUri(at) => contact(message, at, |contact| text(contact.uri)),
        What::ContactUser(at) => contact(message, at, |contact| user(contact.uri)),
        What::ContactParam(at, name) => contact(message, at, |contact| param(contact.param(name))),
        What::Field(name) => maybe(match Name::of(name.as_bytes()) {
            Name::Other => message.other(name),
            known => message.field(known),
        }),
        What::Values(name) => message.values(Name::of(name.as_bytes())).count().to_string(),
        What::Body => message.body().len().to_string(),
    }
}

fn contact(
    message: &Message,
    at: usize,
    read: impl FnOnce(&stationmaster::sip::NameAddr<'_>) -> String,
) -> String {
    match Contacts::of(message) {
        Some(Contacts::Some(all)) => all.get(at).map_or_else(|| "-".to_owned(), read),
        _ => "-".to_owned(),
    }
}
