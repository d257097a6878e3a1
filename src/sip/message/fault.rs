//! What can be wrong with a message.

#[cfg(doc)]
use crate::base::limit;

/// Why bytes are not a message that could be answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseError {
    /// Longer than [`limit::MESSAGE_BYTES_MAX`].
    #[error("longer than a message may be")]
    TooLong,
    /// The first line is neither a request line nor a status line (§7.1, §7.2).
    #[error("no request line and no status line")]
    StartLine,
}

/// What is wrong with a message whose frame could be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The version is not SIP/2.0: 505.
    #[error("Version Not Supported")]
    Version,
    /// A line without a colon, or with a name that is no token.
    #[error("Malformed Header Line")]
    Line,
    /// A CR that ends no line, in a header field or in a reason phrase.
    #[error("Bare CR In Header")]
    BareCr,
    /// The header section has no end.
    #[error("Truncated Header")]
    Truncated,
    /// More than [`limit::HEADERS_MAX`] header fields.
    #[error("Too Many Headers")]
    TooManyHeaders,
    /// A field that may stand once stands twice.
    #[error("Duplicate Header")]
    Duplicate,
    /// Content-Length is no number, or promises more than came.
    #[error("Bad Content-Length")]
    ContentLength,
    /// Via, From, To, Call-ID or CSeq is missing (§8.1.1).
    #[error("Missing Header")]
    Missing,
    /// The CSeq cannot be read, or its method is not the request's (§8.1.1.5).
    #[error("Bad CSeq")]
    CSeq,
    /// The topmost Via, or another in the same line, cannot be read.
    #[error("Bad Via")]
    Via,
    /// From or To cannot be read.
    #[error("Bad From Or To")]
    FromTo,
    /// Max-Forwards is no number up to 255.
    #[error("Bad Max-Forwards")]
    MaxForwards,
    /// The Request-URI has white space, `<` or is empty.
    #[error("Bad Request-URI")]
    RequestUri,
    /// The Request-URI is longer than [`limit::REQUEST_URI_BYTES_MAX`]: 414.
    #[error("Request-URI Too Long")]
    RequestUriTooLong,
    /// A header field, unfolded, or the start line is longer than [`limit::LINE_BYTES_MAX`].
    #[error("Header Line Too Long")]
    LineTooLong,
}

impl Fault {
    /// Every fault, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::Version,
        Self::Line,
        Self::BareCr,
        Self::Truncated,
        Self::TooManyHeaders,
        Self::Duplicate,
        Self::ContentLength,
        Self::Missing,
        Self::CSeq,
        Self::Via,
        Self::FromTo,
        Self::MaxForwards,
        Self::RequestUri,
        Self::RequestUriTooLong,
        Self::LineTooLong,
    ];

    /// The status code that refuses it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::RequestUriTooLong => 414,
            _ => 400,
        }
    }

    /// The label in `stationmaster_parse_errors_total{kind}`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Line => "line",
            Self::BareCr => "bare_cr",
            Self::Truncated => "truncated",
            Self::TooManyHeaders => "too_many_headers",
            Self::Duplicate => "duplicate",
            Self::ContentLength => "content_length",
            Self::Missing => "missing",
            Self::CSeq => "cseq",
            Self::Via => "via",
            Self::FromTo => "from_to",
            Self::MaxForwards => "max_forwards",
            Self::RequestUri => "request_uri",
            Self::RequestUriTooLong => "request_uri_too_long",
            Self::LineTooLong => "line_too_long",
        }
    }
}
