//! Who asks: an operator at the admin socket, somebody with a link, somebody over HTTP.

use super::{Actor, Peer};
use crate::account::KeyId;
use std::fmt;
use std::net::IpAddr;

/// Who changes something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Who {
    /// An operator at the admin socket.
    Peer(Peer),
    /// Whoever has a link that was mailed, from this address.
    Link(IpAddr),
    /// Somebody who has shown nothing, from this address.
    Anybody(IpAddr),
    /// Somebody over HTTP.
    Caller(Caller),
}

/// Somebody over HTTP who has shown who they are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// In what role, and whose extension is theirs.
    pub actor: Actor,
    /// By what they are known.
    pub via: Via,
    /// From where.
    pub from: IpAddr,
}

/// By what a caller is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Via {
    /// An access key.
    Key(KeyId),
    /// A session of the portal, by its id (which is no secret).
    Session(Box<str>),
    /// The phone menu, by the phone that called it: `station desk1`, `device 2`.
    Phone(Box<str>),
}

impl Caller {
    /// Whose requests theirs are, however they are known: an extension, or an operator's key.
    #[must_use]
    pub fn account(&self) -> String {
        match (self.actor.login(), &self.via) {
            (Some(login), _) => login.to_string(),
            (None, via) => via.to_string(),
        }
    }
}

/// As the audit has it: `key 0123456789abcdef0123`.
impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key {id}"),
            Self::Session(id) => write!(f, "session {id}"),
            Self::Phone(which) => write!(f, "phone {which}"),
        }
    }
}

/// As the audit has it: `200-acme by session 7 from 192.0.2.1`, `operator by key … from …`.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.actor.login() {
            Some(login) => write!(f, "{login}")?,
            None => f.write_str("operator")?,
        }
        write!(f, " by {} from {}", self.via, self.from)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => peer.fmt(f),
            Self::Link(source) => write!(f, "link {source}"),
            Self::Anybody(source) => write!(f, "anybody {source}"),
            Self::Caller(caller) => caller.fmt(f),
        }
    }
}

/// From where somebody asked, by what the audit has of them; nothing for the admin socket.
pub(super) fn source_of(told: &str) -> Option<IpAddr> {
    let open = told.strip_prefix("link ").or_else(|| told.strip_prefix("anybody "));
    open.or_else(|| told.rsplit_once(" from ").map(|(_, source)| source))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::LoginName;

    #[test]
    fn what_the_audit_is_told() {
        let from = [192, 0, 2, 1].into();
        let login = LoginName::parse("200-acme").unwrap();
        let key = Via::Key(KeyId::parse("0123456789abcdef0123").unwrap());
        let caller = |actor, via: &Via| Caller { actor, via: via.clone(), from };
        let session = Via::Session("7".into());
        for (who, told, account) in [
            (
                caller(Actor::Operator, &key),
                "operator by key 0123456789abcdef0123 from 192.0.2.1",
                "key 0123456789abcdef0123",
            ),
            (
                caller(Actor::User(login.clone()), &Via::Phone("station desk1".into())),
                "200-acme by phone station desk1 from 192.0.2.1",
                "200-acme",
            ),
            (caller(Actor::User(login), &session), "200-acme by session 7 from 192.0.2.1", "200-acme"),
        ] {
            assert_eq!(
                (Who::Caller(who.clone()).to_string().as_str(), who.account().as_str()),
                (told, account)
            );
            assert_eq!(source_of(told), Some(from));
        }
        let v6 = "2001:db8::1".parse().unwrap();
        for (who, source) in [
            (Who::Peer(Peer { uid: 0, pid: Some(1) }), None),
            (Who::Peer(Peer { uid: 0, pid: None }), None),
            (Who::Link(v6), Some(v6)),
            (Who::Anybody(from), Some(from)),
        ] {
            assert_eq!(source_of(&who.to_string()), source, "{who}");
        }
    }
}
