//! The messages of RFC 5118, as they are on the wire.
//!
//! The archive in the RFC has lost the CR of each line end, and the last two messages the empty line
//! that ends a header; the files here have both, and the digests are those of the archive.

use super::table::Does::{Answers, Waits};
use super::table::Parse::{Bad, Good};
use super::table::What as W;
use super::table::{Does, Row};
use stationmaster::sip::Fault;

const OK: Does = Answers(&[200]);
const CHALLENGED: Does = Answers(&[401]);
const NO_DIALOG: Does = Answers(&[481]);
const INVITE_CHALLENGED: Does = Answers(&[407]);

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    Row::new("rfc5118/ipv6-good", Good, CHALLENGED, "well-formed; a registrar asks for credentials")
        .of("4.1", "80654d05559d5bda7d584b39e0f4dbf69b23189cb140754ef889a4996a3505ed")
        .facts(&[
            (W::UriHost, "[2001:db8::10]"), (W::UriPort, "-"), (W::Via(0), "UDP [2001:db8::9:1] - z9hG4bKas3-111"),
            (W::Contacts, "1"), (W::ContactUri(0), "sip:caller@[2001:db8::1]"), (W::ContactUser(0), "caller"),
        ]),
    Row::new("rfc5118/ipv6-bad", Good, Answers(&[400]), "an IPv6 address without brackets is no host; the RFC asks for 400")
        .of("4.2", "f6ffa0b2e664d05dbecde6bd7eb6fd71a9f01d43a3a0d3e084766c6240be4972")
        .facts(&[(W::Uri, "sip:2001:db8::10"), (W::UriReadable, "no")]),
    Row::new("rfc5118/port-ambiguous", Good, CHALLENGED, "5070 may be meant as a port, but is the end of an address: well-formed")
        .of("4.3", "e1925cfd89436c36025fd21d144b7788cb988bfd752498cf767e3303426f2e7d")
        .facts(&[(W::UriHost, "[2001:db8::10:5070]"), (W::UriPort, "-")]),
    Row::new("rfc5118/port-unambiguous", Good, CHALLENGED, "behind the bracket it is a port")
        .of("4.4", "be3a4dbac87b1cdabde97595d117773e3864ffd2ff7ab645bfd5773e280bcd4e")
        .facts(&[(W::UriHost, "[2001:db8::10]"), (W::UriPort, "5070")]),
    Row::new("rfc5118/via-received-param-with-delim", Good, NO_DIALOG,
            "`received` may stand in brackets; ours is what we saw instead. There is no such dialog (RFC 3261 §15.1.2)")
        .of("4.5", "568255f70f186f7d09fe437a662bb32a7b14285c5243222a1a401004b7e6ba80")
        .facts(&[(W::ViaParam("received"), "[2001:db8::9:255]"), (W::Via(0), "UDP [2001:db8::9:1] - z9hG4bKas3-111")]),
    Row::new("rfc5118/via-received-param-no-delim", Good, OK, "`received` without brackets, as the grammar has it")
        .of("4.5", "45f233fd536e7d4d9f47be5098992cd912394a80460dd6b16979f61a713b9dd9")
        .facts(&[(W::ViaParam("received"), "2001:db8::9:255"), (W::Via(0), "UDP [2001:db8::9:1] - z9hG4bKas3")]),
    Row::new("rfc5118/ipv6-in-sdp", Bad(Fault::ContentLength), Answers(&[400]),
            "meant to be well-formed, but its Content-Length is 268 where 251 bytes follow: over UDP an error, over a stream \
             more has to come (RFC 3261 §18.3). `sloppy/ipv6-in-sdp` has the right length")
        .of("4.6", "c09ab30a92e790ecd261aadbb3876f8043307bffec3103f5add052d64a125532")
        .tcp(Waits(&[]))
        .facts(&[(W::Body, "251"), (W::UriUser, "user"), (W::UriHost, "[2001:db8::10]")]),
    Row::new("rfc5118/mult-ip-in-header", Good, NO_DIALOG, "both families in one Via stack; there is no such dialog")
        .of("4.7", "ace698f6827e940812cfe26c48960f9069b02291b0022b0777cf00f37405f83a")
        .facts(&[
            (W::Vias, "3"), (W::Via(0), "UDP [2001:db8::9:1] 6050 z9hG4bKas3-111"),
            (W::Via(1), "UDP 192.0.2.1 - z9hG4bKjhja8781hjuaij65144"), (W::Via(2), "TCP [2001:db8::9:255] - z9hG4bK451jj"),
        ]),
    Row::new("rfc5118/mult-ip-in-sdp", Good, INVITE_CHALLENGED,
            "both families in one offer. Its Content-Length is 8 too low, so that over a stream the last bytes begin another message")
        .of("4.8", "c50fb1a29fdf4f0c3c12cf9cf5b490df1bb86d6dfacf7bc807e2c3e7e8660013")
        .tcp(Waits(&[407]))
        .facts(&[(W::Body, "181"), (W::ContactUri(0), "sip:caller@[2001:db8::9:1]")]),
    Row::new("rfc5118/ipv4-mapped-ipv6", Good, INVITE_CHALLENGED,
            "an IPv4 address in an IPv6 one. Its Content-Length is 9 too low, so that over a stream the last bytes begin another message")
        .of("4.9", "b3d7df025b6465461741c3788fa3b48af25b08d6a2fdb59ded815cc0afc04a68")
        .tcp(Waits(&[407]))
        .facts(&[
            (W::Via(0), "UDP [::ffff:192.0.2.10] 19823 z9hG4bKbh19"), (W::Vias, "2"), (W::Body, "236"),
            (W::ContactUri(0), "sip:ted@[::ffff:192.0.2.2]"), (W::ContactUser(0), "ted"),
        ]),
    Row::new("rfc5118/ipv6-bug-abnf-3-colons", Good, OK,
            "three colons are what the grammar of RFC 3261 wrongly makes of it, so some send it: understood as two")
        .of("4.10", "e542604dca3aed5c346a549c1f692aecf98a12353b38283be3e199664abeb43e")
        .facts(&[(W::UriUser, "user"), (W::UriHost, "[2001:db8:::192.0.2.1]"), (W::ToUser, "user")]),
    Row::new("rfc5118/ipv6-correct-abnf-2-colons", Good, OK, "the same with the two colons of RFC 5954")
        .of("4.10", "6a8c09976009aab0159cf1b8cc3e2964b3853557102b5b86bf2b6b2c48c0779e")
        .facts(&[(W::UriUser, "user"), (W::UriHost, "[2001:db8::192.0.2.1]"), (W::ToUser, "user")]),
];
