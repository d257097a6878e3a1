//! Pauses in long work of threads that run when the core is idle ([`super::idle`]), while others are at
//! work that may not wait.
//!
//! A low priority is not enough for such work not to delay phones: a core takes over what waits at another
//! core when it runs out of work, or else at its next tick, up to 4 ms later, and with long work it never
//! runs out. So the work pauses now and then for some microseconds, but only as long as others are at work
//! ([`at_work`]): alone it goes on in one go.
//!
//! Work of a library that knows no pauses (a password's Argon2 takes 15 ms) is made to pause by a timer that
//! sends its thread a signal, whose handler sleeps. The signal is `SIGURG`: nothing here uses it otherwise,
//! and a process without a handler ignores it.

use crate::base::time::Mono;
use libc::c_int;
use nix::sys::signal::{SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal, sigaction};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use rustix::thread::{Timespec, gettid, nanosleep};
use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often there may be a pause; about one step of [`AT_WORK`].
const EVERY: Duration = Duration::from_micros(512);
/// How long the thread sleeps; until it runs again is about twice as long.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000 };

/// Chances of a pause that are taken for each step in which others were at work: who is at work for less
/// than a ninth of the time has little to wait for.
const TAKEN_A_STEP: u32 = 8;
/// Chances that are taken at most after the others' last step, 50 ms: who waits for a core shows no work.
const TAKEN_MAX: u32 = 100;

/// The last step of time in which somebody was at work that may not wait. One for the process, as its cores
/// are, and as a signal's handler is given nothing else.
static AT_WORK: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// [`AT_WORK`] as this thread last saw it, and the chances of a pause that are still to be taken.
    static SEEN: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

/// Says that work is done at this moment that may not wait. It costs next to nothing: what all look at is
/// written once a step.
pub fn at_work(now: Mono) {
    let step = now.as_micros() / 512;
    if AT_WORK.load(Ordering::Relaxed) != step {
        AT_WORK.store(step, Ordering::Relaxed);
    }
}

/// What makes one thread pause; it stays with that thread.
#[derive(Debug)]
pub struct Pauses(Timer);

impl Pauses {
    /// For the thread that calls.
    ///
    /// # Errors
    /// If the kernel has no timer left, or a sandbox refuses.
    pub fn of_this_thread() -> io::Result<Self> {
        let action = SigAction::new(SigHandler::Handler(chance), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: `chance` does only what a handler may: it reads an atomic and a thread-local number that
        // needs no initialisation, and makes one system call, which leaves `errno` alone.
        #[allow(unsafe_code)]
        unsafe { sigaction(Signal::SIGURG, &action) }?;
        let thread_id = gettid().as_raw_nonzero().get();
        let notify = SigevNotify::SigevThreadId { signal: Signal::SIGURG, thread_id, si_value: 0 };
        Ok(Self(Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(notify))?))
    }

    /// Works, with pauses while others are at work.
    pub fn during<T>(&mut self, work: impl FnOnce() -> T) -> T {
        // A timer that there is can be set; if it could not, there would be no pauses.
        let _ = self.0.set(Expiration::Interval(EVERY.into()), TimerSetTimeFlags::empty());
        let done = work();
        let _ = self.0.set(Expiration::OneShot(Duration::ZERO.into()), TimerSetTimeFlags::empty());
        done
    }
}

/// A chance of a pause: the signal's handler.
extern "C" fn chance(_: c_int) {
    let (seen, left) = SEEN.get();
    let worked = AT_WORK.load(Ordering::Relaxed);
    let left = still_to_take(left, worked != seen);
    SEEN.set((worked, left));
    if left > 0 {
        let _ = nanosleep(&PAUSE);
    }
}

/// How many chances of a pause are still to be taken, this one among them.
const fn still_to_take(left: u32, others_worked: bool) -> u32 {
    match (others_worked, left + TAKEN_A_STEP) {
        (true, more) if more < TAKEN_MAX => more,
        (true, _) => TAKEN_MAX,
        (false, _) => left.saturating_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn chances_are_taken_while_others_work_and_some_time_after() {
        let taken = |others: &[bool]| {
            let mut left = 0;
            let take = |&worked| {
                left = still_to_take(left, worked);
                usize::from(left > 0)
            };
            others.iter().map(take).sum::<usize>()
        };
        assert_eq!(taken(&[false; 1_000]), 0);
        assert_eq!(taken(&[true; 1_000]), 1_000);
        let step_and_rest = |rest| [vec![true], vec![false; rest]].concat();
        assert_eq!(taken(&step_and_rest(1_000)), 8);
        assert_eq!(taken(&step_and_rest(7).repeat(10)), 80, "an eighth of the time: always");
        assert_eq!(taken(&step_and_rest(15).repeat(10)), 80, "a sixteenth: half of the chances");
        assert_eq!(taken(&[vec![true; 500], vec![false; 1_000]].concat()), 500 + 99);
    }

    /// How often a thread gave its core away (`proc_pid_status(5)`).
    fn sleeps_of_this_thread() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    }

    #[test]
    fn work_in_one_go_pauses_while_others_work_and_its_timer_ends_with_it() {
        let mut pauses = Pauses::of_this_thread().unwrap();
        let (began, before) = (Instant::now(), sleeps_of_this_thread());
        let slept = pauses.during(|| {
            for step in 1.. {
                at_work(Mono::from_micros(step * 512));
                let slept = sleeps_of_this_thread() - before;
                if slept > 20 || began.elapsed() > Duration::from_secs(60) {
                    return slept;
                }
            }
            0
        });
        assert!(slept > 20, "{slept} pauses in {:?}", began.elapsed());
        assert!(matches!(pauses.0.get(), Ok(None)), "the timer runs on");
    }
}
