//! Every bound, by name. What happens past it stands with each, and is counted in
//! `stationmaster_shed_total{why}` or `stationmaster_parse_errors_total{kind}`.

use std::time::Duration;

/// Longest SIP message in bytes, header and body; longer: 413 where it can be answered, and the
/// stream is closed. Spans in a message are 16 bits wide, which this keeps true.
pub const MESSAGE_BYTES_MAX: usize = 65_535;

/// Longest header section of a message on a stream before its end must have come.
pub const HEADER_BYTES_MAX: usize = 16_384;

/// Longest start line, and longest header field with all lines over which it is folded, in bytes;
/// longer: 400.
pub const LINE_BYTES_MAX: usize = 8_192;

/// Longest Request-URI, in bytes; longer: 414.
pub const REQUEST_URI_BYTES_MAX: usize = 2_048;

/// Header fields in a message; more: 400.
pub const HEADERS_MAX: usize = 128;

/// Parameters, and headers, of a URI that are compared one by one; URIs with more are the same only
/// if these are the same bytes.
pub const URI_PARTS_MAX: usize = 32;

/// Contact values in one REGISTER; more: 400.
pub const REGISTER_CONTACTS_MAX: usize = 16;

/// Longest Contact URI kept in a binding, in bytes; longer: 400.
pub const CONTACT_BYTES_MAX: usize = 512;

/// Longest Path kept in a binding, all its values together, in bytes; longer: 400.
pub const PATH_BYTES_MAX: usize = 1_024;

/// Live bindings of one extension; one more: 403.
pub const BINDINGS_MAX: usize = 16;

/// Devices remembered per extension, revoked ones included; the revoked longest ago go first.
pub const DEVICES_MAX: usize = 64;

/// Longest name of a device, in characters. What people give is refused past it, what phones call themselves is cut.
pub const DEVICE_NAME_CHARS_MAX: usize = 64;

/// Extensions in the directory; a command that would add more is refused.
pub const EXTENSIONS_MAX: usize = 4_000_000;

/// Unknown identities whose failures are counted; past it those with the oldest failure go first.
pub const STRANGERS_MAX: usize = 65_536;

/// Sources whose failures are counted; past it those with the oldest failure go first.
pub const SOURCES_MAX: usize = 65_536;

/// Identities remembered per source; further ones count as failures only.
pub const SOURCE_IDENTITIES_MAX: usize = 16;

/// Source bans at a time; past it those nearest their end go first.
pub const BANS_MAX: usize = 10_000;

/// Entries of the refusal cache per shard.
pub const REFUSALS_MAX: usize = 16_384;

/// Serials of a shard's nonce ring: how many challenges may be out at a time.
pub const NONCE_RING: usize = 1 << 20;

/// How long a nonce lives.
pub const NONCE_AGE_MAX: Duration = Duration::from_secs(600);

/// Requests of one shard that wait for the store; more: 503. Less than [`MAILBOX_MAX`], so that
/// there is always room in the shard's mailbox for the store's answers.
pub const COMMITS_WAITING_MAX: usize = 4_096;

/// Transactions of one shard; more: 503. Over UDP each lingers 32 s after its end to absorb
/// retransmissions (RFC 3261 §17), so 10,000 calls a second keep over a million.
pub const TRANSACTIONS_MAX: usize = 1 << 20;

/// Calls of one shard; more: 503.
pub const CALLS_MAX: usize = 32_768;

/// Branches of one call: bindings rung at a time; beyond it those with the lowest q, and of them
/// the oldest, are not rung.
pub const FORKS_MAX: usize = 16;

/// Requests other than INVITE and BYE that wait for the other side of one call; more: 500.
pub const RELAYS_MAX: usize = 8;

/// Bytes of the route set of one dialog; more: 400.
pub const ROUTES_BYTES_MAX: usize = 2_048;

/// Letters from one shard to another that wait; past it UDP is dropped.
pub const MAILBOX_MAX: usize = 8_192;

/// Connections of one shard; one more is closed at once.
pub const STREAMS_MAX: usize = 65_536;

/// Connections of one source address; one more is closed at once.
pub const STREAMS_PER_SOURCE_MAX: usize = 256;

/// Bytes that wait to be written to one connection; more: the connection is closed.
pub const STREAM_QUEUE_BYTES_MAX: usize = 262_144;

/// How long a connection may stay silent without a binding.
pub const STREAM_IDLE_MAX: Duration = Duration::from_secs(120);

/// How long a message on a connection may take from its first byte to its last.
pub const STREAM_MESSAGE_MAX: Duration = Duration::from_secs(20);

/// How long a connection may live before somebody signs in over it, or is called over it.
pub const STREAM_STRANGER_MAX: Duration = Duration::from_secs(60);

/// How long TLS and WebSocket handshakes may take together.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Connections of one shard with an unfinished handshake; until one ends, no more are accepted by
/// listeners that shake hands.
pub const HANDSHAKES_MAX: usize = 2_048;

/// Connections of one source address with an unfinished handshake; one more is closed at once.
pub const HANDSHAKES_PER_SOURCE_MAX: usize = 128;

/// Steps of TLS handshakes (about a millisecond each with RSA) before timers, mailbox and datagrams
/// get their turn again.
pub const HANDSHAKES_PER_TURN: usize = 4;

/// Longest HTTP request that asks for a WebSocket, in bytes; longer: 431 and closed.
pub const WS_REQUEST_BYTES_MAX: usize = 8_192;

/// Datagrams read from a socket before timers and mailbox get their turn again.
pub const DATAGRAMS_PER_TURN: usize = 64;

/// Rows of one import file.
pub const IMPORT_ROWS_MAX: usize = 4_000_000;

/// Longest request on the admin socket, in bytes.
pub const ADMIN_REQUEST_BYTES_MAX: usize = 268_435_456;

/// Admin connections at a time; one more waits.
pub const ADMIN_CONNECTIONS_MAX: usize = 32;

/// Listen addresses; more: a bad configuration. A flow names its listener in 8 bits.
pub const LISTENERS_MAX: usize = 256;

/// Answers of one shard to STUN keep-alives in a second; more requests are dropped.
pub const STUN_ANSWERS_PER_S: u32 = 5_000;

/// Receive and send buffer asked of the kernel for each UDP socket, in bytes; the kernel may give less
/// (`net.core.rmem_max`), and drops what does not fit.
pub const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Connections that wait to be accepted, per listener and shard; past it the kernel drops.
pub const ACCEPT_BACKLOG: i32 = 4_096;

/// Messages from connections that wait for their shard; past it the connections are not read.
pub const STREAM_MESSAGES_WAITING_MAX: usize = 256;

/// Bytes read from one connection before others get their turn.
pub const STREAM_READ_BYTES_MAX: usize = 16_384;

/// Letters and posts taken from a mailbox before timers and sockets get their turn again.
pub const MAILS_PER_TURN: usize = 256;

/// How long a stopping shard may take to finish what it holds and to write what waits.
pub const STOP_MAX: Duration = Duration::from_secs(2);

/// Notices waiting in an extension's outbox; past it the oldest go.
pub const OUTBOX_MAX: usize = 64;

/// Messages in the mail spool; past it mails wait in the store.
pub const SPOOL_FILES_MAX: usize = 100_000;

/// Longest body of an HTTP request, in bytes; longer: 413.
pub const HTTP_BODY_BYTES_MAX: usize = 16_384;

/// How long the body of an HTTP request may take; longer: 408.
pub const HTTP_BODY_WAIT_MAX: Duration = Duration::from_secs(10);

/// Sources whose HTTP requests without a sign-in are counted; past it those of new ones are refused
/// (429) until others have been quiet.
pub const HTTP_SOURCES_MAX: usize = 16_384;

/// HTTP connections of one listener at a time; for one more that is closed which has waited longest for its
/// client, or the new one if all are being answered.
pub const HTTP_CONNECTIONS_MAX: usize = 4_096;

/// Longest header of an HTTP request, in bytes; longer: the connection is closed.
pub const HTTP_HEADER_BYTES_MAX: usize = 32_768;

/// How long one HTTP connection may live; then it is closed.
pub const HTTP_CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);

/// Tenants or extensions in one answer on the admin socket; for more the command asks again.
pub const ADMIN_PAGE_ROWS: usize = 10_000;

/// Extensions that registered over one connection; the bindings of one more outlive it.
pub const STREAM_LOGINS_MAX: usize = 4_096;

/// How long a request waits for the store before it is given up: by then its sender has (64 × T1).
pub const COMMIT_WAIT_MAX: Duration = Duration::from_secs(32);

/// Refreshes that wait because the store is unavailable; past it they are dropped and counted, and all
/// bindings are written anew once it is back.
pub const REFRESHES_UNWRITTEN_MAX: usize = 500_000;

/// Events of one shard that wait to be logged; more are dropped and counted.
pub const EVENTS_MAX: usize = 65_536;

/// Lines of the log that are written together, in bytes: the line that reaches it is the last of them.
pub const LINES_TOGETHER_BYTES: usize = 65_536;

/// Phones that one shard asks in a second, after a start, whether they are still there.
pub const PROBES_PER_SECOND: usize = 500;

/// Phones of one shard that have been asked and have not answered; the others wait. More than those
/// that are asked within the 32 s that an answer may take.
pub const PROBES_WAITING_MAX: usize = 32_768;

/// Wrong answers to the security question that kill the link of a reset.
pub const RESET_ANSWERS_MAX: u8 = 5;

/// Mails with the link of a reset to one extension in an hour; more are not sent.
pub const RESET_MAILS_PER_HOUR: usize = 3;

/// Mails of new devices to one extension in an hour; more are not sent.
pub const NEW_DEVICE_MAILS_PER_HOUR: usize = 4;

/// Mails of locks to one extension in an hour; more are not sent.
pub const LOCKED_MAILS_PER_HOUR: usize = 1;

/// Codes by SMS to one extension's person in an hour; one more is refused.
pub const TEXTS_PER_HOUR: usize = 6;

/// Codes by SMS to one number in an hour, whoever asks for them; one more is refused.
pub const TEXTS_PER_NUMBER: usize = 6;

/// Texts that are handed to the SMS gateway at a time. Those of one extension go one after another.
pub const TEXTS_AT_A_TIME: usize = 4;

/// People who are waiting to hear whether their text was handed over; one more is told that it is under way.
pub const TEXTS_AWAITED_MAX: usize = 1_024;

/// Mails of one kind that wait for one extension; past it the oldest go.
pub const MAILS_OF_A_KIND_MAX: usize = 8;

/// Extensions with one address that are written to when it says that it has forgotten the password; of
/// more, none is.
pub const FORGOT_EXTENSIONS_MAX: usize = 4;

/// Direct numbers of one extension; one more is refused.
pub const NUMBERS_MAX: usize = 16;

/// Browsers remembered per extension by their cookies; past it the one that signed in longest ago goes.
pub const BROWSERS_MAX: usize = 8;

/// Recovery codes of one extension.
pub const RECOVERY_CODES: usize = 10;

/// Lines of the audit about bans in one hour; further bans hold and are not told there.
pub const AUDIT_BANS_PER_HOUR: usize = 1_000;

/// Events kept of one device's registrations; the oldest go first.
pub const HISTORY_EVENTS_MAX: usize = 24;

/// Devices of one extension whose events are kept: as many as may be activated, one place for phones that are
/// no devices, and a few that were revoked. Those go first that are no devices any more, then those that
/// nothing happened to for longest.
pub const HISTORY_DEVICES_MAX: usize = BINDINGS_MAX + 1 + 3;

/// Events of all extensions that wait to be kept; more are dropped and counted.
pub const HISTORY_WAITING_MAX: usize = 65_536;

/// Extensions of which it waits to be kept that locks and bans refuse their sign-ins; of more it is dropped and
/// counted.
pub const HISTORY_BARRED_MAX: usize = 4_096;

/// Identities, each for those that exist and those that do not, whose failures at the portal's password
/// and at PINs are remembered; past it those with the oldest failure go first. More than can fail within
/// a window, since each failure at a password costs a run of Argon2.
pub const PEOPLE_MAX: usize = 131_072;

/// Locks that have begun and are not known to be written; of more, those are not tried again whose writing fails.
pub const LOCKS_OWED_MAX: usize = 65_536;

/// Runs of Argon2 that wait; more: 503.
pub const ARGON_WAITING_MAX: usize = 64;

/// Sign-ins of people under way, those included that wait for another one of the same person; more: 503.
pub const SIGN_INS_MAX: usize = 1_024;

/// Portal sessions of one extension; past it the one that was not used for longest ends.
pub const SESSIONS_MAX: usize = 16;

/// Sign-ins that wait for their second factor; past it the oldest must begin anew.
pub const PENDING_SIGN_INS_MAX: usize = 4_096;

/// Sign-ins of one extension that wait for their second factor; past it its oldest must begin anew.
pub const PENDING_SIGN_INS_EACH: usize = 4;

/// Access keys of one extension; one more is refused.
pub const KEYS_PER_EXTENSION_MAX: usize = 8;

/// Access keys of operators; one more is refused.
pub const KEYS_OF_OPERATORS_MAX: usize = 64;

/// Idempotency keys kept of one caller; past it the oldest goes before its time.
pub const ONCE_PER_CALLER_MAX: usize = 1_000;

/// Idempotency keys kept of all callers together; past it the oldest goes before its time.
pub const ONCE_MAX: usize = 20_000;

/// How long the answer to a request with an idempotency key is kept.
pub const ONCE_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Longest idempotency key, in bytes; longer: 400.
pub const ONCE_KEY_BYTES_MAX: usize = 128;

/// Extensions that one search looks at; where more are left the answer says behind which to go on.
pub const SEARCHED_MAX: usize = 50_000;

/// Rows of one answer over HTTP.
pub const HTTP_PAGE_ROWS_MAX: usize = 1_000;

/// Longest text that is searched for, in characters.
pub const SEARCH_CHARS_MAX: usize = 128;

/// HTTP connections of one source at a time; one more is closed at once.
pub const HTTP_CONNECTIONS_PER_SOURCE_MAX: usize = 24;

/// How long the header of an HTTP request may take, and how long a connection may wait for the next one;
/// then it is closed.
pub const HTTP_HEADER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Keep-alives that one shard sends in a second; past it phones wait longer for theirs. At a turn every
/// 25 s that is 100,000 phones behind NATs.
pub const KEEP_ALIVES_PER_SECOND: usize = 4_000;

/// Addresses of one shard that are kept alive; one more is not.
pub const KEPT_MAX: usize = 1 << 20;

/// Longest request that goes to a phone in a datagram if it can go over a connection, in bytes (RFC 3261
/// §18.1.1): one of the phone's own, or one that is opened to it. If no connection comes of that, it is sent
/// in a datagram all the same, and the network cuts it in pieces.
pub const DATAGRAM_BYTES_WISHED: usize = 1_300;

/// Connections of one shard that it opened, those being opened included; past it no more are opened:
/// requests go in datagrams, answers are lost.
pub const OUTGOING_MAX: usize = 4_096;

/// Connections of one shard that are being opened; past it no more are.
pub const OUTGOING_OPENING_MAX: usize = 256;

/// How long it may take to open a connection.
pub const OUTGOING_OPENING_WAIT_MAX: Duration = Duration::from_secs(3);

/// How long what was written to a connection that was opened may go unacknowledged by its peer's system; then
/// it is closed. Less than a peer remembers a request (64 × T1), so that one which came in a datagram meanwhile
/// is not taken for a new one.
pub const OUTGOING_UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(20);

/// Bytes that wait until one connection is open; with more, all that waits is given up.
pub const OUTGOING_WAITING_BYTES_MAX: usize = 131_072;

/// How long none is opened to an address where that failed, or where nobody ever said anything.
pub const OUTGOING_AVOIDED: Duration = Duration::from_secs(600);

/// Such addresses that one shard remembers; past it the one that failed first is tried again.
pub const OUTGOING_AVOIDED_MAX: usize = 16_384;

/// Streams of a session description that we answer ourselves; one with more is refused (488).
pub const SDP_STREAMS_MAX: usize = 16;

/// Payload types of a stream that we look at.
pub const SDP_FORMATS_MAX: usize = 32;

/// Lines of a key in SIP INFO that we look at.
pub const DTMF_LINES_MAX: usize = 16;

/// Longest RTP packet that we look at, in bytes.
pub const RTP_BYTES_MAX: usize = 1_500;

/// Calls to the phone menu at a time, of one shard; one more gets 503.
pub const MENU_CALLS_MAX: usize = 256;

/// How long a call to the phone menu may last; then it says goodbye.
pub const MENU_CALL_MAX: Duration = Duration::from_secs(180);

/// How long the phone menu waits for the first key after it has asked.
pub const MENU_FIRST_KEY_MAX: Duration = Duration::from_secs(10);

/// How long it waits for the next key; then what was entered counts as ended.
pub const MENU_NEXT_KEY_MAX: Duration = Duration::from_secs(4);

/// Longest a prompt may take, and anything that the menu has asked for; then it goes on without.
pub const MENU_WAIT_MAX: Duration = Duration::from_secs(20);

/// Failed attempts in one call to the phone menu; with the last it says goodbye.
pub const MENU_TRIES_MAX: u8 = 3;

/// Keys of one entry; more make it wrong.
pub const MENU_KEYS_MAX: usize = 24;

/// Keys pressed ahead, while the menu is busy; more are dropped.
pub const MENU_AHEAD_MAX: usize = 64;

/// Enquiries of the phone menu under way; one more is answered that it cannot be done now.
pub const MENU_ENQUIRIES_MAX: usize = 256;

/// Streams of sound at a time, of all shards together; one more call gets 503. Fewer if `[media] ports` has
/// fewer.
pub const MEDIA_LINES_MAX: usize = 512;

/// Orders that wait for one stream of sound; more are dropped, which ends its call by its own times.
pub const MEDIA_ORDERS_MAX: usize = 64;

/// Longest file of a prompt, in bytes: a minute.
pub const PROMPT_BYTES_MAX: u64 = 1_000_000;
