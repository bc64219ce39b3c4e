//! Ports for servers that have to know theirs before they start.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// A port that nobody listens on, over TCP and UDP. It is below those that the system gives to outgoing connections,
/// so that none of them takes it before its server starts, nor while it is dead; and each test process begins elsewhere.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const RANGE: u32 = 12_000;
    let begin = std::process::id().wrapping_mul(97) % RANGE;
    loop {
        let port = 20_000 + (begin + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % RANGE;
        let port = u16::try_from(port).unwrap();
        let place = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(place).is_ok() && UdpSocket::bind(place).is_ok() {
            return port;
        }
    }
}
