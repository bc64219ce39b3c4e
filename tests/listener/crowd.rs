//! The ports without TLS that anybody may reach: a crowd keeps nobody from an answer.

use certmint::peers::{self, PeerLimits};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Nothing ends by itself while the test looks.
const NEVER: Duration = Duration::from_secs(3600);
/// A bound that only a hang reaches.
const HANG: Duration = Duration::from_secs(120);

async fn port(limits: PeerLimits) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = |mut stream: TcpStream| async move {
        let mut byte = [0];
        while matches!(stream.read(&mut byte).await, Ok(1)) && stream.write_all(&byte).await.is_ok() {}
    };
    tokio::spawn(peers::serve(listener, limits, NEVER, std::future::pending(), echo));
    address
}

/// A connection from one of the many addresses of this machine.
async fn from(peer: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((IpAddr::from([127, 0, 7, peer]), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

async fn is_answered(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    let answered = async { stream.write_all(b"a").await.is_ok() && matches!(stream.read(&mut byte).await, Ok(1)) };
    tokio::time::timeout(HANG, answered).await.expect("neither answered nor closed")
}

#[tokio::test]
async fn one_peer_with_more_connections_than_there_are_places_closes_the_port_to_nobody() {
    let address = port(PeerLimits { most: 16, share: 4, grace: NEVER }).await;
    let mut first = from(1, address).await;
    assert!(is_answered(&mut first).await);
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(from(2, address).await);
    }
    let mut other = from(3, address).await;
    assert!(is_answered(&mut other).await && is_answered(&mut first).await);
    for (number, stream) in crowd.iter_mut().enumerate() {
        assert_eq!(is_answered(stream).await, number >= 96, "its oldest ones were closed, {number}");
    }
}

#[tokio::test]
async fn where_all_places_are_taken_the_peer_with_the_most_makes_room() {
    let address = port(PeerLimits { most: 8, share: usize::MAX, grace: Duration::ZERO }).await;
    let mut few = from(1, address).await;
    assert!(is_answered(&mut few).await);
    let mut crowd = Vec::new();
    for _ in 0..50 {
        crowd.push(from(2, address).await);
    }
    let mut other = from(3, address).await;
    assert!(is_answered(&mut other).await && is_answered(&mut few).await);
    assert!(!is_answered(&mut crowd[0]).await);
}
