//! How bindings are told in the 200 to a REGISTER (RFC 3261 §10.3 step 8, RFC 5626 §6, RFC 5627 §5.3,
//! RFC 8599 §4.1).
//!
//! A phone is told its own Contact as it wrote it, push parameters included. To other phones
//! of the extension they are not shown: who knows them may wake the phone.

use super::gruu::{self, Gruus};
use super::{Binding, Extra};
use crate::base::time::Wall;
use crate::licence::{DeviceId, Licence};
use crate::sip::text::{Params, unquote};
use crate::sip::{Name, Writer};
use std::borrow::Cow;

/// To whom bindings are told, and when.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// The extension.
    pub login: &'a str,
    /// Its licence.
    pub licence: &'a Licence,
    /// The device that asks, if it is known.
    pub to: Option<DeviceId>,
    /// What makes its temporary GRUUs, if it said that it understands GRUUs.
    pub gruus: Option<&'a Gruus>,
    /// The host of GRUUs.
    pub host: &'a str,
    /// Chance, for temporary GRUUs.
    pub random: u64,
    /// Now.
    pub now: Wall,
}

impl Telling<'_> {
    /// Writes the Contact of a live binding.
    pub fn contact(&self, writer: &mut Writer<'_>, binding: &Binding) {
        let remains = binding.expires.since(self.now);
        // Rounded up, so that what was granted is what is told.
        let remains_s = remains.as_secs() + u64::from(remains.subsec_micros() > 0);
        let uri = match self.to {
            Some(device) if device == binding.device => Cow::Borrowed(&*binding.contact),
            _ => without_push(&binding.contact),
        };
        writer.begin(Name::Contact).bytes(b"<").bytes(&uri).bytes(b">;expires=").number(remains_s);
        if let Some(extra) = &binding.extra {
            self.extra(writer, binding, extra);
        }
        writer.end();
    }

    fn extra(&self, writer: &mut Writer<'_>, binding: &Binding, extra: &Extra) {
        if !extra.instance.is_empty() {
            writer.bytes(b";+sip.instance=").bytes(&extra.instance);
        }
        if extra.reg_id != 0 {
            writer.bytes(b";reg-id=").number(extra.reg_id.into());
        }
        let device = self.licence.device(binding.device);
        let Some((gruus, extra)) = self.gruus.zip(device.and_then(|device| gruu::is_told(binding, device)))
        else {
            return;
        };
        // The GRUU of a sips Contact is a sips URI (RFC 5627 §3.1).
        let sips = binding.contact.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"));
        let scheme: &[u8] = if sips { b"\"sips:" } else { b"\"sip:" };
        writer.bytes(b";pub-gruu=").bytes(scheme).text(self.login).bytes(b"@").text(self.host);
        writer.bytes(b";gr=").bytes(bare(&extra.instance)).bytes(b"\"");
        // It tells nobody who its phone is, so only the phone itself is told.
        if self.to == Some(binding.device) {
            let token = gruus.temporary(self.login, binding, self.random ^ u64::from(binding.number));
            writer.bytes(b";temp-gruu=").bytes(scheme).text(&token).bytes(b"@").text(self.host);
            writer.bytes(b";gr\"");
        }
    }
}

/// An instance without quotes and angles.
fn bare(instance: &[u8]) -> &[u8] {
    let text = unquote(instance.trim_ascii()).trim_ascii();
    let text = text.strip_prefix(b"<").unwrap_or(text);
    text.strip_suffix(b">").unwrap_or(text)
}

/// A Contact URI without its push parameters.
fn without_push(uri: &[u8]) -> Cow<'_, [u8]> {
    let is_push = |name: &[u8]| name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"pn-"));
    let host = memchr::memchr(b'@', uri).unwrap_or(0);
    let Some(first) = memchr::memchr(b';', uri.get(host..).unwrap_or_default()).map(|at| host + at) else {
        return Cow::Borrowed(uri);
    };
    let (head, rest) = uri.split_at(first);
    let (params, headers) = rest.split_at(memchr::memchr(b'?', rest).unwrap_or(rest.len()));
    if !Params::new(params).any(|(name, _)| is_push(name)) {
        return Cow::Borrowed(uri);
    }
    let mut out = head.to_vec();
    for (name, value) in Params::new(params).filter(|(name, _)| !is_push(name)) {
        out.push(b';');
        out.extend_from_slice(name);
        if let Some(value) = value {
            out.push(b'=');
            out.extend_from_slice(value);
        }
    }
    out.extend_from_slice(headers);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_parameters_are_taken_out_and_nothing_else() {
        for (uri, left) in [
            ("sip:a@h", "sip:a@h"),
            ("sip:a@h;transport=tcp;ob", "sip:a@h;transport=tcp;ob"),
            (
                "sip:a@h;pn-provider=fcm;transport=tcp;PN-prid=\"x;y\";ob;pn-param=z",
                "sip:a@h;transport=tcp;ob",
            ),
            ("sip:a;pn-x=1@h;pn-prid=1?q=2", "sip:a;pn-x=1@h?q=2"),
            ("sip:h;pn-purr", "sip:h"),
        ] {
            assert_eq!(without_push(uri.as_bytes()), left.as_bytes(), "{uri}");
        }
    }
}
