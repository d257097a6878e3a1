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
    /// # Errors
    /// `BadContact`, `BadStar`.
    pub fn of(message: &'a Message, terms: &Terms) -> Result<Self, RegisterError> {
        const MALFORMED_S: u32 = 3600;
        let header =
            message.field(Name::Expires).map(|value| text::delta_seconds(value).unwrap_or(MALFORMED_S));
        let mut brief = None;
        let wanted = match Contacts::of(message).ok_or(RegisterError::BadContact)? {
            Contacts::None => Wanted::Query,
            Contacts::Star if header == Some(0) => Wanted::RemoveAll,
            Contacts::Star => return Err(RegisterError::BadStar),
            Contacts::Some(all) if all.len() > limit::REGISTER_CONTACTS_MAX => {
                return Err(RegisterError::BadContact);
            }
            Contacts::Some(all) => {
                let mut contacts = SmallVec::new();
                for contact in all {
                    let contact = asked_contact(contact, header, terms)?;
                    let min_s = u32::try_from(terms.expires_min.as_secs()).unwrap_or(u32::MAX);
                    if (1..min_s).contains(&contact.expires_s) {
                        brief = Some(RegisterError::TooBrief { min_s });
                    }
                    contacts.push(contact);
                }
                Wanted::Contacts(contacts)
            }
        };
        Ok(Self { wanted, call_id: message.call_id(), cseq: message.cseq().number, brief })
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
    Ok(AskedContact {
        uri: contact.uri,
        expires_s: expires_s.min(max_s),
        q: contact.q(),
        instance: contact.param("+sip.instance").flatten(),
    })
}
