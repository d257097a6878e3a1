//! What is told of a call when it is over: who, whom, when, how long, how it ended, and what became
//! of each phone that was rung.

use crate::base::time::Wall;
use crate::menu::Service;
use compact_str::CompactString;
use smallvec::SmallVec;

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum End {
    /// The caller hung up.
    CallerHungUp,
    /// The called hung up.
    CalledHungUp,
    /// The caller gave up before anybody answered.
    Cancelled,
    /// No phone took it; the best of their answers.
    Refused(u16),
    /// Phones rang, nobody answered in time.
    NoAnswer,
    /// No phone could be reached.
    Unreachable,
    /// There was no phone to ring.
    NobodyThere,
    /// The caller never acknowledged the answer.
    NoAck,
    /// A phone no longer knew the call or no longer answered.
    LegLost,
    /// We ended it.
    Stopped,
}

impl End {
    /// Every label.
    pub const LABELS: [&'static str; 12] = [
        "caller_hung_up",
        "called_hung_up",
        "cancelled",
        "busy",
        "declined",
        "refused",
        "no_answer",
        "unreachable",
        "nobody_there",
        "no_ack",
        "leg_lost",
        "stopped",
    ];

    /// The label in `stationmaster_calls_total{end}`; a closed set.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::CallerHungUp => "caller_hung_up",
            Self::CalledHungUp => "called_hung_up",
            Self::Cancelled => "cancelled",
            Self::Refused(486 | 600) => "busy",
            Self::Refused(603) => "declined",
            Self::Refused(_) => "refused",
            Self::NoAnswer => "no_answer",
            Self::Unreachable => "unreachable",
            Self::NobodyThere => "nobody_there",
            Self::NoAck => "no_ack",
            Self::LegLost => "leg_lost",
            Self::Stopped => "stopped",
        }
    }
}

/// What became of one phone that was rung.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Outcome {
    /// Nothing was heard of it when the call was over.
    Unheard,
    /// It rang, and was still ringing when the call was over.
    Rang,
    /// It answered and got the call.
    Answered,
    /// It answered, but too late: another had, or the caller was gone.
    AnsweredLate,
    /// It was told to stop.
    Cancelled,
    /// It refused with this status.
    Refused(u16),
    /// It never answered at all.
    Silent,
    /// Its connection broke.
    Broken,
    /// There was no room for it.
    NotTried,
}

impl Outcome {
    /// A word for records and logs; a closed set.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unheard => "unheard",
            Self::Rang => "rang",
            Self::Answered => "answered",
            Self::AnsweredLate => "answered_late",
            Self::Cancelled => "cancelled",
            Self::Refused(_) => "refused",
            Self::Silent => "silent",
            Self::Broken => "broken",
            Self::NotTried => "not_tried",
        }
    }
}

/// One phone that was rung.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// Whose it is.
    pub aor: CompactString,
    /// The number of its binding.
    pub binding: u32,
    /// What became of it.
    pub outcome: Outcome,
}

/// One call, told when it is over. One with a phone is no heap block, as long as names are ordinary.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallRecord {
    /// Who called.
    pub caller: CompactString,
    /// Whom.
    pub called: CompactString,
    /// What of ours was called, if it was no phone.
    pub service: Option<Service>,
    /// When the INVITE came.
    pub began: Wall,
    /// From the INVITE to the first phone that rang, in milliseconds.
    pub ringing_ms: Option<u64>,
    /// From the INVITE to the answer, in milliseconds.
    pub setup_ms: Option<u64>,
    /// From the answer to the end, in milliseconds; 0 for a call that was not answered.
    pub talked_ms: u64,
    /// How it ended.
    pub end: End,
    /// The final answer to the caller's INVITE.
    pub status: u16,
    /// The phones that were rung, in the order in which they were given.
    pub candidates: SmallVec<[Candidate; 1]>,
}
