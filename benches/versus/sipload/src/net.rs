//! Sockets: many UDP ports, one epoll, batched system calls.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// The longest message that can be received.
const SLOT: usize = 8 * 1024;
/// The most messages taken from the kernel between two looks at the clock.
const SLOTS: usize = 1024;
/// Socket buffers; the kernel caps them at net.core.rmem_max and wmem_max.
const SOCKET_BUFFER: libc::c_int = 4 << 20;

/// A UDP port with its queue of messages to send.
struct Endpoint {
    fd: OwnedFd,
    /// `127.0.0.1:20000`, ready for a Via or a Contact.
    local: String,
    out: Vec<u8>,
    /// Where each datagram in `out` ends, and where it goes.
    datagrams: Vec<(usize, libc::sockaddr_in)>,
    dirty: bool,
}

pub struct Net {
    pub target: SocketAddrV4,
    endpoints: Vec<Endpoint>,
    epoll: OwnedFd,
    /// The sockets with something to send.
    dirty: Vec<usize>,
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
}

/// The messages that one look at the sockets brought in.
pub struct Inbox {
    data: Vec<u8>,
    messages: Vec<Received>,
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    names: Vec<libc::sockaddr_in>,
    ready: Vec<libc::epoll_event>,
}

struct Received {
    socket: usize,
    from: SocketAddrV4,
    len: usize,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn sockaddr(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

fn address(name: &libc::sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr)), u16::from_be(name.sin_port))
}

fn set_option<T>(fd: RawFd, level: libc::c_int, name: libc::c_int, value: T) -> io::Result<()> {
    let len = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer and the length describe `value`, which lives through the call.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), len) }).map(drop)
}

/// Binds a UDP socket that does not block.
fn open(local: SocketAddrV4) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: plain system call; the descriptor is owned at once.
    let fd = unsafe { OwnedFd::from_raw_fd(check(libc::socket(libc::AF_INET, kind, 0))?) };
    let raw = fd.as_raw_fd();
    set_option(raw, libc::SOL_SOCKET, libc::SO_RCVBUF, SOCKET_BUFFER)?;
    set_option(raw, libc::SOL_SOCKET, libc::SO_SNDBUF, SOCKET_BUFFER)?;
    let len = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
    let name = sockaddr(local);
    // SAFETY: `name` is a whole sockaddr_in of that length.
    check(unsafe { libc::bind(raw, (&raw const name).cast(), len) })?;
    Ok(fd)
}

impl Net {
    /// Opens `count` sockets on consecutive ports from `first_port` on (any free ports if it is 0).
    pub fn open(target: SocketAddrV4, local_ip: Ipv4Addr, first_port: u16, count: usize) -> io::Result<Net> {
        // SAFETY: plain system call; the descriptor is owned at once.
        let epoll = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        let mut endpoints = Vec::with_capacity(count);
        for index in 0..count {
            let port = if first_port == 0 { 0 } else { first_port + index as u16 };
            let wanted = SocketAddrV4::new(local_ip, port);
            let fd = open(wanted)
                .map_err(|error| io::Error::new(error.kind(), format!("socket on {wanted}: {error}")))?;
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
            // SAFETY: `event` lives through the call.
            check(unsafe {
                libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event)
            })?;
            let mut name = sockaddr(wanted);
            let mut len = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            // SAFETY: `name` has room for `len` bytes.
            check(unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut name).cast(), &raw mut len) })?;
            endpoints.push(Endpoint {
                fd,
                local: address(&name).to_string(),
                out: Vec::new(),
                datagrams: Vec::new(),
                dirty: false,
            });
        }
        Ok(Net { target, endpoints, epoll, dirty: Vec::new(), headers: Vec::new(), vectors: Vec::new() })
    }

    pub fn sockets(&self) -> usize {
        self.endpoints.len()
    }

    /// The address and port of a socket as text.
    pub fn local(&self, socket: usize) -> &str {
        &self.endpoints[socket].local
    }

    /// Queues a message; `flush` sends it.
    pub fn send(&mut self, socket: usize, to: SocketAddrV4, message: &[u8]) {
        let endpoint = &mut self.endpoints[socket];
        endpoint.out.extend_from_slice(message);
        endpoint.datagrams.push((endpoint.out.len(), sockaddr(to)));
        if !endpoint.dirty {
            endpoint.dirty = true;
            self.dirty.push(socket);
        }
    }

    /// Sends what is queued. What the kernel does not take now stays queued.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut blocked = 0;
        for at in 0..self.dirty.len() {
            let socket = self.dirty[at];
            if self.flush_datagrams(socket)? {
                self.endpoints[socket].dirty = false;
            } else {
                self.dirty[blocked] = socket;
                blocked += 1;
            }
        }
        self.dirty.truncate(blocked);
        Ok(())
    }

    /// Whether something is queued that the kernel would not take.
    pub fn blocked(&self) -> bool {
        !self.dirty.is_empty()
    }

    fn flush_datagrams(&mut self, socket: usize) -> io::Result<bool> {
        let endpoint = &mut self.endpoints[socket];
        self.vectors.clear();
        self.headers.clear();
        let mut begin = 0;
        for (end, _) in &endpoint.datagrams {
            self.vectors.push(libc::iovec {
                iov_base: endpoint.out[begin..].as_mut_ptr().cast(),
                iov_len: end - begin,
            });
            begin = *end;
        }
        for ((_, to), vector) in endpoint.datagrams.iter_mut().zip(&mut self.vectors) {
            self.headers.push(message_header(to, vector));
        }
        let mut sent = 0;
        while sent < self.headers.len() {
            let rest = &mut self.headers[sent..];
            // SAFETY: every header points into `endpoint.out`, `endpoint.datagrams` and
            // `self.vectors`, none of which is touched before the call returns.
            let result = unsafe {
                libc::sendmmsg(
                    endpoint.fd.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            match check(result) {
                Ok(count) => sent += count as usize,
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(io::Error::new(error.kind(), format!("sendmmsg: {error}"))),
            }
        }
        let done = sent == endpoint.datagrams.len();
        if done {
            endpoint.out.clear();
            endpoint.datagrams.clear();
        } else if sent > 0 {
            let gone = endpoint.datagrams[sent - 1].0;
            endpoint.out.drain(..gone);
            endpoint.datagrams.drain(..sent);
            endpoint.datagrams.iter_mut().for_each(|(end, _)| *end -= gone);
        }
        Ok(done)
    }

    /// Waits for messages, for no longer than `timeout`, and puts what has come into the inbox.
    pub fn receive(&mut self, timeout: Duration, inbox: &mut Inbox) -> io::Result<()> {
        inbox.messages.clear();
        let wait = libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // SAFETY: the event array and the timespec live through the call; there is no signal mask.
        let result = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                inbox.ready.as_mut_ptr(),
                inbox.ready.len() as libc::c_int,
                &raw const wait,
                std::ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        let count = match check(result as libc::c_int) {
            Ok(count) => count as usize,
            Err(error) if would_block(&error) => 0,
            Err(error) => return Err(error),
        };
        for at in 0..count {
            if inbox.messages.len() == SLOTS {
                break;
            }
            let socket = inbox.ready[at].u64 as usize;
            inbox.take_datagrams(&self.endpoints[socket].fd, socket)?;
        }
        Ok(())
    }
}

fn message_header(name: &mut libc::sockaddr_in, vector: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: all-zero bytes are a valid mmsghdr (null pointers and zero lengths).
    let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
    header.msg_hdr.msg_name = (&raw mut *name).cast();
    header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
    header.msg_hdr.msg_iov = vector;
    header.msg_hdr.msg_iovlen = 1;
    header
}

impl Inbox {
    pub fn new() -> Inbox {
        let mut data = vec![0; SLOT * SLOTS];
        let mut vectors: Vec<libc::iovec> = data
            .chunks_exact_mut(SLOT)
            .map(|slot| libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: SLOT })
            .collect();
        let mut names = vec![sockaddr(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)); SLOTS];
        let headers =
            names.iter_mut().zip(&mut vectors).map(|(name, vector)| message_header(name, vector)).collect();
        let ready = vec![libc::epoll_event { events: 0, u64: 0 }; SLOTS];
        Inbox { data, messages: Vec::with_capacity(SLOTS), headers, vectors, names, ready }
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether more messages may be waiting that found no room.
    pub fn is_full(&self) -> bool {
        self.messages.len() == SLOTS
    }

    /// The socket that a message came to, who sent it, and its text.
    pub fn get(&self, index: usize) -> (usize, SocketAddrV4, &[u8]) {
        let received = &self.messages[index];
        (received.socket, received.from, &self.data[index * SLOT..][..received.len])
    }

    fn take_datagrams(&mut self, fd: &OwnedFd, socket: usize) -> io::Result<()> {
        let first = self.messages.len();
        let room = &mut self.headers[first..];
        for header in room.iter_mut() {
            header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
        }
        debug_assert_eq!(self.vectors.len(), self.names.len());
        // SAFETY: the headers point into `data`, `names` and `vectors`, which this inbox owns and
        // never moves or resizes.
        let result = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                room.as_mut_ptr(),
                room.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = match check(result) {
            Ok(count) => count as usize,
            Err(error) if would_block(&error) => 0,
            Err(error) => return Err(io::Error::new(error.kind(), format!("recvmmsg: {error}"))),
        };
        for slot in first..first + count {
            let header = &self.headers[slot];
            if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                return Err(io::Error::other(format!("a datagram of more than {SLOT} bytes came in")));
            }
            let (from, len) = (address(&self.names[slot]), header.msg_len as usize);
            self.messages.push(Received { socket, from, len });
        }
        Ok(())
    }
}

/// A UDP server that sends every datagram back, `batch` at a time; it runs until `seconds` are over.
pub fn echo(listen: SocketAddrV4, batch: usize, seconds: Option<f64>) -> io::Result<()> {
    let fd = open(listen)?;
    // SAFETY: plain system call; this socket blocks, so that an idle server costs nothing.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, 0) })?;
    set_option(
        fd.as_raw_fd(),
        libc::SOL_SOCKET,
        libc::SO_RCVTIMEO,
        libc::timeval { tv_sec: 0, tv_usec: 200_000 },
    )?;
    let begun = Instant::now();
    let batch = batch.clamp(1, SLOTS);
    let mut inbox = Inbox::new();
    while seconds.is_none_or(|limit| begun.elapsed().as_secs_f64() < limit) {
        for (header, vector) in inbox.headers.iter_mut().zip(&mut inbox.vectors).take(batch) {
            header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            vector.iov_len = SLOT;
        }
        // SAFETY: as in `take_datagrams`.
        let result = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                inbox.headers.as_mut_ptr(),
                batch as libc::c_uint,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        let count = match check(result) {
            Ok(count) => count as usize,
            Err(error) if would_block(&error) => continue,
            Err(error) => return Err(error),
        };
        for (header, vector) in inbox.headers.iter().zip(&mut inbox.vectors).take(count) {
            vector.iov_len = header.msg_len as usize;
        }
        let mut sent = 0;
        while sent < count {
            // SAFETY: the same headers, now with the lengths of what they hold.
            let result = unsafe {
                libc::sendmmsg(
                    fd.as_raw_fd(),
                    inbox.headers[sent..].as_mut_ptr(),
                    (count - sent) as libc::c_uint,
                    0,
                )
            };
            match check(result) {
                Ok(more) => sent += more as usize,
                Err(error) if would_block(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
