//! A relay between phones and a server, so that connections can be broken while both go on.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes connections on as they are; ends with the test's process.
pub(crate) struct Relay {
    at: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// A relay to this address, at another port of the same host.
    pub(crate) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((server.ip(), 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let all = Arc::clone(&open);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(server) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to); // it was cut, or one end is gone
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                all.lock().unwrap().extend([near, far]);
            }
        });
        Self { at, open }
    }

    /// Where phones connect.
    pub(crate) fn at(&self) -> SocketAddr {
        self.at
    }

    /// Breaks every connection; new ones may come at once.
    pub(crate) fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both); // one end may have gone before
        }
    }
}
