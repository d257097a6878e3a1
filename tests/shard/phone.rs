//! A phone that does one thing at a time, without timers.

use super::bench::{Bench, DOMAIN, PASSWORD};
use super::digest::Challenge;
use super::sip::Text;
use stationmaster::base::flow::Flow;
use std::net::SocketAddr;

#[derive(Clone, Debug)]
pub(crate) struct Phone {
    pub(crate) login: String,
    pub(crate) password: String,
    pub(crate) address: SocketAddr,
    pub(crate) instance: Option<String>,
    pub(crate) contact: String,
    pub(crate) call_id: String,
    pub(crate) agent: Option<String>,
    /// Over a connection instead of datagrams.
    pub(crate) over: Option<Flow>,
    number: u8,
    cseq: u32,
    branch: u32,
    /// What it answered last, and how often.
    challenge: Option<(Challenge, u32)>,
}

impl Phone {
    /// Phone `number` of an extension, with an instance and an address of its own.
    pub(crate) fn new(extension: &str, number: u8) -> Self {
        let address = SocketAddr::from(([203, 0, 113, number], 5060));
        Self {
            login: format!("{extension}-acme"),
            password: PASSWORD.to_owned(),
            address,
            instance: Some(format!("urn:uuid:6b1f0a2e-4d1c-4e0b-9a53-2f0c8d7e5{number:03}")),
            contact: format!("sip:line{number}@{address}"),
            call_id: format!("call{number}"),
            agent: None,
            over: None,
            number,
            cseq: 0,
            branch: 0,
            challenge: None,
        }
    }

    /// A request outside of any dialog.
    pub(crate) fn request(&mut self, method: &str, uri: &str) -> Text {
        self.cseq += 1;
        self.branch += 1;
        let Self { login, address, call_id, number, cseq, branch, .. } = self;
        Text::request(method, uri)
            .with("Via", format!("SIP/2.0/UDP {address};rport;branch=z9hG4bKp{number}b{branch}"))
            .with("Max-Forwards", "70")
            .with("From", format!("<sip:{login}@{DOMAIN}>;tag=from{number}"))
            .with("To", format!("<sip:{login}@{DOMAIN}>"))
            .with("Call-ID", call_id.clone())
            .with("CSeq", format!("{cseq} {method}"))
    }

    fn register_request(&mut self, expires: u32) -> Text {
        let instance = self.instance.as_ref().map(|urn| format!(";+sip.instance=\"<{urn}>\""));
        let contact = format!("<{}>{}", self.contact, instance.unwrap_or_default());
        let mut request = self.request("REGISTER", &format!("sip:{DOMAIN}"));
        if let Some(agent) = &self.agent {
            request = request.with("User-Agent", agent);
        }
        request.with("Contact", contact).with("Expires", expires.to_string())
    }

    /// Sends a REGISTER with credentials that answer a fresh challenge; does not look for its answer.
    pub(crate) fn sends_register(&mut self, bench: &mut Bench, expires: u32) {
        let request = self.register_request(expires);
        self.says(bench, &request);
        let answer = self.hears(bench).expect("an answer without credentials");
        if answer.code() != 401 {
            bench.sent.push_front((self.address, answer)); // refused at once
            return;
        }
        let challenge = Challenge::of(&answer, false).expect("a challenge");
        self.challenge = Some((challenge, 0));
        self.sends_register_at_once(bench, expires);
    }

    /// The same with credentials that answer the challenge before.
    pub(crate) fn sends_register_at_once(&mut self, bench: &mut Bench, expires: u32) {
        let (challenge, count) = self.challenge.take().expect("a challenge before");
        let uri = format!("sip:{DOMAIN}");
        let credentials = challenge.answer(&self.login, &self.password, "REGISTER", &uri, count + 1, "c");
        self.challenge = Some((challenge, count + 1));
        let request = self.register_request(expires).with("Authorization", credentials);
        self.says(bench, &request);
    }

    pub(crate) fn says(&self, bench: &mut Bench, text: &Text) {
        bench.hear_over(self.over.unwrap_or(Flow::udp(0, self.address)), text);
    }

    /// Registers its Contact for so many seconds, 0 to end it; the status of the answer.
    pub(crate) fn registers(&mut self, bench: &mut Bench, expires: u32) -> u16 {
        self.sends_register(bench, expires);
        self.hears(bench).map_or(0, |answer| answer.code())
    }

    /// The next message to it, if there is one.
    pub(crate) fn hears(&self, bench: &mut Bench) -> Option<Text> {
        let at = bench.sent.iter().position(|(to, _)| *to == self.address)?;
        bench.sent.remove(at).map(|(_, text)| text)
    }
}
