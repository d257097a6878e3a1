//! What a shard and those who serve its calls to the phone menu say to each other: where sound is sent and
//! heard, and who knows about PINs and stations. Both are slow, so they answer later.

use crate::account::{LoginName, TenantCode};
use crate::base::flow::ShardId;
use crate::base::language::Language;
use crate::call::CallRef;
use crate::licence::DeviceId;
use crate::menu::{Codes, Request, Says, Told};
use crate::rtp::Digit;
use crate::sdp::Audio;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What a shard must know of the phone menu.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MenuSettings {
    /// What is dialled.
    pub codes: Codes,
    /// Where phones are told to send their sound, if not to the address of the listener that heard them.
    pub advertise: Option<IpAddr>,
}

/// A call that the menu answers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Line {
    /// Whose call it is.
    pub shard: ShardId,
    /// Which.
    pub call: CallRef,
}

/// What is wanted of the sound of a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Order {
    /// A port; answered with [`Heard::Opened`] or [`Heard::Full`].
    Open {
        /// The address to hear at.
        bind: IpAddr,
        /// The address that phones are told.
        told: IpAddr,
        /// Where the signalling comes from.
        peer: IpAddr,
    },
    /// Sound goes so from now on.
    Agree(Audio),
    /// Play this; answered with [`Heard::Played`], unless something else is played or nothing any more.
    Play {
        /// The number to be told with its end.
        number: u32,
        /// What is said.
        says: Says,
        /// In which language, if its tenant has one.
        language: Option<Language>,
    },
    /// Play nothing any more.
    Hush,
    /// The line is not needed any more.
    Close,
}

/// What is heard on a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Heard {
    /// Phones reach it here.
    Opened(SocketAddr),
    /// There is no room for it.
    Full,
    /// A key was pressed.
    Key(Digit),
    /// What has this number was played to its end.
    Played(u32),
}

/// Who calls the menu.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Visitor {
    /// The tenant of the phone.
    pub tenant: TenantCode,
    /// Whose menu it is: the caller's, the agent's at the station, or who has shown a PIN.
    pub person: Option<LoginName>,
    /// The station, if it is one that calls.
    pub station: Option<LoginName>,
    /// The phone, as a device of the extension or the station.
    pub device: DeviceId,
    /// Its address.
    pub from: IpAddr,
    /// What it calls itself.
    pub agent: Arc<str>,
}

/// Something that the menu asks of those who know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Enquiry {
    /// Whom to answer.
    pub line: Line,
    /// The how-many-eth of the line.
    pub number: u32,
    /// Who asks.
    pub visitor: Visitor,
    /// What.
    pub request: Request,
}

/// What comes of an [`Enquiry`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// Who asked.
    pub line: Line,
    /// The how-many-eth of the line it answers.
    pub number: u32,
    /// What is answered.
    pub told: Told,
    /// Whose PIN was right, if that was asked.
    pub person: Option<LoginName>,
}
