//! Threads that run only when no other wants the core.
//!
//! Niceness is not enough for work that must not delay phones: a nice thread still counts as a thread
//! when the kernel looks for a free core, so a shard that wakes may be put behind it or wait for the end
//! of its turn. A core that runs only idle threads is a free core (`sched(7)`, `SCHED_IDLE`). Even on
//! cores that are busy all the time the kernel gives idle threads a small share, so they do not starve.

use std::io;

/// Lets this thread run only when no other wants its core, for the rest of its life.
///
/// # Errors
/// If the kernel or a sandbox refuses; then the thread runs like all others.
pub fn only_when_idle() -> io::Result<()> {
    // SAFETY: all bytes zero are a `sched_param`, a structure of numbers.
    #[allow(unsafe_code)]
    let param: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: thread 0 is the one that calls, and the kernel only reads `param`, which lives longer than
    // the call.
    #[allow(unsafe_code)]
    let refused = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const param) } != 0;
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy in force of a thread: the 41st field of its `stat` (`proc_pid_stat(5)`).
    fn policy_of_this_thread() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        after_name.split_whitespace().nth(41 - 3).unwrap().parse().unwrap()
    }

    #[test]
    fn it_is_for_this_thread_alone() {
        let idle = std::thread::spawn(|| {
            only_when_idle().unwrap();
            policy_of_this_thread()
        });
        assert_eq!(idle.join().unwrap(), libc::SCHED_IDLE);
        assert_eq!(policy_of_this_thread(), libc::SCHED_OTHER);
    }
}
