//! What must be true of phones' books, whoever they called through.

use super::phone::Phone;
use super::phone::call::{Call, Ended};

/// Everything that is wrong with the calls of these phones, all of which are over.
pub(crate) fn calls(phones: &[Phone]) -> Vec<String> {
    let mut wrong = Vec::new();
    let all = || phones.iter().flat_map(|phone| phone.calls.iter().map(move |call| (phone, call)));
    for (phone, call) in all() {
        let mut say = |what: String| wrong.push(format!("{} call {}: {what}", phone.setup.label, call.id));
        match call.ended {
            None => say(format!("never ended, {:?}", call.stage)),
            Some(Ended::NoFinal) => say("its INVITE got no final answer".to_owned()),
            _ => {}
        }
        if !call.was_up || call.remote_sdp.is_empty() {
            continue;
        }
        let peers: Vec<_> = all().filter(|(_, peer)| talks_with(call, peer)).collect();
        let [(other, peer)] = peers[..] else {
            say(format!("{} sides have the session {:?}", peers.len(), Call::origin(&call.remote_sdp)));
            continue;
        };
        if !call.unsettled && !peer.unsettled && call.remote_sdp != peer.local_sdp {
            say(format!(
                "it has {:?} of {} call {}, which has {:?}",
                Call::origin(&call.remote_sdp),
                other.setup.label,
                peer.id,
                Call::origin(&peer.local_sdp)
            ));
        }
    }
    for phone in phones {
        wrong.extend(phone.wrongs.iter().cloned());
    }
    wrong
}

/// Whether what one side heard is the other side's session, of whatever version.
fn talks_with(call: &Call, peer: &Call) -> bool {
    call.caller != peer.caller && session(&call.remote_sdp) == session(&peer.local_sdp)
}

/// Who described a session, and which.
fn session(sdp: &str) -> Option<(&str, &str)> {
    let mut words = Call::origin(sdp).split(' ');
    Some((words.next()?, words.next()?)).filter(|(origin, _)| !origin.is_empty())
}
