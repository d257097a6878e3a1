//! Header field names, long and compact (RFC 3261 §7.3.3, §20), found by one probe of a table
//! that is made at compile time.

macro_rules! names {
    ($($variant:ident $long:literal $compact:literal $single:literal,)*) => {
        /// A header field name. Names are case-insensitive; the compact form is the same name.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[repr(u8)]
        #[allow(missing_docs)] // they are the RFCs' words
        pub enum Name {
            $($variant,)*
            /// Any other token; its text is in the message.
            Other,
        }

        /// Long form, compact form (0 for none), whether it may stand only once in a message.
        const TABLE: &[(Name, &str, u8, bool)] = &[$((Name::$variant, $long, $compact, $single),)*];
    };
}

names! {
    Via "Via" b'v' false,
    From "From" b'f' true,
    To "To" b't' true,
    CallId "Call-ID" b'i' true,
    CSeq "CSeq" 0 true,
    MaxForwards "Max-Forwards" 0 true,
    Contact "Contact" b'm' false,
    ContentLength "Content-Length" b'l' true,
    ContentType "Content-Type" b'c' true,
    Expires "Expires" 0 true,
    Authorization "Authorization" 0 false,
    ProxyAuthorization "Proxy-Authorization" 0 false,
    WwwAuthenticate "WWW-Authenticate" 0 false,
    ProxyAuthenticate "Proxy-Authenticate" 0 false,
    AuthenticationInfo "Authentication-Info" 0 false,
    UserAgent "User-Agent" 0 false,
    Server "Server" 0 false,
    Allow "Allow" 0 false,
    AllowEvents "Allow-Events" b'u' false,
    Supported "Supported" b'k' false,
    Require "Require" 0 false,
    ProxyRequire "Proxy-Require" 0 false,
    Unsupported "Unsupported" 0 false,
    Accept "Accept" 0 false,
    AcceptEncoding "Accept-Encoding" 0 false,
    AcceptLanguage "Accept-Language" 0 false,
    Route "Route" 0 false,
    RecordRoute "Record-Route" 0 false,
    Path "Path" 0 false,
    ServiceRoute "Service-Route" 0 false,
    MinExpires "Min-Expires" 0 false,
    RetryAfter "Retry-After" 0 false,
    Warning "Warning" 0 false,
    Reason "Reason" 0 false,
    Date "Date" 0 false,
    Event "Event" b'o' false,
    SubscriptionState "Subscription-State" 0 false,
    SessionExpires "Session-Expires" b'x' false,
    MinSe "Min-SE" 0 false,
    RAck "RAck" 0 false,
    RSeq "RSeq" 0 false,
    Replaces "Replaces" 0 false,
    ReferTo "Refer-To" b'r' false,
    ReferredBy "Referred-By" b'b' false,
    PAssertedIdentity "P-Asserted-Identity" 0 false,
    PPreferredIdentity "P-Preferred-Identity" 0 false,
    Privacy "Privacy" 0 false,
    Identity "Identity" b'y' false,
    Subject "Subject" b's' false,
    Organization "Organization" 0 false,
    Priority "Priority" 0 false,
    AlertInfo "Alert-Info" 0 false,
    CallInfo "Call-Info" 0 false,
    InReplyTo "In-Reply-To" 0 false,
    ReplyTo "Reply-To" 0 false,
    ContentEncoding "Content-Encoding" b'e' false,
    ContentLanguage "Content-Language" 0 false,
    ContentDisposition "Content-Disposition" 0 false,
    MimeVersion "MIME-Version" 0 false,
    Timestamp "Timestamp" 0 false,
    ErrorInfo "Error-Info" 0 false,
    HistoryInfo "History-Info" 0 false,
    Diversion "Diversion" 0 false,
}

const NONE: u8 = u8::MAX;
const SLOTS: usize = 1024;
const INDEX: [u8; SLOTS] = index();

const fn slot(name: &[u8]) -> usize {
    let (first, last, middle) = (name[0] | 0x20, name[name.len() - 1] | 0x20, name[name.len() / 2] | 0x20);
    (name.len() * 231 + first as usize * 82 + last as usize * 8 + middle as usize * 6) % SLOTS
}

const fn index() -> [u8; SLOTS] {
    let mut slots = [NONE; SLOTS];
    let mut at = 0;
    while at < TABLE.len() {
        let slot = slot(TABLE[at].1.as_bytes());
        assert!(slots[slot] == NONE, "two header names share a slot: choose other factors");
        #[allow(clippy::cast_possible_truncation)]
        {
            slots[slot] = at as u8;
        }
        at += 1;
    }
    slots
}

impl Name {
    /// The name of this token, in long or compact form and any case.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        match token {
            [] => Self::Other,
            [letter] => {
                let letter = letter.to_ascii_lowercase();
                TABLE.iter().find(|row| row.2 == letter && letter != 0).map_or(Self::Other, |row| row.0)
            }
            _ => match TABLE.get(usize::from(INDEX[slot(token)])) {
                Some((name, long, ..)) if long.as_bytes().eq_ignore_ascii_case(token) => *name,
                _ => Self::Other,
            },
        }
    }

    /// The long form; empty for `Other`.
    #[must_use]
    pub fn long(self) -> &'static str {
        TABLE.get(self as usize).map_or("", |row| row.1)
    }

    /// Whether the field may stand only once in a message.
    #[must_use]
    pub fn is_single(self) -> bool {
        TABLE.get(self as usize).is_some_and(|row| row.3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_found_in_each_form() {
        for (name, long, compact, _) in TABLE {
            assert_eq!(Name::of(long.as_bytes()), *name);
            assert_eq!(Name::of(long.to_uppercase().as_bytes()), *name);
            assert_eq!(Name::of(long.to_lowercase().as_bytes()), *name);
            assert_eq!(name.long(), *long);
            if *compact != 0 {
                assert_eq!(Name::of(&[*compact]), *name);
                assert_eq!(Name::of(&[compact.to_ascii_uppercase()]), *name);
            }
        }
    }

    #[test]
    fn other_tokens_are_other() {
        for token in ["", "X-Foo", "Viaa", "q", "\0", "Vi", "Call_ID", "a"] {
            assert_eq!(Name::of(token.as_bytes()), Name::Other, "{token:?}");
        }
    }
}
