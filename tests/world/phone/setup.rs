//! What a phone is, and what its person does.

use super::index;
use stationmaster::base::rng::Rng;
use std::net::SocketAddr;
use std::time::Duration;

/// What a phone is.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// What it is called in traces.
    pub(crate) label: String,
    /// Login name and digest user.
    pub(crate) login: String,
    /// What it believes the password to be.
    pub(crate) password: String,
    /// Its address as others see it.
    pub(crate) public: SocketAddr,
    /// Its address as it writes it; another one behind a NAT.
    pub(crate) private: SocketAddr,
    /// `+sip.instance`, if it has one.
    pub(crate) instance: Option<String>,
    /// User-Agent.
    pub(crate) user_agent: String,
    /// Whether it speaks over a connection.
    pub(crate) tcp: bool,
    /// What it does with connections that are opened to it.
    pub(crate) door: Door,
    /// Whether its session descriptions are too long for a datagram.
    pub(crate) wordy: bool,
    /// Whether it knows SHA-256.
    pub(crate) sha256: bool,
    /// Whether it uses a nonce again.
    pub(crate) keeps_nonce: bool,
    /// Where it sends what is for no address.
    pub(crate) server: SocketAddr,
    /// The host of its address-of-record.
    pub(crate) domain: String,
    /// What it does in every call; drawn for each if `None`.
    pub(crate) manner: Option<Manner>,
}

/// What a phone does with a connection that is opened to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Door {
    /// It takes it and listens.
    Open,
    /// It refuses it.
    Shut,
    /// It does not answer.
    Silent,
    /// It takes it and ends it with the first word.
    Slammed,
    /// It takes it and does not listen.
    Deaf,
}

impl Door {
    /// Each.
    pub(crate) const ALL: [Self; 5] = [Self::Open, Self::Shut, Self::Silent, Self::Slammed, Self::Deaf];
}

impl Setup {
    /// The token of its Via.
    pub(super) fn transport(&self) -> &'static str {
        if self.tcp { "TCP" } else { "UDP" }
    }
}

/// What a phone's person does in a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Manner {
    /// As caller: gives up after so long.
    pub(crate) patience: Duration,
    /// As callee: answers after so long.
    pub(crate) ring: Duration,
    /// As callee: the provisional answer; 0 for none.
    pub(crate) early: u16,
    /// As callee: the final answer; 0 for none.
    pub(crate) code: u16,
    /// Hangs up after talking so long.
    pub(crate) talk: Duration,
    /// Holds after talking so long.
    pub(crate) hold: Option<Duration>,
    /// Presses a key after talking so long.
    pub(crate) press: Option<Duration>,
    /// As caller: leaves the offer to the other side.
    pub(crate) late_offer: bool,
}

impl Manner {
    /// What it is this time.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let secs = |rng: &mut Rng, least, most| {
            rng.between(Duration::from_millis(least), Duration::from_millis(most))
        };
        Self {
            patience: if rng.below(3) == 0 { secs(rng, 0, 6_000) } else { secs(rng, 20_000, 45_000) },
            ring: secs(rng, 0, 8_000),
            early: [180, 180, 180, 183, 0][index(rng, 5)],
            code: [200, 200, 200, 200, 200, 486, 603, 480, 0][index(rng, 9)],
            talk: secs(rng, 100, 40_000),
            hold: (rng.below(2) == 0).then(|| secs(rng, 100, 10_000)),
            press: (rng.below(4) == 0).then(|| secs(rng, 100, 10_000)),
            late_offer: rng.below(8) == 0,
        }
    }
}
