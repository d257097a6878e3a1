//! The messages of RFC 4475, byte for byte as in the archive that the RFC carries.

use super::table::Does::{Answers, Closes, Waits};
use super::table::Parse::{Bad, Good, Nothing};
use super::table::What as W;
use super::table::{Does, Row, SILENCE};
use stationmaster::sip::{Fault, ParseError};

const OK: Does = Answers(&[200]);
const BAD: Does = Answers(&[400]);
const CHALLENGED: Does = Answers(&[401]);
const INVITE_CHALLENGED: Does = Answers(&[407]);
const NOT_ALLOWED: Does = Answers(&[405]);
const UNKNOWN_SCHEME: Does = Answers(&[416]);

/// What the methods we serve are told to be.
const ALLOW: &[(&str, &str)] = &[("Allow", "REGISTER, INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY")];

/// A challenge.
const DIGEST: &[(&str, &str)] = &[("WWW-Authenticate", "Digest ")];
const PROXY_DIGEST: &[(&str, &str)] = &[("Proxy-Authenticate", "Digest ")];

/// §3.1.1: well-formed.
#[rustfmt::skip]
pub(crate) const VALID: &[Row] = &[
    Row::new("rfc4475/wsinv", Good, Answers(&[481]), "well-formed throughout; its To tag names a dialog that we have not")
        .of("3.1.1.1", "d6f6cdee99cd0a1f8e3d9a0fdd67c877700e19ab86d8186dada06f61260e3e61")
        .facts(&[
            (W::UriUser, "vivekg"), (W::UriHost, "chair-dnrc.example.com"), (W::ToUri, "sip:vivekg@chair-dnrc.example.com"),
            (W::ToTag, "1918181833n"), (W::FromDisplay, "\"J Rosenberg \\\\\\\"\""), (W::FromUri, "sip:jdrosen@example.com"),
            (W::FromTag, "98asjd8"), (W::MaxForwards, "68"), (W::CSeq, "9 INVITE"), (W::Vias, "3"),
            (W::Via(0), "UDP 192.0.2.2 - 390skdjuw"), (W::Via(1), "TCP spindle.example.com - z9hG4bK9ikj8"),
            (W::Via(2), "UDP 192.168.255.111 - z9hG4bK30239"), (W::Field("Subject"), ""),
            (W::Field("NewFangledHeader"), "newfangled value   continued newfangled value"),
            (W::Field("UnknownHeaderWithUnusualValue"), ";;,,;;,;"),
            (W::Field("Route"), "<sip:services.example.com;lr;unknownwith=value;unknown-no-value>"),
            (W::Contacts, "1"), (W::ContactUri(0), "sip:jdrosen@example.com"), (W::ContactParam(0, "newparam"), "newvalue"),
            (W::ContactParam(0, "secondparam"), ""), (W::ContactParam(0, "q"), "0.33"), (W::Body, "150"),
        ]),
    Row::new("rfc4475/intmeth", Good, NOT_ALLOWED,
            "every character that each element may hold. The RFC would have 501 for a method nobody knows; ours is 405 with \
             Allow for all methods that are not served, which says the same and more, and which phones know")
        .of("3.1.1.2", "b957a8292c1c0a9851fe94705b90f94320738f43aacde64998e401f742ef688d")
        .facts(&[
            (W::Method, "!interesting-Method0123456789_*+`.%indeed'~"),
            (W::UriUser, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"), (W::UriHost, "example.com"),
            (W::Via(0), "TCP host1.example.com - z9hG4bK-.!%66*_+`'~"),
            (W::ToDisplay, "\"BEL:\\\u{7} NUL:\\\0 DEL:\\\u{7f}\""),
            (W::ToUser, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"),
            (W::FromDisplay, "token1~` token2'+_ token3*%!.-"), (W::FromUser, "mundane"),
            (W::FromParam("fromParam''~+*_!.-%"), "\"\u{440}\u{430}\u{431}\u{43e}\u{442}\u{430}\u{44e}\u{449}\u{438}\u{439}\""),
            (W::FromTag, "_token~1'+`*%!-."), (W::CallId, "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"),
            (W::CSeq, "139122385 !interesting-Method0123456789_*+`.%indeed'~"), (W::MaxForwards, "255"),
            (W::Field("extensionHeader-!.%*+_`'~"), "\u{feff}\u{5927}\u{505c}\u{96fb}"), (W::Body, "0"),
        ])
        .answer(ALLOW),
    Row::new("rfc4475/esc01", Good, INVITE_CHALLENGED, "escapes are undone in users, not looked for in hosts and parameter names")
        .of("3.1.1.3", "be3a316d4ce5f69cad474646191e390dd4b50fc8371e44b5197fe1237781973e")
        .facts(&[
            (W::UriUser, "sips:user@example.com"), (W::UriHost, "example.net"), (W::ToUser, "user"),
            (W::FromUser, "I have spaces"), (W::CallId, "esc01.239409asdfakjkn23onasd0-3234"),
            (W::ContactUri(0), "sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31"), (W::ContactUser(0), "caller"),
            (W::Body, "150"),
        ])
        .answer(PROXY_DIGEST),
    Row::new("rfc4475/escnull", Good, CHALLENGED, "a NUL in a user part ends nothing: the two Contacts are two")
        .of("3.1.1.4", "263fe2ecd12a5ccbb6c67b3174e9211d11da9b600e7d69666a86d2ee42873e90")
        .facts(&[
            (W::ToUser, "null-\0-null"), (W::FromUser, "null-\0-null"), (W::Contacts, "2"), (W::ContactUser(0), "\0"),
            (W::ContactUser(1), "\0\0"), (W::Body, "0"),
        ])
        .answer(DIGEST),
    Row::new("rfc4475/esc02", Good, NOT_ALLOWED,
            "`%` is no escape in a method, a field name, a display name or a branch: this is neither REGISTER nor a second Contact")
        .of("3.1.1.5", "9a9c59449f00327b02071feafc8e5c2a261c98c818044167894cc17809a12199")
        .facts(&[
            (W::Method, "RE%47IST%45R"), (W::ToDisplay, "\"%Z%45\""), (W::Contacts, "2"), (W::ContactUser(1), "alias3"),
            (W::Field("C%6Fntact"), "<sip:alias2@host2.example.com>"), (W::Via(0), "TCP host.example.com - z9hG4bK209%fzsnel234"),
        ])
        .answer(ALLOW),
    Row::new("rfc4475/lwsdisp", Good, OK,
            "no white space before `<`. OPTIONS to any user is answered by the server itself, so that strangers learn of nobody")
        .of("3.1.1.6", "d1b36b6316c12824f6f04bf6b1fd1f021cade9b74871693b9c3474cd9fa7f4e6")
        .facts(&[(W::FromDisplay, "caller"), (W::FromUri, "sip:caller@example.com"), (W::FromTag, "323")]),
    Row::new("rfc4475/longreq", Good, INVITE_CHALLENGED, "long values everywhere, each below every bound of ours; 34 Vias come back")
        .of("3.1.1.7", "185739292bc676760e5b1cca77c87705aa570240171c506ad76f8c35af0ecdaa")
        .facts(&[
            (W::Vias, "34"), (W::Via(0), "TCP sip33.example.com - -"), (W::Via(32), "TCP sip1.example.com - -"), (W::ToUser, "user"),
            (W::FromUser, "amazinglylongcallernameamazinglylongcallernameamazinglylongcallernameamazinglylongcallernameamazinglylongcallername"),
            (W::CSeq, "3882340 INVITE"), (W::Contacts, "1"), (W::Body, "150"),
        ])
        .answer(PROXY_DIGEST),
    Row::new("rfc4475/dblreq", Good, CHALLENGED,
            "what follows the body in a datagram is dropped; a stream has a second request there, and behind that (its \
             Content-Length is 3 too low) a header without any length")
        .of("3.1.1.8", "a6be48426565c2a705389c4ce2ea17e57b891cb13f80490a2cb9392c797b46ef")
        .tcp(Closes(&[401, 407]))
        .facts(&[(W::Method, "REGISTER"), (W::Contacts, "1"), (W::ContactUri(0), "sip:j.user@host.example.com"), (W::Body, "0")]),
    Row::new("rfc4475/semiuri", Good, OK, "`;par=` belongs to the user part, since an `@` follows")
        .of("3.1.1.9", "87bbaed6b4b354dbd3c5c7a20e66686303c63e43a0aa19b89de1ac75231611a2")
        .facts(&[(W::UriUser, "user;par=u@example.net"), (W::UriHost, "example.com"), (W::Values("Accept"), "6")]),
    Row::new("rfc4475/transports", Good, OK, "transports that we do not know stand in the lower Vias, and come back as they are")
        .of("3.1.1.10", "33b4553a3b9418121b099ff07882535151edd6a1e81898c63a916aad2cbf90bc")
        .facts(&[
            (W::Vias, "5"), (W::Via(0), "UDP t1.example.com - z9hG4bKkdjuw"), (W::Via(1), "SCTP t2.example.com - z9hG4bKklasjdhf"),
            (W::Via(2), "TLS t3.example.com - z9hG4bK2980unddj"), (W::Via(3), "UNKNOWN t4.example.com - z9hG4bKasd0f3en"),
            (W::Via(4), "TCP t5.example.com - z9hG4bK0a9idfnee"),
        ]),
    Row::new("rfc4475/mpart01", Good, NOT_ALLOWED, "a body with any bytes, by its length; MESSAGE is not served")
        .of("3.1.1.11", "92147c8e24997bac59629e1b163767697d0d6d499af87f89e325d69968bec3ba")
        .facts(&[
            (W::Method, "MESSAGE"), (W::Body, "553"), (W::Field("Content-Type"), "multipart/mixed;boundary=7a9cbec02ceef655"),
            (W::Field("Date"), "Sat, 15 Oct 2005 04:44:56 GMT"), (W::Values("Identity"), "1"), (W::Values("Route"), "1"),
        ])
        .answer(ALLOW),
    Row::new("rfc4475/unreason", Good, SILENCE, "any UTF-8 in a reason phrase; it answers no request of ours")
        .of("3.1.1.12", "4f939d6ebf4817eea70f011d3209e83732872ffc20ffd304b244084dc392f4d7")
        .facts(&[
            (W::Status, "200"), (W::Method, "INVITE"), (W::Body, "154"),
            (W::Reason, "= 2**3 * 5**2 \u{43d}\u{43e} \u{441}\u{442}\u{43e} \u{434}\u{435}\u{432}\u{44f}\u{43d}\u{43e}\u{441}\u{442}\u{43e} \
                         \u{434}\u{435}\u{432}\u{44f}\u{442}\u{44c} - \u{43f}\u{440}\u{43e}\u{441}\u{442}\u{43e}\u{435}"),
        ]),
    Row::new("rfc4475/noreason", Good, SILENCE, "a reason phrase may be empty; it answers no request of ours")
        .of("3.1.1.13", "07e11e470a69fffa3674de805e5165d1351a9439a91045ee70c9570ea24ab4fe")
        .facts(&[(W::Status, "100"), (W::Reason, ""), (W::CSeq, "35 INVITE")]),
];

/// §3.1.2: broken.
#[rustfmt::skip]
pub(crate) const INVALID: &[Row] = &[
    Row::new("rfc4475/badinv01", Bad(Fault::Via), BAD, "`;` is no Via value: 400, as the RFC asks; it is told to the first, which is one")
        .of("3.1.2.1", "9ee2b88f2e0b5a9eeb9bf729b6177f0a0c7d0b5e6c84be593e0480d7962f3ab8")
        .facts(&[(W::Via(0), "UDP 192.0.2.15 - -"), (W::ContactUri(0), "sip:joe@example.org")]),
    Row::new("rfc4475/clerr", Bad(Fault::ContentLength), BAD,
            "a datagram with less than it promises is an error; a stream may still bring the rest (RFC 3261 §18.3)")
        .of("3.1.2.2", "d9da629086a38df433438fb0fb19a8730f34516f049a5520dd0cac3285485290")
        .tcp(Waits(&[])),
    Row::new("rfc4475/ncl", Bad(Fault::ContentLength), BAD, "no length is negative; a stream cannot be read on")
        .of("3.1.2.3", "7ea6538edc1f054fdb6cd1c821040460cffca3cb682fa2e8e2a502d92170b4c2")
        .tcp(Closes(&[400])),
    Row::new("rfc4475/scalar02", Bad(Fault::CSeq), BAD,
            "CSeq and Max-Forwards are out of range, which is 400; an expiry out of range would only count as the longest")
        .of("3.1.2.4", "53158177326568e9964bce5dcfac27a2bf8a90953bbc03f6c5e2775864a97e4b")
        .facts(&[(W::ContactParam(0, "expires"), "280297596632815"), (W::MaxForwards, "-")]),
    Row::new("rfc4475/scalarlg", Bad(Fault::CSeq), SILENCE, "a response is never answered; one with a fault is dropped")
        .of("3.1.2.5", "0957eca31737e3592eb1418bb41e9f5219278a78ff420111620d7fb60175b551")
        .facts(&[(W::Status, "503")]),
    Row::new("rfc4475/quotbal", Bad(Fault::FromTo), BAD, "a quote that never ends hides the address")
        .of("3.1.2.6", "e61978a2ea359fc666f0336fe4dbc623447532280e3273ea98119b3d3f788c84"),
    Row::new("rfc4475/ltgtruri", Bad(Fault::RequestUri), BAD, "brackets round a Request-URI: no phone is known to send them, so they are not guessed away")
        .of("3.1.2.7", "bcacb2dc17610e8cc8f9b8b0e3d6ee65ab473f93787a03bbd33579e1cea473df"),
    Row::new("rfc4475/lwsruri", Bad(Fault::RequestUri), BAD, "white space within a Request-URI: where it ends would be a guess")
        .of("3.1.2.8", "3e22ceeca585ad23cc180208e2dad94e0a5aa4bb877a61cac443aa927f758b9e"),
    Row::new("rfc4475/lwsstart", Bad(Fault::RequestUri), BAD, "more than one space between the parts of the request line: 400 is what the RFC suggests")
        .of("3.1.2.9", "f884e5626c6c5b1210cfc4a3540b8a28bd52939cff092f3f0c5c971e032adb0e"),
    Row::new("rfc4475/trws", Good, OK, "spaces behind the version can mean nothing else: forgiven, as the RFC allows")
        .of("3.1.2.10", "64ae20694026e28c10746b57386b7fd1276de02b6f8d42d418070e87d6f4499f")
        .facts(&[(W::Uri, "sip:remote-target@example.com")]),
    Row::new("rfc4475/escruri", Good, INVITE_CHALLENGED,
            "headers in a Request-URI are ignored, as the RFC allows: nothing of the Request-URI but user and host is ever used or passed on")
        .of("3.1.2.11", "c3cf30af13a9d107829cc105effd79355f1139c6ecc683a048b4c27951f8f416")
        .facts(&[(W::UriUser, "user"), (W::UriHost, "example.com"), (W::Field("Route"), "-")]),
    Row::new("rfc4475/baddate", Good, INVITE_CHALLENGED, "we make no use of Date, so that a bad one does no harm")
        .of("3.1.2.12", "1208a6e3e0c8a8c33a06a1f3733d158413cb72e58c379d094c4ecea11e9d4c28")
        .facts(&[(W::Field("Date"), "Fri, 01 Jan 2010 16:00:00 EST")]),
    Row::new("rfc4475/regbadct", Good, CHALLENGED,
            "without brackets `?` may not stand in a Contact, and whose it is would be a guess: 400, once there are credentials")
        .of("3.1.2.13", "575d27530275814c1c98be164808fac89a0e2b4fc899dadcd97e6ba499437bda")
        .facts(&[(W::Contacts, "-"), (W::Field("Route"), "-")]),
    Row::new("rfc4475/badaspec", Good, OK, "spaces within `< >` are dropped, as the RFC allows")
        .of("3.1.2.14", "f8f6e2f4247287b0be6adb5ac222a6db4759395e44d27d2ddb9b39393e94867e")
        .facts(&[(W::ToUri, "sip:t.watson@example.org"), (W::ToDisplay, "\"Watson, Thomas\"")]),
    Row::new("rfc4475/baddn", Bad(Fault::Truncated), BAD,
            "in the RFC's archive the header has no end. With one (`sloppy/display-comma`) the missing quotes are inferred")
        .of("3.1.2.15", "9d9428e8017092f194ec11077ba6865c251308cdfd7fd9db6a993b28e5748951")
        .tcp(Waits(&[])),
    Row::new("rfc4475/badvers", Bad(Fault::Version), Answers(&[505]), "who speaks another version is told so, by the Via that says the same version")
        .of("3.1.2.16", "037d702d19e934bfeebbd2609050d7d54928d590cf90c78f3914522771dd8e03")
        .facts(&[(W::Via(0), "UDP c.example.com - z9hG4bKkdjuw")]),
    Row::new("rfc4475/mismatch01", Bad(Fault::CSeq), BAD, "two methods in one request")
        .of("3.1.2.17", "a2c285636e451e75420da0cc62ee55ca3e398827008418befbfb078726bf0793"),
    Row::new("rfc4475/mismatch02", Bad(Fault::CSeq), BAD, "two methods in one request; the RFC allows 501 as well, but what is broken is found first")
        .of("3.1.2.18", "01b287f9a9c492f7f57405c36c8a2af0e2393896ed2d25fb92b502f2a6722bc4")
        .facts(&[(W::Method, "NEWMETHOD")]),
    Row::new("rfc4475/bigcode", Nothing(ParseError::StartLine), SILENCE, "a status of ten digits is none; what is no request is not answered")
        .of("3.1.2.19", "f79450070975da54c3525c9a5cbe75bae3c9d8cb92eba609772c26f66f225c2e"),
];

/// §3.2 to §3.4: what is well-formed, or nearly, but means something odd.
#[rustfmt::skip]
pub(crate) const MEANING: &[Row] = &[
    Row::new("rfc4475/badbranch", Good, OK, "nothing behind the magic cookie: told apart as before RFC 3261, by all else that makes a request")
        .of("3.2.1", "cb049c727f16b5ec49e822f9e8b7d0ee20ca2d20ffb50baecd0b411a5e64fa7d")
        .facts(&[(W::Via(0), "UDP 192.0.2.1 - z9hG4bK")]),
    Row::new("rfc4475/insuf", Bad(Fault::Missing), BAD, "Call-ID, From and To are missing; the answer has what is there")
        .of("3.3.1", "1e3efd9f3b238c6351ba12bc7eb46d843f2761b5d4a6b82b63bffdf07f2c5aee")
        .facts(&[(W::CallId, ""), (W::CSeq, "193942 INVITE"), (W::Body, "152")]),
    Row::new("rfc4475/unkscm", Good, UNKNOWN_SCHEME, "nobody knows the scheme (RFC 3261 §8.2.2.1)")
        .of("3.3.2", "81be1a6a566c7ab52fe1c58c4a75440dfd697ad04c5e09fa71340de7da7b8bbb")
        .facts(&[(W::Uri, "nobodyKnowsThisScheme:totallyopaquecontent"), (W::UriReadable, "no")]),
    Row::new("rfc4475/novelsc", Good, UNKNOWN_SCHEME, "a known scheme, but none that we serve")
        .of("3.3.3", "9a50a7343fcf685e77c4d0f477138a28f32a41c75aa566d200f3df210b01e648")
        .facts(&[(W::Uri, "soap.beep://192.0.2.103:3002")]),
    Row::new("rfc4475/unksm2", Good, BAD, "an address-of-record is a SIP URI: a registrar answers 400, and needs no credentials to know it")
        .of("3.3.4", "f6914409ced613ef5eb56e264d2f096dac26ab9e397d6a638934d2027f1f6acb")
        .facts(&[(W::ToUri, "isbn:2983792873"), (W::FromUri, "http://www.example.com"), (W::ContactUri(0), "name:John_Smith")]),
    Row::new("rfc4475/bext01", Good, Answers(&[420]), "a UAS lists what it lacks of Require; Proxy-Require is for proxies")
        .of("3.3.5", "57181987c02c4f5752b7aa8c2847311f6184216ce7621e40303015949e70761c")
        .facts(&[(W::Values("Require"), "2"), (W::Values("Proxy-Require"), "2")])
        .answer(&[("Unsupported", "nothingSupportsThis"), ("Unsupported", "nothingSupportsThisEither")]),
    Row::new("rfc4475/invut", Good, INVITE_CHALLENGED, "credentials first; the body is the far phone's, whose 415 is passed on")
        .of("3.3.6", "9b39e824947df46f90f824cd308fb3c118f548d94637f581101e355b381a0d92")
        .facts(&[(W::Field("Content-Type"), "application/unknownformat"), (W::Body, "40")])
        .answer(PROXY_DIGEST),
    Row::new("rfc4475/regaut01", Good, CHALLENGED, "an unknown scheme of credentials counts as none: told the one we know")
        .of("3.3.7", "885ba0488872cfc04a3c7622854b8381955a5ee890745d6010834e3731a73faa")
        .facts(&[(W::Field("Authorization"), "NoOneKnowsThisScheme opaque-data=here")])
        .answer(DIGEST),
    Row::new("rfc4475/multi01", Bad(Fault::Duplicate), BAD, "which of two Call-IDs, tags or numbers counts cannot be known")
        .of("3.3.8", "d156ab12105b4bfd8a6498de6f7195087058162b8cda1606169855b722411791"),
    Row::new("rfc4475/mcl01", Bad(Fault::Duplicate), BAD, "two lengths; a stream cannot be read on")
        .of("3.3.9", "887191619bf003b7e87399200b5cf4c3b5397344dbf70288ad5e23bd157b7fe4")
        .tcp(Closes(&[400])),
    Row::new("rfc4475/bcast", Good, SILENCE, "a response with more than our own Via is dropped, wherever the next one points (RFC 3261 §8.1.3.3)")
        .of("3.3.10", "073637c63597199179cf5fc91b980b2d530c066a0048ea3b908772def57b4c36")
        .facts(&[(W::Status, "200"), (W::Vias, "2"), (W::Via(1), "UDP 255.255.255.255 - z9hG4bK1saber23")]),
    Row::new("rfc4475/zeromf", Good, OK, "nothing is forwarded: an endpoint answers as if hops were left")
        .of("3.3.11", "50954ef47acca4f9f5263ded06246d06dee4e2ee508a8d284191795d7fddf365")
        .facts(&[(W::MaxForwards, "0")]),
    Row::new("rfc4475/cparam01", Good, CHALLENGED, "without brackets the parameter belongs to the field: it is no part of the binding")
        .of("3.3.12", "dfa6b5cdb289adc694b9b7e103ebfa7a2167335c46e5dc9de67055021910ae1c")
        .facts(&[(W::ContactUri(0), "sip:+19725552222@gw1.example.net"), (W::ContactParam(0, "unknownparam"), "")]),
    Row::new("rfc4475/cparam02", Good, CHALLENGED, "within brackets the parameter belongs to the URI: it is part of the binding")
        .of("3.3.13", "e93574215bd1d804bb46cc15ca6176b567def7ea1b15f72ab2c2dcf598af465a")
        .facts(&[(W::ContactUri(0), "sip:+19725552222@gw1.example.net;unknownparam"), (W::ContactParam(0, "unknownparam"), "-")]),
    Row::new("rfc4475/regescrt", Good, CHALLENGED, "a binding may have headers; they stay out of request lines")
        .of("3.3.14", "dab4087c133348b06fd7b3c4c7ef15094f8754e265e4e8c2137bb3ecda2ef477")
        .facts(&[(W::ContactUri(0), "sip:user@example.com?Route=%3Csip:sip.example.com%3E"), (W::Field("Route"), "-")]),
    Row::new("rfc4475/sdp01", Good, INVITE_CHALLENGED, "credentials first; whether it can answer is the far phone's to say, whose 406 is passed on")
        .of("3.3.15", "497c5f1ced6c7b579b48075e2dca919ce9b819a735964128a6e744a3a0b9e57f")
        .facts(&[(W::Field("Accept"), "text/nobodyKnowsThis"), (W::Body, "150")])
        .answer(PROXY_DIGEST),
    Row::new("rfc4475/inv2543", Good, INVITE_CHALLENGED,
            "as phones were before RFC 3261: no tag, no branch, no Max-Forwards, no Content-Length. Over a stream the last is an error")
        .of("3.4.1", "76fac8afe22dee49ea696b511621946694897ac7030fc5d07f57c8b487ce0521")
        .tcp(Closes(&[400]))
        .facts(&[
            (W::FromTag, "-"), (W::FromUser, "+13035551111"), (W::Via(0), "UDP iftgw.example.com - -"), (W::MaxForwards, "-"),
            (W::ToUser, "+16505552222"), (W::Contacts, "0"), (W::Body, "105"),
        ]),
];
