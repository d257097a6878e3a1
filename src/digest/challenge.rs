//! Challenges: which algorithms are offered, and how they are written (RFC 3261 §22, RFC 8760).
//!
//! Tried with real phones: JsSIP and SIP.js read only the first challenge and know only MD5;
//! baresip fails as soon as SHA-256 is offered at all, even second. So by itself the server offers
//! MD5 alone, unless the phone is known to speak SHA-256.

use super::hash::Algorithm;
use super::nonce::NonceText;
use crate::sip::{Name, Writer};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// As what we ask for credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// A registrar or user agent: 401, WWW-Authenticate, Authorization.
    Server,
    /// A proxy, as which callers see us: 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

impl Role {
    /// The status code of a challenge.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Server => 401,
            Self::Proxy => 407,
        }
    }

    /// The field of a challenge.
    #[must_use]
    pub const fn challenge(self) -> Name {
        match self {
            Self::Server => Name::WwwAuthenticate,
            Self::Proxy => Name::ProxyAuthenticate,
        }
    }

    /// The field of the credentials that answer it.
    #[must_use]
    pub const fn credentials(self) -> Name {
        match self {
            Self::Server => Name::Authorization,
            Self::Proxy => Name::ProxyAuthorization,
        }
    }
}

/// Whether the challenge says that only the nonce was at fault, so that the phone tries again
/// without asking its user (RFC 7616 §3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stale {
    /// A first challenge, or the response was wrong.
    No,
    /// The nonce was not live; the response was not looked at.
    Yes,
}

/// `[auth] algorithms`: which are offered, and in which order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Algorithms {
    /// MD5 alone, but SHA-256 and then MD5 to phones known to speak it.
    #[default]
    Auto,
    /// These to every phone, in this order.
    List(AlgorithmList),
}

/// What is known of the SHA-256 of whoever is challenged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sha256 {
    /// Nothing.
    Unknown,
    /// Its device has used it before.
    Used,
    /// Its tenant takes nothing else.
    Demanded,
}

/// One or two different algorithms.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AlgorithmList(&'static [Algorithm]);

const MD5: &[Algorithm] = &[Algorithm::Md5];
const SHA256: &[Algorithm] = &[Algorithm::Sha256];
const MD5_FIRST: &[Algorithm] = &[Algorithm::Md5, Algorithm::Sha256];
const SHA256_FIRST: &[Algorithm] = &[Algorithm::Sha256, Algorithm::Md5];

impl AlgorithmList {
    /// The list of these; `None` if it is empty or names one twice.
    #[must_use]
    pub fn of(algorithms: &[Algorithm]) -> Option<Self> {
        [MD5, SHA256, MD5_FIRST, SHA256_FIRST].into_iter().find(|list| *list == algorithms).map(Self)
    }
}

impl Algorithms {
    /// What is offered to a phone with this User-Agent. Where SHA-256 is demanded, MD5 is not beside it.
    #[must_use]
    pub fn offer(&self, user_agent: Option<&[u8]>, sha256: Sha256) -> &'static [Algorithm] {
        match self {
            Self::List(list) if sha256 == Sha256::Demanded && list.0.contains(&Algorithm::Sha256) => SHA256,
            Self::List(list) => list.0,
            Self::Auto if sha256 == Sha256::Demanded => SHA256,
            Self::Auto if sha256 == Sha256::Used || user_agent.is_some_and(speaks_sha256) => SHA256_FIRST,
            Self::Auto => MD5,
        }
    }

    /// Whether a response by this algorithm is looked at, from a device that has or has not used
    /// SHA-256 before. Whoever used it is not taken back to MD5, unless an explicit list has MD5
    /// alone.
    #[must_use]
    pub fn accepts(&self, algorithm: Algorithm, used_sha256: bool) -> bool {
        let listed = match self {
            Self::Auto => SHA256_FIRST,
            Self::List(list) => list.0,
        };
        let downgrade = used_sha256 && algorithm == Algorithm::Md5 && listed.contains(&Algorithm::Sha256);
        listed.contains(&algorithm) && !downgrade
    }
}

/// Products whose User-Agent begins so, in lower case, and that speak SHA-256 since this version.
/// Older ones give up when they see an algorithm that they do not know.
const SPEAKERS: &[(&[u8], (u32, u32))] =
    &[(b"linphone", (4, 3)), (b"microsip", (3, 21)), (b"pjsip", (2, 12)), (b"pjsua", (2, 12))];

fn speaks_sha256(user_agent: &[u8]) -> bool {
    SPEAKERS.iter().any(|(product, since)| {
        user_agent.get(..product.len()).is_some_and(|name| name.eq_ignore_ascii_case(product))
            && version(user_agent).is_none_or(|version| version >= *since)
    })
}

/// The first two numbers after the product's name: `PJSUA v2.15.1`, `LinphoneAndroid/4.6.3 (x)`.
fn version(user_agent: &[u8]) -> Option<(u32, u32)> {
    let name_end = user_agent.iter().position(|byte| matches!(byte, b'/' | b' '))?;
    let rest = user_agent.get(name_end..)?;
    let start = rest.iter().position(u8::is_ascii_digit)?;
    let mut numbers = rest.get(start..)?.split(|byte| !byte.is_ascii_digit()).map(|digits| {
        digits
            .iter()
            .fold(0u32, |number, digit| number.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
    });
    Some((numbers.next()?, numbers.next().unwrap_or(0)))
}

/// Writes one challenge field per algorithm, in order, all with the same nonce.
pub fn write(
    writer: &mut Writer<'_>,
    role: Role,
    realm: &str,
    nonce: &NonceText,
    algorithms: &[Algorithm],
    stale: Stale,
) {
    for algorithm in algorithms {
        writer.begin(role.challenge()).text("Digest realm=\"");
        quoted(writer, realm);
        writer.text("\", nonce=\"").bytes(nonce.as_bytes());
        writer.text("\", algorithm=").text(algorithm.token()).text(", qop=\"auth\"");
        if stale == Stale::Yes {
            writer.text(", stale=true");
        }
        writer.end();
    }
}

fn quoted(writer: &mut Writer<'_>, text: &str) {
    for piece in text.split_inclusive(['"', '\\']) {
        match piece.strip_suffix(['"', '\\']) {
            Some(plain) => {
                writer.text(plain).text("\\").text(&piece[plain.len()..]);
            }
            None => {
                writer.text(piece);
            }
        }
    }
}

const EXPECTED: &str = "\"auto\", or a list of \"MD5\" and \"SHA-256\", each at most once";

impl<'de> Deserialize<'de> for Algorithms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Word(String),
            List(Vec<Algorithm>),
        }
        let list = match Raw::deserialize(deserializer) {
            Ok(Raw::Word(word)) if word == "auto" => return Ok(Self::Auto),
            Ok(Raw::List(list)) => AlgorithmList::of(&list),
            Ok(Raw::Word(_)) | Err(_) => None,
        };
        list.map(Self::List).ok_or_else(|| D::Error::custom(format_args!("expected {EXPECTED}")))
    }
}

impl Serialize for Algorithms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::List(list) => list.0.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::flow::{Flow, ShardId};
    use crate::base::rng::Rng;
    use crate::base::time::Mono;
    use crate::digest::Nonces;
    use bytes::BytesMut;

    #[test]
    fn what_is_offered() {
        let list = |list: &[Algorithm]| Algorithms::List(AlgorithmList::of(list).unwrap());
        #[rustfmt::skip]
        let rows = [
            (Algorithms::Auto, Some("baresip v1.0.0 (x86_64/linux)"),          false, MD5),
            (Algorithms::Auto, Some("JsSIP 3.13.8"),                           false, MD5),
            (Algorithms::Auto, Some("sipsak 0.9.8.1"),                         false, MD5),
            (Algorithms::Auto, Some("Yealink SIP-T46S 66.86.0.15"),            false, MD5),
            (Algorithms::Auto, Some("Unknown"),                                false, MD5),
            (Algorithms::Auto, Some("Asterisk PBX (like PJSIP)"),              false, MD5),
            (Algorithms::Auto, Some(""),                                       false, MD5),
            (Algorithms::Auto, None,                                           false, MD5),
            (Algorithms::Auto, None,                                           true,  SHA256_FIRST),
            (Algorithms::Auto, Some("Linphone"),                               false, SHA256_FIRST),
            (Algorithms::Auto, Some("Linphonec/5.1.65 (belle-sip/5.1.64)"),    false, SHA256_FIRST),
            (Algorithms::Auto, Some("LinphoneAndroid/4.6.3 (x) SDK/5.1"),      false, SHA256_FIRST),
            (Algorithms::Auto, Some("Linphone Desktop/4.2.5"),                 false, MD5),
            (Algorithms::Auto, Some("Linphone/3.6.1 (eXosip2/4.1.0)"),         false, MD5),
            (Algorithms::Auto, Some("PJSUA v2.15.1 Linux-6.1/x86_64"),         false, SHA256_FIRST),
            (Algorithms::Auto, Some("PJSUA v2.9 Linux-6.1/x86_64"),            false, MD5),
            (Algorithms::Auto, Some("pjsua2-test/2.15.1"),                     false, SHA256_FIRST),
            (Algorithms::Auto, Some("MicroSIP/3.21.3"),                        false, SHA256_FIRST),
            (Algorithms::Auto, Some("MicroSIP/3.19.30"),                       false, MD5),
            (list(MD5),        Some("Linphone"),                               true,  MD5),
            (list(SHA256),     Some("baresip"),                                false, SHA256),
            (list(MD5_FIRST),  None,                                           false, MD5_FIRST),
        ];
        for (algorithms, agent, used, offer) in rows {
            let known = if used { Sha256::Used } else { Sha256::Unknown };
            assert_eq!(algorithms.offer(agent.map(str::as_bytes), known), offer, "{agent:?}");
            let demanded = algorithms.offer(agent.map(str::as_bytes), Sha256::Demanded);
            assert_eq!(demanded, if algorithms == list(MD5) { MD5 } else { SHA256 }, "{agent:?}");
        }
        #[rustfmt::skip]
        let rows = [
            (Algorithms::Auto, Algorithm::Md5,    false, true),
            (Algorithms::Auto, Algorithm::Md5,    true,  false),
            (Algorithms::Auto, Algorithm::Sha256, false, true),
            (Algorithms::Auto, Algorithm::Sha256, true,  true),
            (list(MD5),        Algorithm::Md5,    true,  true),
            (list(MD5),        Algorithm::Sha256, false, false),
            (list(SHA256),     Algorithm::Md5,    false, false),
            (list(MD5_FIRST),  Algorithm::Md5,    false, true),
            (list(MD5_FIRST),  Algorithm::Md5,    true,  false),
        ];
        for (algorithms, algorithm, used, accepted) in rows {
            assert_eq!(algorithms.accepts(algorithm, used), accepted, "{algorithms:?} {algorithm:?} {used}");
        }
    }

    #[test]
    fn how_it_is_written() {
        let nonces = Nonces::new(1, 1, "x", &mut Rng::from_number(1));
        let flow = Flow::udp(0, "192.0.2.1:5060".parse().unwrap());
        let nonce = nonces.mint(ShardId(0), Mono::default(), &flow);
        let mut out = BytesMut::new();
        let mut writer = Writer::response(&mut out, 407, None);
        write(&mut writer, Role::Server, "example.test", &nonce, SHA256_FIRST, Stale::No);
        write(&mut writer, Role::Proxy, r#"a"\b"#, &nonce, MD5, Stale::Yes);
        let text = String::from_utf8(writer.finish().to_vec()).unwrap().replace(&format!("{nonce:?}"), "N");
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(
            lines[1..4],
            [
                r#"WWW-Authenticate: Digest realm="example.test", nonce="N", algorithm=SHA-256, qop="auth""#,
                r#"WWW-Authenticate: Digest realm="example.test", nonce="N", algorithm=MD5, qop="auth""#,
                r#"Proxy-Authenticate: Digest realm="a\"\\b", nonce="N", algorithm=MD5, qop="auth", stale=true"#,
            ]
        );
    }

    #[test]
    fn how_it_is_configured() {
        for text in
            [r#""auto""#, r#"["MD5"]"#, r#"["SHA-256"]"#, r#"["MD5","SHA-256"]"#, r#"["SHA-256","MD5"]"#]
        {
            let read: Algorithms = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        for text in [r#""MD5""#, "[]", r#"["MD5","MD5"]"#, r#"["SHA-512"]"#, "1"] {
            let error = serde_json::from_str::<Algorithms>(text).unwrap_err().to_string();
            assert!(error.contains(EXPECTED), "{text}: {error}");
        }
    }
}
