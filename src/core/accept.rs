//! The 200 to a REGISTER (RFC 3261 §10.3 step 8) and what stands in it.
//!
//! | field | where |
//! |-------|-------|
//! | Contact | each live binding of the extension, as [`Telling`] tells it |
//! | Path | as the request has it (RFC 3327 §5.3) |
//! | Service-Route | if one is configured (RFC 3608 §6.3) |
//! | Require: outbound | the request made or refreshed a flow, and its phone knows of flows (RFC 5626 §6) |
//! | Flow-Timer | the same, where the flow is a connection to us (RFC 5626 §5.4) |
//! | Supported | path, outbound, gruu, to a phone that says it supports one of them |

use super::Core;
use crate::base::flow::Flow;
use crate::base::limit;
use crate::base::time::Now;
use crate::directory::Kind;
use crate::licence::DeviceId;
use crate::registrar::{Binding, Options, Telling};
use crate::sip::{Message, Name};

impl Core {
    /// 200 with the present bindings, but for those that memory cannot answer for. `device` is the
    /// sender's, if it is known.
    pub(super) fn accept(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        login: &str,
        device: Option<DeviceId>,
    ) {
        self.registered_over(flow, login);
        let options = Options::of(message);
        let random = if options.gruu { self.rng.bits() } else { 0 };
        let cseq = message.cseq().number;
        self.answer_by(message, flow, 200, None, |core, writer| {
            let gruus = options.gruu.then_some(&*core.gruus);
            let host = gruus.map(|_| core.settings.host()).unwrap_or_default();
            let mut has_flow = false;
            core.directory.with(login, |entry| {
                let told = |binding: &&Binding| {
                    binding.is_live(now.wall)
                        && !(entry.doubt.is_open() && entry.doubt.touches(binding.number))
                };
                let telling = Telling {
                    login,
                    licence: &entry.licence,
                    to: device,
                    // A station is rung for its agent only, so it has no address of its own.
                    gruus: gruus.filter(|_| entry.kind == Kind::Extension),
                    host: &host,
                    random,
                    now: now.wall,
                };
                for binding in entry.bindings.iter().filter(told) {
                    telling.contact(writer, binding);
                    has_flow |= binding.reg_id() != 0
                        && binding.cseq == cseq
                        && *binding.call_id == *message.call_id();
                }
            });
            for value in message.fields(Name::Path) {
                writer.field(Name::Path, value);
            }
            for hop in &core.settings.service_route {
                writer.begin(Name::ServiceRoute).bytes(b"<").text(hop).bytes(b">").end();
            }
            if options.outbound && has_flow {
                writer.field(Name::Require, b"outbound");
                let first_hop = message.values(Name::Via).nth(1).is_none();
                if flow.stream.is_some() && first_hop {
                    let seconds = limit::STREAM_IDLE_MAX.as_secs();
                    writer.bytes(b"Flow-Timer: ").number(seconds).end();
                }
            }
            if options != Options::default() {
                writer.field(Name::Supported, b"path, outbound, gruu");
            }
        });
    }
}
