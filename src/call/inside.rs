//! Calls that end here: the server itself is called and answers (RFC 3261 §13.3.1), for the phone menu.
//!
//! There is a near leg and no branch; what the far one would do is done here, and told as [`Inside`].
//!
//! | state | what happens | next | what is done |
//! | --- | --- | --- | --- |
//! | | an INVITE with an offer that cannot be taken | gone | 488; another body: 415 |
//! | | any other INVITE | Ringing | 100, unless it is picked up before that is due |
//! | Ringing | picked up | Talking | 200 with the answer, or with an offer, repeated until the ACK; told what is agreed |
//! | Ringing | turned down, or not picked up in time | Ended | that status, 503 |
//! | Talking | the first ACK | Talking | what it agrees to; told that the call stands |
//! | Talking | an ACK that owes an answer and has none that can be taken | Ended | BYE |
//! | Talking | re-INVITE | Talking | 200 with the answer, or an offer; 488 if it cannot be taken |
//! | Talking | INFO with a key | Talking | 200; told the key. Another body: 415 |
//! | Talking | put down | Ended | BYE |
//! | any but Ended | CANCEL, BYE, no ACK: as ever | Ended | as ever; told that it is over |

use super::calls::Calls;
use super::carry;
use super::desk::{CallRef, Desk, Device, Output, Refused, ReplyTo, retry_after};
use super::record::End;
use super::setup::Arrival;
use super::state::{Call, Exchange, LegState, Side, Stage, State};
use crate::base::flow::Flow;
use crate::base::time::Now;
use crate::dialog::{Hop, ReplyHead};
use crate::menu::Service;
use crate::rtp::info::{Signal, signal};
use crate::sdp::{self, Audio, Session};
use crate::sip::header::Media;
use crate::sip::reply::ToTag;
use crate::sip::{Message, Name};
use bytes::Bytes;
use compact_str::CompactString;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long a call that ends here may wait to be picked up.
const PICK_UP_MAX: Duration = Duration::from_secs(5);

/// What happens in a call that ends here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Inside {
    /// Sound goes so from now on.
    Agreed(Audio),
    /// The caller has acknowledged: the call stands.
    Stands,
    /// The caller has sent a key in an INFO.
    Key(crate::rtp::Digit),
    /// It is over.
    Over,
}

/// What was decided about an INVITE to us.
#[derive(Clone, Debug)]
pub struct Hosted {
    /// Who calls, for records.
    pub caller: CompactString,
    /// Its phone, if it registered by a connection.
    pub device: Option<Arc<Device>>,
    /// What was dialled, for records.
    pub called: CompactString,
    /// Our `host[:port]` as the caller reaches us.
    pub sent_by: Bytes,
    /// The address where sound will be heard, as far as its family goes.
    pub family: IpAddr,
    /// What answers.
    pub service: Service,
}

/// What a call has in place of a far leg.
#[derive(Debug)]
pub(super) struct Within {
    pub(super) service: Service,
    /// The offer of the INVITE, until it is answered.
    offer: Bytes,
    /// Our side, once it has been picked up.
    session: Option<Session>,
}

impl Calls {
    /// Takes an INVITE to us that was new and authenticated. It is then to be picked up or
    /// turned down.
    ///
    /// # Errors
    /// [`Refused::Full`] leaves the answer to the caller; otherwise it was answered here.
    pub fn host(
        &mut self,
        now: Now,
        request: &Message,
        flow: Flow,
        hosted: Hosted,
    ) -> Result<CallRef, Refused> {
        let arrival = Arrival {
            request,
            hop: Hop { flow, sent_by: hosted.sent_by },
            caller: hosted.caller,
            device: hosted.device,
            called: hosted.called,
            ring_max: PICK_UP_MAX,
        };
        let mut call = self
            .begin(now, arrival, |desk, to, tag| refuse_offer(desk, to, request, tag, hosted.family, now))?;
        let (me, offer) = (call.me, Bytes::copy_from_slice(request.body()));
        call.within = Some(Box::new(Within { service: hosted.service, offer, session: None }));
        self.insert(call);
        Ok(me)
    }

    /// Picks a call up: sound is heard at `local`.
    pub fn pick_up(&mut self, now: Now, call: CallRef, local: SocketAddr) {
        self.with(call, |call, desk| call.pick_up(desk, local, now));
    }

    /// Turns a call down that was not picked up.
    pub fn turn_down(&mut self, now: Now, call: CallRef, status: u16) {
        self.with(call, |call, desk| call.turn_down(desk, status, now));
    }

    /// Puts a call down that was picked up.
    pub fn put_down(&mut self, now: Now, call: CallRef) {
        self.with(call, |call, desk| call.hang_up(desk, End::CalledHungUp, None, now));
    }
}

impl Call {
    /// Tells what happens, if the call ends here.
    pub(super) fn tell_inside(&self, desk: &mut Desk, what: Inside) {
        if self.within.is_some() {
            desk.told.push_back(Output::Inside { call: self.me, what });
        }
    }

    fn pick_up(&mut self, desk: &mut Desk, local: SocketAddr, now: Now) {
        let Some(within) = self.within.as_mut().filter(|_| self.state == State::Ringing) else { return };
        let mut session = Session::new(local, desk.rng.bits());
        let offer = std::mem::take(&mut within.offer);
        let (body, agreed) = if offer.is_empty() {
            (session.offer(), None)
        } else {
            match session.answer(&offer) {
                Ok((answer, audio)) => (answer, Some(audio)),
                Err(_) => return self.turn_down(desk, 488, now),
            }
        };
        within.session = Some(session);
        self.state = State::Talking;
        self.trying_at = None;
        self.answered = Some(now.mono);
        desk.counts.answered += 1;
        let (to, head) = (self.to, self.head.clone());
        self.accept_inside(desk, to, &head, &body, (self.cseq, true), now);
        if let Some(audio) = agreed {
            self.tell_inside(desk, Inside::Agreed(audio));
        }
    }

    /// Answers 2xx to an INVITE with this number, the first or a later one.
    fn accept_inside(
        &mut self,
        desk: &mut Desk,
        to: ReplyTo,
        head: &ReplyHead,
        body: &[u8],
        (cseq, initial): (u32, bool),
        now: Now,
    ) {
        let mut writer = head.answer(&mut desk.out, 200);
        self.near.dialog.contact(&mut writer, &self.near.hop);
        writer.field(Name::Allow, carry::ALLOW).field(Name::ContentType, b"application/sdp");
        let answer = writer.finish_with(body);
        self.exchange = Some(Exchange {
            from: Side::Near,
            cseq,
            initial,
            offered: self.offered,
            client: None,
            client_cseq: 0,
            stage: Stage::answered(desk, &answer, to, now.mono),
        });
        desk.respond(to, 200, answer, now.mono);
    }

    pub(super) fn turn_down(&mut self, desk: &mut Desk, status: u16, now: Now) {
        if self.state != State::Ringing {
            return;
        }
        let seconds = 1 + desk.rng.below(10);
        let mut writer = self.head.answer(&mut desk.out, status);
        if status == 503 {
            retry_after(&mut writer, seconds);
        }
        let answer = writer.finish();
        desk.respond(self.to, status, answer, now.mono);
        self.near.state = LegState::Closed;
        self.tell(desk, status, End::Refused(status), now);
    }

    /// The ACK to a 2xx of ours has come.
    pub(super) fn acknowledged_inside(
        &mut self,
        desk: &mut Desk,
        exchange: &Exchange,
        ack: &Message,
        now: Now,
    ) {
        let Some(within) = &self.within else { return };
        if self.state != State::Talking {
            return;
        }
        if !exchange.offered {
            let accepted = within.session.as_ref().map(|session| session.accept(ack.body()));
            let Some(Ok(audio)) = accepted else {
                return self.hang_up(desk, End::LegLost, None, now);
            };
            self.tell_inside(desk, Inside::Agreed(audio));
        }
        if exchange.initial {
            self.tell_inside(desk, Inside::Stands);
        }
    }

    /// A re-INVITE, for which there is time.
    pub(super) fn reinvite_inside(&mut self, desk: &mut Desk, request: &Message, to: ReplyTo, now: Now) {
        let family = match self.within.as_ref().and_then(|within| within.session.as_ref()) {
            Some(session) => session.local().ip(),
            None => return desk.reply(to, request, 500, ToTag::AsIs, now.mono, |_| {}),
        };
        if refuse_offer(desk, to, request, ToTag::AsIs, family, now).is_some() {
            return;
        }
        let Some(session) = self.within.as_mut().and_then(|within| within.session.as_mut()) else { return };
        self.offered = !request.body().is_empty();
        let (body, agreed) = match session.answer(request.body()) {
            Ok((answer, audio)) => (answer, Some(audio)),
            Err(_) => (session.offer(), None),
        };
        let head = ReplyHead::new(&mut desk.out, request, to.source.remote, ToTag::AsIs);
        let target = self.near.dialog.target_in(request);
        self.near.dialog.move_to(target);
        self.accept_inside(desk, to, &head, &body, (request.cseq().number, false), now);
        if let Some(audio) = agreed {
            self.tell_inside(desk, Inside::Agreed(audio));
        }
    }

    /// An INFO.
    pub(super) fn info_inside(&mut self, desk: &mut Desk, request: &Message, to: ReplyTo, now: Now) {
        let kind = request.read::<Media<'_>>(Name::ContentType).ok().flatten();
        let said = kind.and_then(|kind| signal(&kind, request.body()));
        if said.is_none() && !request.body().is_empty() {
            return desk.reply(to, request, 415, ToTag::AsIs, now.mono, |writer| {
                writer.field(Name::Accept, b"application/dtmf-relay, application/dtmf");
            });
        }
        desk.reply(to, request, 200, ToTag::AsIs, now.mono, |_| {});
        if let Some(Signal::Pressed(digit)) = said {
            self.tell_inside(desk, Inside::Key(digit));
        }
    }
}

/// Refuses a body that is no offer that can be taken; the status it was answered with.
fn refuse_offer(
    desk: &mut Desk,
    to: ReplyTo,
    request: &Message,
    tag: ToTag<'_>,
    family: IpAddr,
    now: Now,
) -> Option<u16> {
    if request.body().is_empty() {
        return None;
    }
    let kind = request.read::<Media<'_>>(Name::ContentType).ok().flatten();
    if !kind.is_some_and(|kind| kind.is("application", "sdp")) {
        desk.reply(to, request, 415, tag, now.mono, |writer| {
            writer.field(Name::Accept, b"application/sdp");
        });
        return Some(415);
    }
    if sdp::audio::acceptable(request.body(), family).is_err() {
        desk.reply(to, request, 488, tag, now.mono, |_| {});
        return Some(488);
    }
    None
}
