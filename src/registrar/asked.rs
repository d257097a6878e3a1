//! What a REGISTER asks for, read from the message.

use super::{RegisterError, Terms};
use crate::base::limit;
use crate::sip::{Contacts, Message, Name, NameAddr, Scheme, Uri, text};
use smallvec::SmallVec;

/// One Contact of a REGISTER.
#[derive(Clone, Copy, Debug)]
pub struct AskedContact<'a> {
    /// The URI as written.
    pub uri: &'a [u8],
    /// For how long, in seconds; 0 removes.
    pub expires_s: u32,
    /// `q` in thousandths.
    pub q: u16,
    /// The raw `+sip.instance` value, if any (RFC 5626 §4.1).
    pub instance: Option<&'a [u8]>,
    /// The flow of the device that this is (RFC 5626 §4.2); 0 for none.
    pub reg_id: u32,
}

/// The extensions that the sender says it supports, of those that a registrar asks for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// Path (RFC 3327).
    pub path: bool,
    /// Flows (RFC 5626).
    pub outbound: bool,
    /// GRUU (RFC 5627).
    pub gruu: bool,
}

impl Options {
    /// Those of a message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        let mut options = Self::default();
        for tag in message.values(Name::Supported) {
            match tag.len() {
                4 if tag.eq_ignore_ascii_case(b"path") => options.path = true,
                4 if tag.eq_ignore_ascii_case(b"gruu") => options.gruu = true,
                8 if tag.eq_ignore_ascii_case(b"outbound") => options.outbound = true,
                _ => {}
            }
        }
        options
    }
}

/// What is to become of the sender's bindings.
#[derive(Clone, Debug)]
pub enum Wanted<'a> {
    /// Nothing: tell the present ones.
    Query,
    /// `Contact: *` with Expires 0.
    RemoveAll,
    /// Add, refresh or remove these.
    Contacts(SmallVec<[AskedContact<'a>; 2]>),
}

/// What a REGISTER says.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Its contacts.
    pub wanted: Wanted<'a>,
    /// Its Call-ID.
    pub call_id: &'a [u8],
    /// Its CSeq.
    pub cseq: u32,
    /// The values of Path as written (RFC 3327).
    pub path: SmallVec<[&'a [u8]; 2]>,
    /// What the sender supports.
    pub options: Options,
    /// Whether it came through a proxy: by its Via, or by its Path.
    pub by_proxy: bool,
    /// Whether a contact asks for less than the minimum; then all is refused (§10.3 step 7), but who
    /// asks is known all the same.
    pub brief: Option<RegisterError>,
}

impl<'a> Asked<'a> {
    /// Reads the contacts of a REGISTER without faults.
    ///
    /// A Contact without `expires` has that of the Expires field, else `terms.expires_max`; a
    /// malformed one counts as 3600 (RFC 3261 §10.2.1.1, §20.10).
    ///
    /// A `reg-id` counts if it stands beside an instance, and the first hop knows of flows: there is
    /// none between, or it has put a Path with `ob` (RFC 5626 §6). That Path value is the last, where
    /// RFC 3327 puts it, or the first, as RFC 5626 says.
    ///
    /// # Errors
    /// `BadContact`, `BadStar`, `BadPath`, `FirstHop`.
    pub fn of(message: &'a Message, terms: &Terms) -> Result<Self, RegisterError> {
        const MALFORMED_S: u32 = 3600;
        let header =
            message.field(Name::Expires).map(|value| text::delta_seconds(value).unwrap_or(MALFORMED_S));
        let mut brief = None;
        let options = Options::of(message);
        let path = path(message)?;
        let by_proxy = !path.is_empty() || message.values(Name::Via).nth(1).is_some();
        let knows_flows =
            !by_proxy || [path.first(), path.last()].into_iter().flatten().any(|hop| has_ob(hop));
        let mut flows = 0;
        let wanted = match Contacts::of(message).ok_or(RegisterError::BadContact)? {
            Contacts::None => Wanted::Query,
            Contacts::Star if header == Some(0) => Wanted::RemoveAll,
            Contacts::Star => return Err(RegisterError::BadStar),
            Contacts::Some(all) if all.len() > limit::REGISTER_CONTACTS_MAX => {
                return Err(RegisterError::BadContact);
            }
            Contacts::Some(all) => {
                let mut contacts: SmallVec<[AskedContact<'_>; 2]> = SmallVec::new();
                for contact in all {
                    let mut contact = asked_contact(contact, header, terms)?;
                    if contact.reg_id != 0 && !knows_flows {
                        if options.outbound {
                            return Err(RegisterError::FirstHop);
                        }
                        contact.reg_id = 0;
                    }
                    flows += usize::from(contact.reg_id != 0 && contact.expires_s > 0);
                    let min_s = u32::try_from(terms.expires_min.as_secs()).unwrap_or(u32::MAX);
                    if (1..min_s).contains(&contact.expires_s) {
                        brief = Some(RegisterError::TooBrief { min_s });
                    }
                    contacts.push(contact);
                }
                // RFC 5626 §6: beside a flow no other contact may live.
                if flows > 0 && contacts.iter().filter(|contact| contact.expires_s > 0).count() > 1 {
                    return Err(RegisterError::BadContact);
                }
                Wanted::Contacts(contacts)
            }
        };
        Ok(Self {
            wanted,
            call_id: message.call_id(),
            cseq: message.cseq().number,
            path,
            options,
            by_proxy,
            brief,
        })
    }

    /// Whether it can only end bindings: all contacts with Expires 0, or `*`.
    #[must_use]
    pub fn only_removes(&self) -> bool {
        match &self.wanted {
            Wanted::Query => false,
            Wanted::RemoveAll => true,
            Wanted::Contacts(all) => all.iter().all(|contact| contact.expires_s == 0),
        }
    }

    /// The first contact that is to live, else the first: the one that shows who the device is.
    #[must_use]
    pub fn main_contact(&self) -> Option<&AskedContact<'a>> {
        match &self.wanted {
            Wanted::Contacts(all) => all.iter().find(|contact| contact.expires_s > 0).or(all.first()),
            _ => None,
        }
    }
}

fn asked_contact<'a>(
    contact: NameAddr<'a>,
    header: Option<u32>,
    terms: &Terms,
) -> Result<AskedContact<'a>, RegisterError> {
    let uri = Uri::parse(contact.uri).ok_or(RegisterError::BadContact)?;
    if contact.uri.len() > limit::CONTACT_BYTES_MAX || uri.scheme == Scheme::Tel {
        return Err(RegisterError::BadContact);
    }
    let max_s = u32::try_from(terms.expires_max.as_secs()).unwrap_or(u32::MAX);
    let expires_s = contact.expires_s().or(header).unwrap_or(max_s);
    let instance = contact.param("+sip.instance").flatten();
    Ok(AskedContact {
        uri: contact.uri,
        expires_s: expires_s.min(max_s),
        q: contact.q(),
        instance,
        reg_id: instance.and_then(|_| contact.reg_id()).unwrap_or(0),
    })
}

/// The values of Path, each a loose router (RFC 3327 §4).
fn path(message: &Message) -> Result<SmallVec<[&[u8]; 2]>, RegisterError> {
    let (mut path, mut bytes) = (SmallVec::new(), 0);
    for value in message.values(Name::Path) {
        let uri = value.contains(&b'<').then(|| NameAddr::parse(value)).flatten();
        let uri = uri.and_then(|hop| Uri::parse(hop.uri)).filter(|uri| uri.scheme != Scheme::Tel);
        if !uri.is_some_and(|uri| uri.is_loose()) {
            return Err(RegisterError::BadPath);
        }
        bytes += value.len() + 2;
        path.push(value);
    }
    if bytes > limit::PATH_BYTES_MAX { Err(RegisterError::BadPath) } else { Ok(path) }
}

/// Whether a hop of Path says that it keeps flows.
fn has_ob(hop: &[u8]) -> bool {
    NameAddr::parse(hop).and_then(|hop| Uri::parse(hop.uri)).is_some_and(|uri| uri.is_outbound())
}
