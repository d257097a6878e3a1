//! What a REGISTER shows of the device that sent it, and how that is compared with what is kept.
//!
//! Nothing is copied until a device is activated: the comparisons read the request as it stands.

use super::{Device, DeviceId, Fingerprint, Keys, Mac, MoreKeys, Push, Rung};
use crate::base::flow::Flow;
use crate::sip::Uri;

/// Longest instance that counts as one, in bytes; a longer one is no key.
const INSTANCE_BYTES_MAX: usize = 128;
/// Shortest instance that counts as one, in letters and digits.
const INSTANCE_DIGITS_MIN: usize = 8;
/// What is kept of a product, a Contact's user, its host, its `line`, and of a model, in bytes.
const PRODUCT_BYTES_MAX: usize = 48;
const USER_BYTES_MAX: usize = 64;
const HOST_BYTES_MAX: usize = 72;
const LINE_BYTES_MAX: usize = 32;
const MODEL_BYTES_MAX: usize = 64;

/// What a REGISTER shows of its sender.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The value of the Contact's `+sip.instance` as written, quotes and angles included.
    pub sip_instance: Option<&'a [u8]>,
    /// The value of a field of its own for the MAC address, or of `user_uid`; empty if there is none.
    pub labelled_mac: &'a [u8],
    /// The User-Agent; empty if there is none.
    pub user_agent: &'a [u8],
    /// The URI of the first Contact; empty if there is none, or `*`.
    pub contact_uri: &'a [u8],
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The CSeq number.
    pub cseq: u32,
    /// Where it came from.
    pub flow: Flow,
    /// Whether it came through a proxy: then its flow is the proxy's, which many phones share.
    pub by_proxy: bool,
    /// The device that last used this nonce successfully.
    pub same_nonce_chain: Option<DeviceId>,
}

impl Evidence<'_> {
    /// What to keep of a device. Allocates: for activations and changes only.
    #[must_use]
    pub fn keys(&self) -> Keys {
        let instance = match Instance::of(self.sip_instance) {
            Instance::Good(text) | Instance::Weak(text) => Some(fold(text, INSTANCE_BYTES_MAX)),
            Instance::None => None,
        };
        let looks = Looks::of(self);
        let fingerprint = Fingerprint {
            product: fold(looks.product, PRODUCT_BYTES_MAX),
            contact_user: fold(looks.user, USER_BYTES_MAX),
            contact_host: fold(looks.place, HOST_BYTES_MAX),
            line: fold(looks.line, LINE_BYTES_MAX),
        };
        let more = MoreKeys { mac: self.mac(), push: self.push() };
        let more = (more != MoreKeys::default()).then(|| Box::new(more));
        Keys { instance, fingerprint, more }
    }

    /// Rung 3: the MAC address it tells.
    #[must_use]
    pub fn mac(&self) -> Option<Mac> {
        Mac::labelled(self.labelled_mac)
            .or_else(|| Mac::of_agent(self.user_agent))
            .or_else(|| Mac::of_instance(bare(self.sip_instance?)))
    }

    /// Rung 4: its push identity.
    #[must_use]
    pub fn push(&self) -> Option<Push> {
        Push::of(self.contact_uri)
    }

    /// What people are shown as the device's model: the User-Agent, made printable and cut.
    #[must_use]
    pub fn model(&self) -> String {
        let text = String::from_utf8_lossy(self.user_agent);
        let mut model = String::with_capacity(self.user_agent.len().min(MODEL_BYTES_MAX));
        for char in text.trim().chars().filter(|char| !char.is_control()) {
            if model.len() + char.len_utf8() > MODEL_BYTES_MAX {
                break;
            }
            model.push(char);
        }
        model
    }

    /// What to keep of a device that is activated or recognised. Allocates.
    #[must_use]
    pub fn newcomer(&self) -> super::Newcomer {
        super::Newcomer { keys: self.keys(), model: self.model(), address: self.flow.remote.to_string() }
    }

    /// Whether what is kept of a device is what it shows now, so that nothing needs writing.
    #[must_use]
    pub fn is_kept_in(&self, device: &Device) -> bool {
        let looks = Looks::of(self);
        let print = &device.keys.fingerprint;
        let instance = self.sip_instance.is_none_or(|raw| {
            Instance::is_of(bare(raw), device)
                || device.has_good_instance()
                || Instance::of(self.sip_instance) == Instance::None
        });
        let more = device.keys.more.as_deref().copied().unwrap_or_default();
        instance
            && self.mac().is_none_or(|mac| more.mac == Some(mac))
            && self.push().is_none_or(|push| more.push == Some(push))
            && same(&print.product, looks.product, PRODUCT_BYTES_MAX)
            && (self.contact_uri.is_empty()
                || (same(&print.contact_user, looks.user, USER_BYTES_MAX)
                    && same(&print.contact_host, looks.place, HOST_BYTES_MAX)
                    && same(&print.line, looks.line, LINE_BYTES_MAX)))
    }
}

/// A `+sip.instance`, without its quotes and angles.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Instance<'a> {
    /// Decides alone.
    Good(&'a [u8]),
    /// Shared by many devices, or easily so: the pjsip default (a 32-bit hash of the host name behind
    /// zeros), a UUID of one digit, a MAC-shaped one without its MAC, a word. It proves nothing.
    Weak(&'a [u8]),
    /// None, or the nil UUID, or nothing that could be one.
    None,
}

impl<'a> Instance<'a> {
    /// Reads the value of the Contact parameter (RFC 5626 §4.1).
    pub(super) fn of(raw: Option<&'a [u8]>) -> Self {
        let Some(text) = raw.map(bare).filter(|text| !text.is_empty() && text.len() <= INSTANCE_BYTES_MAX)
        else {
            return Self::None;
        };
        let own = memchr::memrchr(b':', text).and_then(|colon| text.get(colon + 1..)).unwrap_or(text);
        let first = own.iter().copied().find(u8::is_ascii_alphanumeric).unwrap_or(b'0');
        let (mut digits, mut leading, mut hex) = (0usize, 0usize, true);
        for byte in own.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
            leading += usize::from(leading == digits && *byte == first);
            hex &= byte.is_ascii_hexdigit();
            digits += 1;
        }
        if (first == b'0' && leading == digits) || !text.iter().all(u8::is_ascii_graphic) {
            return Self::None;
        }
        // 32 hexadecimal digits are a UUID: pjsip's has nothing but its last 8.
        let pjsip = digits == 32 && hex && first == b'0' && leading >= 24;
        let no_mac = own == b"00000000-0000-1000-8000-000000000000";
        let weak = digits < INSTANCE_DIGITS_MIN || leading == digits || pjsip || no_mac;
        if weak { Self::Weak(text) } else { Self::Good(text) }
    }

    /// Whether this is the very instance of a device.
    pub(super) fn is_of(text: &[u8], device: &Device) -> bool {
        device.keys.instance.as_deref().is_some_and(|kept| same(kept, text, INSTANCE_BYTES_MAX))
    }
}

/// The rung of a good instance.
pub(super) fn rung_of(instance: &[u8]) -> Rung {
    if is_random(instance) { Rung::Instance } else { Rung::PlainInstance }
}

/// Whether a good instance was drawn by chance, so that nobody can guess it: a UUID that is not made
/// of zeros and a MAC address. One made of a MAC or an IMEI is unique, but stands on the phone's label.
fn is_random(instance: &[u8]) -> bool {
    let own = memchr::memrchr(b':', instance).and_then(|colon| instance.get(colon + 1..)).unwrap_or(instance);
    let digits = own.iter().filter(|byte| **byte != b'-');
    matches!(own.len(), 32 | 36)
        && digits.clone().count() == 32
        && digits.clone().all(u8::is_ascii_hexdigit)
        && digits.take_while(|digit| **digit == b'0').count() < 12
}

/// An instance without its quotes and angles.
fn bare(raw: &[u8]) -> &[u8] {
    let text = crate::sip::text::unquote(raw.trim_ascii()).trim_ascii();
    let text = text.strip_prefix(b"<").unwrap_or(text);
    text.strip_suffix(b">").unwrap_or(text).trim_ascii()
}

impl Device {
    /// By which rung this `+sip.instance`, raw, shows this device; `None` if it is not a good one, or
    /// another's.
    #[must_use]
    pub fn shown_by(&self, instance: Option<&[u8]>) -> Option<Rung> {
        let Instance::Good(own) = Instance::of(instance) else { return None };
        Instance::is_of(own, self).then(|| rung_of(own))
    }

    /// Whether the device has a key of rungs 1–4, by which alone it signs in from nowhere else.
    #[must_use]
    pub fn has_good_key(&self) -> bool {
        self.keys.more.is_some() || self.has_good_instance()
    }

    fn has_good_instance(&self) -> bool {
        let instance = self.keys.instance.as_deref();
        matches!(Instance::of(instance.map(str::as_bytes)), Instance::Good(_))
    }

    /// Whether it is the one with this MAC address.
    pub(super) fn has_mac(&self, mac: Mac) -> bool {
        self.keys.more.as_ref().is_some_and(|more| more.mac == Some(mac))
    }

    /// Whether it is the one with this push identity.
    pub(super) fn has_push(&self, push: Push) -> bool {
        self.keys.more.as_ref().is_some_and(|more| more.push == Some(push))
    }

    /// Takes the keys it shows now; what it does not show stays.
    pub(super) fn take_keys(&mut self, seen: &mut Keys) {
        if !self.has_good_instance() && seen.instance.is_some() {
            self.keys.instance = seen.instance.take();
        }
        if let Some(more) = seen.more.take() {
            let kept = self.keys.more.get_or_insert_default();
            kept.mac = more.mac.or(kept.mac);
            kept.push = more.push.or(kept.push);
        }
    }

    /// Whether nothing that a REGISTER without a good key shows speaks against this device: the
    /// product is the same, and so is a weak instance where both have one.
    pub(super) fn is_not_belied_by(&self, evidence: &Evidence<'_>) -> bool {
        same(&self.keys.fingerprint.product, product(evidence.user_agent), PRODUCT_BYTES_MAX)
            && !self.has_another_instance(evidence)
    }

    /// Whether the request has a weak instance, and the device another.
    pub(super) fn has_another_instance(&self, evidence: &Evidence<'_>) -> bool {
        match Instance::of(evidence.sip_instance) {
            Instance::Weak(shown) => self.keys.instance.is_some() && !Instance::is_of(shown, self),
            _ => false,
        }
    }
}

/// What a REGISTER looks like: the fingerprint, not yet copied.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looks<'a> {
    product: &'a [u8],
    user: &'a [u8],
    place: &'a [u8],
    line: &'a [u8],
}

impl<'a> Looks<'a> {
    pub(super) fn of(evidence: &Evidence<'a>) -> Self {
        let mut looks = Self { product: product(evidence.user_agent), ..Self::default() };
        if let Some(uri) = Uri::parse(evidence.contact_uri) {
            looks.user = uri.user;
            looks.place = place(evidence.contact_uri);
            looks.line = uri.param("line").flatten().unwrap_or_default();
        }
        looks
    }

    /// Whether it shows where it lives; without a Contact there is no fingerprint.
    pub(super) fn has_place(&self) -> bool {
        !self.place.is_empty()
    }

    /// Whether it says what it is; without that, only its place and address speak for it.
    pub(super) fn has_product(&self) -> bool {
        !self.product.is_empty()
    }

    /// Whether a device of this fingerprint is of the same make and setting.
    pub(super) fn are_like(&self, print: &Fingerprint) -> bool {
        same(&print.product, self.product, PRODUCT_BYTES_MAX)
            && same(&print.contact_user, self.user, USER_BYTES_MAX)
            && same(&print.line, self.line, LINE_BYTES_MAX)
    }

    /// Whether the private host and port are those of this fingerprint.
    pub(super) fn same_place(&self, print: &Fingerprint) -> bool {
        same(&print.contact_host, self.place, HOST_BYTES_MAX)
    }

    /// Whether the private host is that of this fingerprint, whatever the port.
    pub(super) fn same_host(&self, print: &Fingerprint) -> bool {
        host(self.place).eq_ignore_ascii_case(host(print.contact_host.as_bytes()))
    }

    /// Whether the private host and port are those of this Contact URI.
    pub(super) fn same_place_as(&self, contact: &[u8]) -> bool {
        self.place.eq_ignore_ascii_case(place(contact))
    }
}

/// Whether two Contact URIs are the same (RFC 3261 §19.1.4); mostly they are byte by byte.
pub(super) fn same_uri(a: &[u8], b: &[u8]) -> bool {
    !a.is_empty()
        && (a == b || Uri::parse(a).zip(Uri::parse(b)).is_some_and(|(first, second)| first.same(&second)))
}

/// The `host[:port]` of a URI as written.
fn place(uri: &[u8]) -> &[u8] {
    let rest = memchr::memchr(b'@', uri).or_else(|| memchr::memchr(b':', uri));
    let rest = rest.and_then(|at| uri.get(at + 1..)).unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, b';' | b'?' | b'>')).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default().trim_ascii()
}

/// A `host[:port]` without its port.
fn host(place: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', place) {
        Some(colon) if !place.ends_with(b"]") => place.get(..colon).unwrap_or_default(),
        _ => place,
    }
}

/// A User-Agent up to its version: `Yealink SIP-T46S 66.84.0.15` is `Yealink SIP-T46S`,
/// `baresip v1.0.0 (x86_64/linux)` is `baresip`, `Cisco/SPA303-7.4.9c` is `Cisco/SPA303`. What
/// follows the version (systems, libraries) has versions of its own and is left out.
pub(super) fn product(user_agent: &[u8]) -> &[u8] {
    let agent = user_agent.trim_ascii();
    let mut start = 0;
    for (at, byte) in agent.iter().enumerate() {
        if matches!(byte, b' ' | b'/' | b'-' | b'_' | b'(' | b'\t') {
            start = at + 1;
            continue;
        }
        if at == start && start > 0 && is_version(agent, start) {
            let product = agent.get(..start).unwrap_or_default();
            let end = product.iter().rposition(u8::is_ascii_alphanumeric).map_or(0, |last| last + 1);
            return product.get(..end).unwrap_or_default();
        }
    }
    agent
}

/// Whether a version begins at `start`: after at most two letters, digits with a dot, or after a
/// slash any digit.
fn is_version(agent: &[u8], start: usize) -> bool {
    let word = agent.get(start..).unwrap_or_default();
    let letters = word.iter().take_while(|byte| matches!(byte, b'v' | b'V' | b'r' | b'R')).count();
    let digits = word.iter().skip(letters).take_while(|byte| byte.is_ascii_digit()).count();
    let dotted = word.get(letters + digits) == Some(&b'.');
    let after_slash = start.checked_sub(1).and_then(|before| agent.get(before)) == Some(&b'/');
    letters <= 2 && digits > 0 && (dotted || after_slash)
}

/// What is kept of a text: at most `max` bytes, lower case, `?` for what is not printable ASCII.
fn fold(text: &[u8], max: usize) -> Box<str> {
    text.iter().take(max).map(|byte| char::from(folded(*byte))).collect::<String>().into()
}

/// Whether `kept` is what [`fold`] makes of `text`.
fn same(kept: &str, text: &[u8], max: usize) -> bool {
    let text = text.get(..max).unwrap_or(text);
    // Only what has a `?` can stand for other bytes than its own.
    kept.as_bytes().eq_ignore_ascii_case(text)
        || (kept.len() == text.len()
            && kept.contains('?')
            && kept.bytes().zip(text).all(|(kept, byte)| kept == folded(*byte)))
}

fn folded(byte: u8) -> u8 {
    if byte.is_ascii_graphic() || byte == b' ' { byte.to_ascii_lowercase() } else { b'?' }
}
