//! The table of header fields: long and compact name (RFC 3261 §7.3.3), how often a field may
//! stand, and as what its values are read. Names are found by one probe of an index that is made
//! at compile time.

use super::View;
use crate::sip::near;

/// How many values a header field may have, and how they stand.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stands {
    /// One value; a second field makes the message faulty, since two readers could take different
    /// ones.
    Once,
    /// One value; of several fields the first counts.
    First,
    /// Any number of values, between commas or in fields of their own (RFC 3261 §7.3.1).
    List,
    /// Any number of fields of one value each, whose commas belong to it.
    Lines,
}

struct Row {
    name: Name,
    long: &'static str,
    /// 0 if there is none.
    compact: u8,
    stands: Stands,
    view: View,
}

macro_rules! names {
    ($($variant:ident $long:literal $compact:literal $stands:ident $view:ident,)*) => {
        /// A header field name. Names are case-insensitive; the compact form is the same name.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[repr(u8)]
        #[allow(missing_docs)] // they are the RFCs' words
        pub enum Name {
            $($variant,)*
            /// Any other token; its text is in the message.
            Other,
        }

        const TABLE: &[Row] = &[$(Row {
            name: Name::$variant,
            long: $long,
            compact: $compact,
            stands: Stands::$stands,
            view: View::$view,
        },)*];
    };
}

names! {
    // name            long form                compact stands read as
    // What requests are decided by comes first.
    Via                "Via"                    b'v'    List   Via,
    From               "From"                   b'f'    Once   Address,
    To                 "To"                     b't'    Once   Address,
    CallId             "Call-ID"                b'i'    Once   Word,
    CSeq               "CSeq"                   0       Once   CSeq,
    MaxForwards        "Max-Forwards"           0       Once   Number,
    Contact            "Contact"                b'm'    List   Contact,
    ContentLength      "Content-Length"         b'l'    Once   Number,
    Expires            "Expires"                0       Once   Number,
    Route              "Route"                  0       List   Address,
    Authorization      "Authorization"          0       Lines  Auth,
    ProxyAuthorization "Proxy-Authorization"    0       Lines  Auth,
    Require            "Require"                0       List   Token,
    UserAgent          "User-Agent"             0       First  Text,
    // The rest of RFC 3261 §20.
    Accept             "Accept"                 0       List   Media,
    AcceptEncoding     "Accept-Encoding"        0       List   Choice,
    AcceptLanguage     "Accept-Language"        0       List   Choice,
    AlertInfo          "Alert-Info"             0       List   Address,
    Allow              "Allow"                  0       List   Token,
    AuthenticationInfo "Authentication-Info"    0       List   Pair,
    CallInfo           "Call-Info"              0       List   Address,
    ContentDisposition "Content-Disposition"    0       First  Choice,
    ContentEncoding    "Content-Encoding"       b'e'    List   Token,
    ContentLanguage    "Content-Language"       0       List   Token,
    ContentType        "Content-Type"           b'c'    Once   Media,
    Date               "Date"                   0       First  Date,
    ErrorInfo          "Error-Info"             0       List   Address,
    InReplyTo          "In-Reply-To"            0       List   Word,
    MimeVersion        "MIME-Version"           0       First  Text,
    MinExpires         "Min-Expires"            0       First  Number,
    Organization       "Organization"           0       First  Text,
    Priority           "Priority"               0       First  Token,
    ProxyAuthenticate  "Proxy-Authenticate"     0       Lines  Auth,
    ProxyRequire       "Proxy-Require"          0       List   Token,
    RecordRoute        "Record-Route"           0       List   Address,
    ReplyTo            "Reply-To"               0       First  Address,
    RetryAfter         "Retry-After"            0       First  Seconds,
    Server             "Server"                 0       First  Text,
    Subject            "Subject"                b's'    First  Text,
    Supported          "Supported"              b'k'    List   Token,
    Timestamp          "Timestamp"              0       First  Timestamp,
    Unsupported        "Unsupported"            0       List   Token,
    Warning            "Warning"                0       List   Warning,
    WwwAuthenticate    "WWW-Authenticate"       0       Lines  Auth,
    // Registration: RFC 3327, RFC 3608, RFC 5626.
    Path               "Path"                   0       List   Address,
    ServiceRoute       "Service-Route"          0       List   Address,
    FlowTimer          "Flow-Timer"             0       First  Number,
    // Session timers: RFC 4028.
    MinSe              "Min-SE"                 0       First  Seconds,
    SessionExpires     "Session-Expires"        b'x'    First  Seconds,
    // Reliable provisional responses: RFC 3262.
    RAck               "RAck"                   0       First  RAck,
    RSeq               "RSeq"                   0       First  Number,
    // Transfer: RFC 3515, RFC 3892, RFC 3891.
    ReferTo            "Refer-To"               b'r'    Once   Address,
    ReferredBy         "Referred-By"            b'b'    First  Address,
    Replaces           "Replaces"               0       Once   Replaces,
    // Events: RFC 6665.
    AllowEvents        "Allow-Events"           b'u'    List   Token,
    Event              "Event"                  b'o'    First  Event,
    SubscriptionState  "Subscription-State"     0       First  SubscriptionState,
    // Trunks: RFC 8224, RFC 3325, RFC 3323, RFC 3326, RFC 5393.
    Identity           "Identity"               b'y'    Lines  Text,
    PAssertedIdentity  "P-Asserted-Identity"    0       List   Address,
    PPreferredIdentity "P-Preferred-Identity"   0       List   Address,
    Privacy            "Privacy"                0       First  Privacy,
    Reason             "Reason"                 0       List   Reason,
    MaxBreadth         "Max-Breadth"            0       First  Number,
    // Diversion: RFC 5806, RFC 7044.
    Diversion          "Diversion"              0       List   Address,
    HistoryInfo        "History-Info"           0       List   Address,
}

static INDEX: [Name; 256] = index();
static KEYS: Keys = Keys(keys());
static COMPACT: [Name; 26] = compact();

/// A factor that gives each name a slot of its own, found by trying some thousand random ones.
const FACTOR: u64 = 0xc709_ca4d_66af_1ca7;

/// What a name is looked up by: its bytes in words, letters small, with zeros behind them and its
/// length as the last of all.
#[derive(Clone, Copy)]
struct Key([u64; 3]);

/// The keys of the table's names, from the beginning of a line of the cache on.
#[repr(align(64))]
struct Keys([Key; TABLE.len()]);

impl Key {
    /// The key of a token; `None` if it has too many bytes.
    const fn of(token: &[u8]) -> Option<Self> {
        let (mut words, mut at) = ([0; 3], 0);
        if token.len() >= size_of_val(&words) {
            return None;
        }
        while at < token.len() {
            words[at / 8] |= (token[at] as u64) << (at % 8 * 8);
            at += 1;
        }
        Some(Self::new(words, token.len()))
    }

    /// The key of what stands before the colon of a line, and where the colon stands; `None` if that is
    /// not in the first whole words.
    fn before_colon(line: &[u8]) -> Option<(Self, usize)> {
        let word = |at| line.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word));
        let before_colon = |word| near::place(word, b':').map(|len| (word & !(u64::MAX << (len * 8)), len));
        let first = word(0)?;
        if let Some((first, len)) = before_colon(first) {
            return Some((Self::new([first, 0, 0], len), len));
        }
        let second = word(8)?;
        if let Some((second, len)) = before_colon(second) {
            return Some((Self::new([first, second, 0], 8 + len), 8 + len));
        }
        let (third, len) = before_colon(word(16)?)?;
        Some((Self::new([first, second, third], 16 + len), 16 + len))
    }

    /// Small letters have the bit that tells the case of a letter. It is set only where the bit of all
    /// letters is, so that no other byte becomes a letter or `-`.
    const fn new(words: [u64; 3], len: usize) -> Self {
        const fn small(word: u64) -> u64 {
            word | (word & 0x4040_4040_4040_4040) >> 1
        }
        let [first, second, third] = words;
        Self([small(first), small(second), small(third) | (len as u64) << 56])
    }

    /// Where [`INDEX`] has it. The first words are enough to tell all names apart.
    const fn slot(self) -> usize {
        let [first, second, _] = self.0;
        (first.wrapping_add(second.rotate_left(9)).wrapping_mul(FACTOR) >> 56) as usize
    }

    /// The name of this key.
    fn name(self) -> Name {
        let [first, .., third] = self.0;
        if third == 1 << 56 {
            let place = first.wrapping_sub(b'a'.into());
            return COMPACT.get(place as usize).copied().unwrap_or(Name::Other);
        }
        let name = INDEX[self.slot()];
        let is = |key: &Self| {
            let differs = |at: usize| key.0[at] ^ self.0[at];
            differs(0) | differs(1) | differs(2) == 0
        };
        if KEYS.0.get(name as usize).is_some_and(is) { name } else { Name::Other }
    }
}

const fn keys() -> [Key; TABLE.len()] {
    let mut keys = [Key([0; 3]); TABLE.len()];
    let mut at = 0;
    while at < TABLE.len() {
        let long = TABLE[at].long.as_bytes();
        assert!(long.len() > 1, "a long form looks like a compact one");
        keys[at] = match Key::of(long) {
            Some(key) => key,
            None => panic!("a header name is longer than a key"),
        };
        at += 1;
    }
    keys
}

const fn index() -> [Name; 256] {
    let (keys, mut slots) = (keys(), [Name::Other; 256]);
    let mut at = 0;
    while at < TABLE.len() {
        let slot = keys[at].slot();
        assert!(matches!(slots[slot], Name::Other), "two header names share a slot: choose another factor");
        slots[slot] = TABLE[at].name;
        at += 1;
    }
    slots
}

const fn compact() -> [Name; 26] {
    let mut letters = [Name::Other; 26];
    let mut at = 0;
    while at < TABLE.len() {
        let letter = TABLE[at].compact;
        if letter != 0 {
            let place = (letter - b'a') as usize;
            assert!(matches!(letters[place], Name::Other), "two header names share a compact form");
            letters[place] = TABLE[at].name;
        }
        at += 1;
    }
    letters
}

impl Name {
    /// How many names the table has.
    pub const COUNT: usize = TABLE.len();

    /// Every name of the table, in its order.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.name)
    }

    /// The name of this token, in long or compact form and any case.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Key::of(token).map_or(Self::Other, Key::name)
    }

    /// The name of all that stands before the colon of a line, and where the colon stands; `None` if
    /// there is none.
    pub(in crate::sip) fn before_colon(line: &[u8]) -> Option<(Self, usize)> {
        if let Some((key, colon)) = Key::before_colon(line) {
            return Some((key.name(), colon));
        }
        let colon = near::find(line, b':')?;
        line.get(..colon).map(|token| (Self::of(token), colon))
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.get(self as usize)
    }

    /// The long form; empty for `Other`.
    #[must_use]
    pub fn long(self) -> &'static str {
        self.row().map_or("", |row| row.long)
    }

    /// The compact form, a small letter.
    #[must_use]
    pub fn compact(self) -> Option<char> {
        self.row().map(|row| char::from(row.compact)).filter(char::is_ascii_lowercase)
    }

    /// How often it may stand; `Lines` for `Other`, of whose commas nothing is known.
    #[must_use]
    pub fn stands(self) -> Stands {
        self.row().map_or(Stands::Lines, |row| row.stands)
    }

    /// As what each of its values is read; `Text` for `Other`.
    #[must_use]
    pub fn view(self) -> View {
        self.row().map_or(View::Text, |row| row.view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_name_is_found_in_each_form() {
        for (place, row) in TABLE.iter().enumerate() {
            let (name, long) = (row.name, row.long);
            assert_eq!((name as usize, name.long()), (place, long));
            for token in [long.to_owned(), long.to_uppercase(), long.to_lowercase()] {
                assert_eq!(Name::of(token.as_bytes()), name, "{token}");
            }
            if let Some(letter) = name.compact() {
                assert_eq!(Name::of(&[letter as u8]), name);
                assert_eq!(Name::of(&[letter.to_ascii_uppercase() as u8]), name);
            }
        }
        assert_eq!(Name::all().count(), Name::COUNT);
    }

    /// RFC 3261 §7.3.3 and the RFCs of the others.
    #[test]
    fn the_compact_forms() {
        let known = "bReferred-By cContent-Type eContent-Encoding fFrom iCall-ID kSupported lContent-Length \
                     mContact oEvent rRefer-To sSubject tTo uAllow-Events vVia xSession-Expires yIdentity";
        let found: Vec<String> = ('a'..='z')
            .filter_map(|letter| Name::all().find(|name| name.compact() == Some(letter)))
            .map(|name| format!("{}{}", name.compact().unwrap(), name.long()))
            .collect();
        assert_eq!(found, known.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn other_tokens_are_other() {
        for token in [
            "",
            "X-Foo",
            "Viaa",
            "q",
            "\0",
            "Vi",
            "Call_ID",
            "a",
            "{",
            "Call\rID",
            "Max\rForwards",
            "CallaID",
            "P-Asserted-Identitz",
            "P-Assertee-Identity",
            "Proxy-Buthorization",
        ] {
            assert_eq!(Name::of(token.as_bytes()), Name::Other, "{token:?}");
        }
        assert_eq!((Name::Other.long(), Name::Other.compact()), ("", None));
        assert_eq!((Name::Other.stands(), Name::Other.view()), (Stands::Lines, View::Text));
    }

    proptest! {
        /// A token is the name that it equals but for the case of its letters, and no other.
        #[test]
        fn no_other_bytes_are_a_name(row in 0..TABLE.len(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut token = TABLE[row].long.as_bytes().to_vec();
            let at = at.index(token.len());
            token[at] = byte;
            let expected = TABLE.iter().find(|row| row.long.as_bytes().eq_ignore_ascii_case(&token));
            prop_assert_eq!(Name::of(&token), expected.map_or(Name::Other, |row| row.name));
        }

        /// What stands before a colon is the name that it is by itself, however short or long the line.
        #[test]
        fn a_name_before_a_colon(row in 0..TABLE.len(), cut in 0..25usize, more in "[a-z-]{0,9}", behind in ".{0,9}") {
            let (long, compact) = (TABLE[row].long, TABLE[row].name.compact().map(String::from));
            for token in [long, &long[..cut.min(long.len())], &format!("{long}{more}"), &compact.unwrap_or_default()] {
                let found = Name::before_colon(format!("{token}:{behind}").as_bytes());
                prop_assert_eq!(found, Some((Name::of(token.as_bytes()), token.len())), "{}", token);
            }
            prop_assert_eq!(Name::before_colon(more.as_bytes()), None);
        }
    }
}
