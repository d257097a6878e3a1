//! A language for scripted phones that reads like a capture.
//!
//! A script says line by line who sends what and who gets what, in that order, in virtual time over
//! a network that does nothing by itself. Everything a phone must derive (tags, branches, CSeq,
//! dialogs, the digest) is derived by the script's own phone; nothing is sent or repeated that the
//! script does not say, and nothing may arrive that it does not say.
//!
//! ```text
//! shards 2                              # before the first phone; 1 if not said
//! phone alice 200-acme Right-0!         # name, login, password; then: tcp, bare (no instance), nat,
//!                                       # stranger (there is no such extension)
//! alice > REGISTER expires=600          # alice sends a request
//! alice < 401 -retry-after              # and gets this response, within 70 s
//! alice > REGISTER expires=600 +auth    # with the answer to the latest challenge
//! alice < 200 expires~600
//! bob < INVITE +sdp                     # a request arrives
//! bob > 180                             # the answer to the latest request that has no final one
//! bob > 200 INVITE +sdp                 # the answer to the latest INVITE
//! alice < nothing 2s                    # nothing arrives for so long
//! at 5s                                 # let things happen until then
//! wait 500ms                            # or for so long
//! lose next to alice                    # or from; or double: what becomes of the next datagram
//! net break alice tcp                   # alice's connection is reset
//! net close alice tcp                   # alice closes her half of it
//! net move alice 203.0.113.1:4000       # from now on the NAT shows her there (datagrams only)
//! store fails                           # from now on; store works: again
//! check devices 200-acme 1              # activated devices of an extension
//! check bound 200-acme 1                # live bindings of an extension
//! ```
//!
//! | word | sent | expected |
//! |---|---|---|
//! | `to=NAME` | calls that phone's extension, or that number | – |
//! | `expires=N` | in Contact | of the own Contact, exactly |
//! | `expires~N` | – | up to a twentieth less |
//! | `contact=*`, `contact=none` | `Contact: *` with Expires 0, or none at all | – |
//! | `contacts=N` | – | so many Contacts |
//! | `+auth`, `+auth=wrong` | credentials, or bad ones | – |
//! | `+sdp` | a session description | one is there; `-sdp`: none is |
//! | `+field`, `-field` | – | that field is there, or not |
//! | `stale` | – | the challenge says that only the nonce was bad |
//! | `again` | the same bytes as the latest of its kind | the same |
//! | `call=NAME` | in that phone's dialog, as its caller or callee would | – |
//! | `"words"` | – | the reason phrase |
//!
//! At the end nothing may be left unread at a phone, and once all timers have run out nothing may be
//! left of a call, transaction, commit or connection in the server.

mod parse;
mod phone;
mod run;

pub(crate) use run::run;

use std::net::SocketAddr;
use std::time::Duration;

/// A script.
#[derive(Debug, Default)]
pub(crate) struct Script {
    shards: u16,
    phones: Vec<Actor>,
    steps: Vec<(usize, Step)>,
}

/// A phone of a script.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Actor {
    name: String,
    login: String,
    password: String,
    tcp: bool,
    bare: bool,
    nat: bool,
    stranger: bool,
}

/// From a phone's point of view.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    From,
    To,
}

/// One line of a script; phones stand by their place in the list.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    At(Duration),
    Wait(Duration),
    Next { doubled: bool, way: Option<(Way, usize)> },
    Break(usize),
    Close(usize),
    Move(usize, SocketAddr),
    StoreFails(bool),
    Devices(String, usize),
    Bound(String, usize),
    Send(usize, Message),
    Expect(usize, Message),
    Nothing(usize, Duration),
}

/// A message as a script writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Message {
    kind: Kind,
    words: Vec<Word>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Kind {
    Request(String),
    /// A status, and the method it answers if that is said.
    Response(u16, Option<String>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Word {
    To(String),
    Expires(u32),
    ExpiresAbout(u32),
    ContactStar,
    ContactNone,
    Contacts(usize),
    Auth { wrong: bool },
    Has(String),
    HasNot(String),
    Sdp,
    NoSdp,
    Stale,
    Again,
    Call(usize),
    Reason(String),
}
