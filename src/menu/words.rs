//! The words that the menu and those around it exchange.

use super::{Prompt, Service};
use crate::base::private::Secret;
use crate::rtp::Digit;
use smallvec::SmallVec;

/// What is said, in this order.
pub type Says = SmallVec<[Prompt; 4]>;

/// From where somebody calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum At {
    /// A phone of an extension's own.
    Phone,
    /// A station.
    Station,
}

/// Whose menu it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Whose {
    /// The caller's: a PIN is asked for if there is one.
    Own,
    /// That of the agent who is logged in at the station: the PIN is asked for.
    Agents,
    /// Whoever says so.
    Asked,
    /// Of the extension with this number, which was dialled.
    Dialled(Secret<String>),
}

/// What a call is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// What was dialled.
    pub service: Service,
    /// From where.
    pub at: At,
    /// Whose menu it is.
    pub whose: Whose,
    /// The station that was dialled, spelled on the keys.
    pub station: Option<Secret<String>>,
}

/// What happens.
#[derive(Debug)]
pub enum Input {
    /// The call stands.
    Begin,
    /// A key was pressed.
    Key(Digit),
    /// What was said last has been played.
    Played,
    /// What was asked is answered.
    Told(Told),
    /// A time may have come.
    Due,
}

/// What is asked of those who know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Whether the caller has a PIN.
    Standing,
    /// Whether this is the PIN of the extension with this number, or of the caller.
    CheckPin {
        /// Its number as it was pressed.
        extension: Option<Secret<String>>,
        /// The PIN.
        pin: Secret<String>,
    },
    /// Set this PIN, which is strong enough.
    SetPin(Secret<String>),
    /// Log in to the station that is spelled so, or to the one that calls.
    LogIn(Option<Secret<String>>),
    /// Log out.
    LogOut,
}

/// What is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// There is a PIN.
    HasPin,
    /// There is none.
    HasNoPin,
    /// Done; the PIN is right.
    Done,
    /// The PIN is wrong, or nobody's.
    Wrong,
    /// PINs are not looked at now.
    Locked,
    /// There is no such station.
    StationUnknown,
    /// Its phone is not registered.
    StationSilent,
    /// The agent with this number is there.
    StationTaken(Box<str>),
    /// Nobody was logged in.
    NobodyThere,
    /// It cannot be done now.
    Unavailable,
}

/// What the menu wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Say this; then tell that it was played.
    Say(Says),
    /// Say nothing any more.
    Hush,
    /// Answer this.
    Ask(Request),
    /// End the call.
    HangUp,
}
