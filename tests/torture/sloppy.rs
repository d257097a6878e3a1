//! Messages of our own: what phones send that do not keep to the letter, and what else comes to a
//! SIP port. Forgiven is what can mean one thing only; everything else gets an answer that says so.

use super::table::Does::{Answers, AnswersInStun, Closes, Waits};
use super::table::Parse::{Bad, Good, Nothing};
use super::table::What as W;
use super::table::{Does, Row, SILENCE};
use stationmaster::sip::{Fault, ParseError};

const OK: Does = Answers(&[200]);
const BAD: Does = Answers(&[400]);
const CHALLENGED: Does = Answers(&[401]);
const INVITE_CHALLENGED: Does = Answers(&[407]);
const NO_DIALOG: Does = Answers(&[481]);

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    // White space and line ends.
    Row::new("sloppy/no-space", Good, CHALLENGED, "no space need stand behind a colon")
        .facts(&[(W::CSeq, "1 REGISTER"), (W::FromTag, "4711sl01"), (W::Contacts, "1"), (W::MaxForwards, "70")]),
    Row::new("sloppy/lf-only", Good, CHALLENGED, "a lone LF ends a line")
        .facts(&[(W::Via(0), "UDP 192.168.1.23 5062 z9hG4bKsl02"), (W::Field("Expires"), "3600"), (W::Body, "0")]),
    Row::new("sloppy/mixed-ends", Good, CHALLENGED, "and stands beside CRLF")
        .facts(&[(W::Via(0), "UDP 192.168.1.23 5062 z9hG4bKsl03"), (W::Field("Expires"), "3600"), (W::Body, "0")]),
    Row::new("sloppy/cr-only", Nothing(ParseError::StartLine), SILENCE, "a lone CR ends no line: there is no first line")
        .tcp(Waits(&[])),
    Row::new("sloppy/tabs", Good, CHALLENGED, "a tab is white space wherever a space is")
        .facts(&[
            (W::CSeq, "1 REGISTER"), (W::Via(0), "UDP 192.168.1.23 5062 z9hG4bKsl10"), (W::FromTag, "4711sl10"),
            (W::ContactUri(0), "sip:201-acme@192.168.1.23:5062"), (W::ContactParam(0, "expires"), "90"),
        ]),
    Row::new("sloppy/empty-fold", Good, OK, "a continuation line may be empty").facts(&[(W::Values("Subject"), "1")]),
    Row::new("sloppy/leading-line-ends", Good, OK, "line ends before the first line are skipped (RFC 3261 §7.5)"),
    Row::new("sloppy/trailing-line-end", Good, OK, "and so is one behind the last"),
    Row::new("sloppy/trailing-nuls", Good, OK, "what fills a datagram up is dropped; over a stream it begins another message")
        .tcp(Waits(&[200])),
    Row::new("sloppy/nul-in-value", Good, OK, "any byte may stand in a value that nobody reads")
        .facts(&[(W::Field("User-Agent"), "Phone\0\0 1.0")]),
    Row::new("sloppy/latin-1-display", Good, CHALLENGED, "a name need not be UTF-8; it comes back as it came")
        .facts(&[(W::FromDisplay, "\"J\u{fffd}rgen \u{fffd}\""), (W::FromUri, "sip:201-acme@example.test")]),
    // Via.
    Row::new("sloppy/no-branch", Good, CHALLENGED, "as before RFC 3261").facts(&[(W::Via(0), "UDP 192.168.1.23 5062 -")]),
    Row::new("sloppy/empty-branch", Good, CHALLENGED, "an empty branch is none").facts(&[(W::Via(0), "UDP 192.168.1.23 5062 -")]),
    Row::new("sloppy/compact-vias", Good, OK, "two Vias in a compact line, a third in another")
        .facts(&[
            (W::Vias, "3"), (W::Via(0), "UDP 192.168.1.23 5062 z9hG4bKcv1"), (W::Via(1), "TCP b.example.test - -"),
            (W::Via(2), "TLS c.example.test - z9hG4bKcv3"),
        ]),
    Row::new("sloppy/via-semicolons", Good, OK, "an empty parameter says nothing").facts(&[(W::Via(0), "UDP 192.168.1.23 5062 z9hG4bKsl23")]),
    Row::new("sloppy/via-comma", Good, OK, "nor does an empty value").facts(&[(W::Vias, "1")]),
    // From, To, CSeq and the rest of the head.
    Row::new("sloppy/no-from-tag", Good, CHALLENGED, "as before RFC 3261").facts(&[(W::FromTag, "-")]),
    Row::new("sloppy/empty-tags", Good, CHALLENGED, "an empty tag is none: the request is outside any dialog").facts(&[(W::FromTag, "-"), (W::ToTag, "-")]),
    Row::new("sloppy/display-comma", Good, OK, "RFC 4475 §3.1.2.15 with the end it lacks: the quotes are inferred, since From and To have one value")
        .facts(&[(W::FromDisplay, "Bell, Alexander"), (W::ToUser, "t.watson")]),
    Row::new("sloppy/no-max-forwards", Good, OK, "as before RFC 3261").facts(&[(W::MaxForwards, "-")]),
    Row::new("sloppy/huge-cseq", Bad(Fault::CSeq), BAD, "31 bits are what a CSeq has (RFC 3261 §8.1.1.5)"),
    Row::new("sloppy/two-agents", Good, CHALLENGED, "twice what should stand once, where it does no harm")
        .facts(&[(W::Field("User-Agent"), "one"), (W::Values("Allow"), "3")]),
    Row::new("sloppy/lower-case-method", Good, Answers(&[405]), "methods have case (RFC 3261 §7.1)").facts(&[(W::Method, "register")])
        .answer(&[("Allow", "REGISTER, ")]),
    Row::new("sloppy/lower-case-version", Good, OK, "the version has none"),
    // Content-Length.
    Row::new("sloppy/no-content-length", Good, OK, "a datagram ends where it ends; a stream does not (RFC 3261 §18.3)")
        .tcp(Closes(&[400])),
    Row::new("sloppy/same-length-twice", Bad(Fault::Duplicate), BAD, "twice what may stand once, even if the same: who put it in may have put more in"),
    Row::new("sloppy/length-junk", Bad(Fault::ContentLength), BAD, "no number")
        .tcp(Closes(&[400])),
    Row::new("sloppy/ipv6-in-sdp", Good, INVITE_CHALLENGED, "RFC 5118 §4.6 with its right Content-Length").facts(&[(W::Body, "251")]),
    // Contact and Expires. What a registrar makes of them once there are credentials is a test of its own.
    Row::new("sloppy/bare-contact", Good, CHALLENGED, "without brackets all parameters are the field's (RFC 3261 §20.10)")
        .facts(&[
            (W::ContactUri(0), "sip:201-acme@192.168.1.23:5062"), (W::ContactParam(0, "transport"), "tcp"),
            (W::ContactParam(0, "expires"), "90"), (W::ContactParam(0, "q"), "0.5"),
        ]),
    Row::new("sloppy/two-contact-lines", Good, CHALLENGED, "three Contacts in two lines, long and compact")
        .facts(&[
            (W::Contacts, "3"), (W::ContactUri(1), "sip:201-acme@[2001:db8::7]:5062"),
            (W::ContactUri(2), "sip:201-acme@phone.example.test"), (W::ContactParam(2, "expires"), "60"),
        ]),
    Row::new("sloppy/quotes-in-quotes", Good, CHALLENGED, "the quotes pair up, if not as they were meant")
        .facts(&[(W::Contacts, "1"), (W::ContactUri(0), "sip:201-acme@192.168.1.23:5062")]),
    Row::new("sloppy/open-quote", Good, CHALLENGED, "who asks comes first, what is asked second").facts(&[(W::Contacts, "-")]),
    Row::new("sloppy/star-expires", Good, CHALLENGED, "a star with parameters is no star").facts(&[(W::Contacts, "-")]),
    Row::new("sloppy/expires-junk", Good, CHALLENGED, "counts as an hour (RFC 3261 §20.10)").facts(&[(W::Field("Expires"), "never")]),
    Row::new("sloppy/expires-negative", Good, CHALLENGED, "counts as an hour").facts(&[(W::ContactParam(0, "expires"), "-1")]),
    // Request-URI.
    Row::new("sloppy/hash-dialled", Good, INVITE_CHALLENGED, "`#` should be escaped; people dial it").facts(&[(W::UriUser, "#31#202")]),
    Row::new("sloppy/empty-port", Good, BAD, "a colon promises a port").facts(&[(W::UriReadable, "no")]),
    Row::new("sloppy/no-scheme", Good, BAD, "no URI").facts(&[(W::UriReadable, "no")]),
    // Out of any order.
    Row::new("sloppy/stray-ack", Good, SILENCE, "an ACK is never answered"),
    Row::new("sloppy/stray-cancel", Good, NO_DIALOG, "there is nothing to cancel (RFC 3261 §9.2)"),
    Row::new("sloppy/stray-bye", Good, NO_DIALOG, "there is nothing to end (RFC 3261 §15.1.2)"),
    // No SIP at all.
    Row::new("sloppy/ping", Nothing(ParseError::StartLine), SILENCE, "keeps a NAT open; a stream gets one line end back (RFC 5626 §4.4.1)"),
    Row::new("sloppy/nuls", Nothing(ParseError::StartLine), SILENCE, "keeps a NAT open").tcp(Waits(&[])),
    Row::new("sloppy/stun", Nothing(ParseError::StartLine), AnswersInStun, "keeps a NAT open, and tells the phone its address (RFC 5626 §4.4.2)").tcp(Waits(&[])),
    Row::new("sloppy/http", Nothing(ParseError::StartLine), SILENCE, "another protocol").tcp(Closes(&[])),
];
