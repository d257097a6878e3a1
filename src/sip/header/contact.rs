//! What a REGISTER says of contacts (RFC 3261 §10.2), and what a contact says of itself.
//!
//! | parameter | of | source |
//! |---|---|---|
//! | `expires`, `q` | the header | RFC 3261 §20.10 |
//! | `reg-id`, `+sip.instance` | the header | RFC 5626 §11.1 |
//! | `pub-gruu`, `temp-gruu` | the header, in answers | RFC 5627 §8.2 |
//! | `ob`, `gr`, `pn-provider`, `pn-param`, `pn-prid`, `pn-purr` | the URI | [`Uri`](crate::sip::Uri) |
//! | `keep` | the Via | [`Via`](super::Via) |

use super::{Name, NameAddr};
use crate::sip::{Message, text};

/// What a REGISTER says of contacts (§10.2).
#[derive(Clone, Debug)]
pub enum Contacts<'a> {
    /// None: a query of the present bindings.
    None,
    /// `*`: remove.
    Star,
    /// One or more addresses.
    Some(smallvec::SmallVec<[NameAddr<'a>; 2]>),
}

impl<'a> Contacts<'a> {
    /// The Contact values of a request; `None` if one cannot be read, or if `*` stands beside
    /// others.
    #[must_use]
    pub fn of(message: &'a Message) -> Option<Self> {
        let mut all = smallvec::SmallVec::new();
        let mut star = false;
        for value in message.values(Name::Contact) {
            if value == b"*" {
                star = true;
            } else {
                all.push(NameAddr::parse(value)?);
            }
        }
        match (star, all.is_empty()) {
            (true, true) => Some(Self::Star),
            (true, false) => None,
            (false, true) => Some(Self::None),
            (false, false) => Some(Self::Some(all)),
        }
    }
}

/// The accessors of a contact.
impl<'a> NameAddr<'a> {
    /// `expires` in seconds; 3600 for one that cannot be read (RFC 3261 §20.10), `None` if it does
    /// not stand.
    #[must_use]
    pub fn expires_s(&self) -> Option<u32> {
        const MALFORMED_S: u32 = 3600;
        self.param("expires").flatten().map(|value| text::delta_seconds(value).unwrap_or(MALFORMED_S))
    }

    /// `q` in thousandths; 1000 if it does not stand or cannot be read.
    #[must_use]
    pub fn q(&self) -> u16 {
        self.param("q").flatten().and_then(text::thousandths).unwrap_or(1000)
    }

    /// `reg-id`: which of a device's flows this is, 1 to 2^31-1.
    #[must_use]
    pub fn reg_id(&self) -> Option<u32> {
        let number = text::decimal(self.param("reg-id").flatten()?)?;
        u32::try_from(number).ok().filter(|number| (1..1 << 31).contains(number))
    }

    /// `+sip.instance`: the URN of the device without quotes and angles.
    #[must_use]
    pub fn instance(&self) -> Option<&'a [u8]> {
        let urn = text::unquote(self.param("+sip.instance").flatten()?).trim_ascii();
        let urn = urn.strip_prefix(b"<").and_then(|urn| urn.strip_suffix(b">")).unwrap_or(urn).trim_ascii();
        (!urn.is_empty()).then_some(urn)
    }

    /// `pub-gruu`: the lasting URI of this device, without quotes.
    #[must_use]
    pub fn pub_gruu(&self) -> Option<&'a [u8]> {
        self.param("pub-gruu").flatten().map(text::unquote)
    }

    /// `temp-gruu`: a URI of this device that does not tell its AOR, without quotes.
    #[must_use]
    pub fn temp_gruu(&self) -> Option<&'a [u8]> {
        self.param("temp-gruu").flatten().map(text::unquote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contacts(fields: &str) -> Message {
        Message::parse(format!("REGISTER sip:a SIP/2.0\r\n{fields}\r\n").into()).unwrap()
    }

    #[test]
    fn what_a_register_says() {
        let count = |fields: &str| {
            let message = contacts(fields);
            Contacts::of(&message).map(|contacts| match contacts {
                Contacts::None => "none".to_owned(),
                Contacts::Star => "star".to_owned(),
                Contacts::Some(all) => all.len().to_string(),
            })
        };
        for (fields, found) in [
            ("", Some("none")),
            ("Contact:\r\n", Some("none")),
            ("m: *\r\n", Some("star")),
            ("Contact: <sip:a@b>, sip:c@d;q=1\r\nm: \"x, y\" <sip:e,f@g>\r\n", Some("3")),
            ("Contact: *\r\nContact: <sip:a@b>\r\n", None),
            ("Contact: *, <sip:a@b>\r\n", None),
            ("Contact: <sip:a@b>, <sip:c@d\r\n", None),
        ] {
            assert_eq!(count(fields).as_deref(), found, "{fields}");
        }
    }

    #[test]
    fn the_parameters_of_a_contact() {
        let read = |params: &str| {
            let text = format!("<sip:a@b>{params}");
            let contact = NameAddr::parse(text.as_bytes()).unwrap();
            let own = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
            let gruus = (own(contact.pub_gruu()), own(contact.temp_gruu()));
            (contact.expires_s(), contact.q(), contact.reg_id(), own(contact.instance()), gruus)
        };
        let none = (None, 1000, None, None, (None, None));
        let urn = "urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF";
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read(""), none);
        assert_eq!(read(";EXPIRES=60; Q = 0.5 ;Reg-ID=1"), (Some(60), 500, Some(1), None, (None, None)));
        assert_eq!(read(";expires=x;q=2;reg-id=0"), (Some(3600), 1000, None, None, (None, None)));
        assert_eq!(
            read(";expires=4294967296;q=0.1234;reg-id=2147483648"),
            (Some(u32::MAX), 1000, None, None, (None, None))
        );
        assert_eq!(read(";expires;q;reg-id"), none);
        assert_eq!(read(&format!(";+sip.instance=\"<{urn}>\";reg-id=2147483647")).3, some(urn));
        assert_eq!(read(&format!(";+SIP.Instance=\"{urn}\"")).3, some(urn));
        assert_eq!(read(";+sip.instance=\"<>\"").3, None);
        let gruus = ";pub-gruu=\"sip:a@b;gr=urn:x\";temp-gruu=\"sip:tgruu.7hs==@b;gr\"";
        assert_eq!(read(gruus).4, (some("sip:a@b;gr=urn:x"), some("sip:tgruu.7hs==@b;gr")));
    }

    proptest! {
        /// Value → text → value.
        #[test]
        fn round_trip(expires: u32, q in 0u16..=1000, reg_id in 1u32..1 << 31, urn in "urn:[a-z0-9:-]{1,30}") {
            let text = format!("<sip:a@b>;+sip.instance=\"<{urn}>\";q={}.{:03};reg-id={reg_id};expires={expires}", q / 1000, q % 1000);
            let contact = NameAddr::parse(text.as_bytes()).unwrap();
            prop_assert_eq!((contact.expires_s(), contact.q(), contact.reg_id()), (Some(expires), q, Some(reg_id)));
            prop_assert_eq!(contact.instance(), Some(urn.as_bytes()));
        }
    }
}
