//! What the process sets for itself at start: secrets are in its memory, and much else.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use std::io;

/// No core file, and no other process of the same user may look into our memory (root may).
///
/// # Errors
/// If the kernel refuses; nothing that runs under Linux should.
pub fn keep_memory_private() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Raises the limit of open files to what is allowed: each connection is one.
///
/// # Errors
/// If the kernel refuses.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.current.unwrap_or(u64::MAX))
}

/// Makes all threads allocate from one heap.
///
/// What a shard, the committer and the blocking pool allocate is mostly freed by another of them. Of
/// heaps of their own (glibc's default) each keeps what the others freed in it: with a million
/// registrations that was a third of all memory. Small blocks come from each thread's own cache, so
/// the one lock is seldom taken.
pub fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: it sets a number inside the C library and takes no pointer; it is called before
        // threads are made, so each of them finds it set.
        #[allow(unsafe_code)]
        let _refused = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) } == 0;
    }
}
