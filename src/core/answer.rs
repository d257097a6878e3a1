//! Stateless answers: the same request always gets the same answer, To tag included (RFC 3261
//! §8.2.7), and nothing is remembered.

use super::Core;
use super::boundary::Output;
use crate::base::flow::Flow;
use crate::sip::reply::{self, ToTag};
use crate::sip::{Fault, Message, Name, Scheme, Uri, Writer};

/// What we implement beyond RFC 3261, for Supported and against Require.
pub(super) const EXTENSIONS: &[&str] = &["path", "outbound", "gruu"];

/// Every method that some request gets a 2xx for.
pub(super) const ALLOW: &[u8] = b"REGISTER, INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY";

impl Core {
    /// Answers a request without keeping anything. `more` adds fields.
    pub(super) fn answer(
        &mut self,
        request: &Message,
        flow: Flow,
        code: u16,
        reason: Option<&[u8]>,
        more: impl FnOnce(&mut Writer<'_>),
    ) {
        self.answer_by(request, flow, code, reason, |_, writer| more(writer));
    }

    /// The same, where `more` must know what the shard knows.
    pub(super) fn answer_by(
        &mut self,
        request: &Message,
        flow: Flow,
        code: u16,
        reason: Option<&[u8]>,
        more: impl FnOnce(&Self, &mut Writer<'_>),
    ) {
        let tag = self.stateless_tag(request);
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut writer = reply::begin(&mut scratch, request, flow.remote, code, reason, ToTag::Mint(&tag));
        more(self, &mut writer);
        let bytes = writer.finish();
        self.scratch = scratch;
        self.out.push_back(Output::Send { flow: reply::destination(request, flow), bytes });
    }

    /// A To tag that is a keyed hash of what makes a request the same request.
    pub(super) fn stateless_tag(&self, request: &Message) -> [u8; 16] {
        use std::hash::{BuildHasher, Hasher};
        let mut hasher = self.hash.build_hasher();
        hasher.write(request.call_id());
        hasher.write(request.from_tag().unwrap_or_default());
        hasher.write(request.branch().unwrap_or_default());
        let bits = hasher.finish();
        let mut tag = [0; 16];
        for (at, digit) in tag.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(bits >> (60 - 4 * at) & 15) as usize];
        }
        tag
    }

    /// Answers OPTIONS to the server itself (§11.2): what we can do, and that we are alive.
    pub(super) fn options(&mut self, request: &Message, flow: Flow) {
        if self.refuse_extensions(request, flow) {
            return;
        }
        self.answer(request, flow, 200, None, |writer| {
            writer.field(Name::Allow, ALLOW).field(Name::Accept, b"application/sdp");
        });
    }

    /// Refuses a request whose Request-URI has a scheme we do not know (§8.2.2.1), or breaks the
    /// grammar of one we do; says whether it did.
    pub(super) fn refuse_uri(&mut self, request: &Message, flow: Flow) -> bool {
        let uri = request.request_uri();
        if Uri::parse(uri).is_some() {
            return false;
        }
        if Scheme::of(uri).is_some() || !uri.contains(&b':') {
            let fault = Fault::RequestUri;
            self.meters.fault(fault);
            self.answer(request, flow, fault.status(), Some(fault.to_string().as_bytes()), |_| {});
        } else {
            self.answer(request, flow, 416, None, |_| {});
        }
        true
    }

    /// Refuses a request that requires an extension we do not have (§8.2.2.3); says whether it did.
    pub(super) fn refuse_extensions(&mut self, request: &Message, flow: Flow) -> bool {
        let known = |tag: &&[u8]| EXTENSIONS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(tag));
        if request.values(Name::Require).all(|tag| known(&tag)) {
            return false;
        }
        self.answer(request, flow, 420, None, |writer| {
            for tag in request.values(Name::Require).filter(|tag| !known(tag)) {
                writer.field(Name::Unsupported, tag);
            }
        });
        true
    }
}
