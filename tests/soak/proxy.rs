//! A faulty network: forwards connections to a port, and cuts, delays or stalls them on demand.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Network {
    Whole,
    /// Open connections end, new ones end at once.
    Cut,
    /// Each piece comes this much later.
    Slow(Duration),
    /// What the one who connected sends does not arrive; both ends believe in the connection.
    NothingThere,
    /// What is answered does not arrive.
    NothingBack,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Way {
    There,
    Back,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    target: Arc<AtomicU16>,
    network: watch::Sender<Network>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let target = Arc::new(AtomicU16::new(port));
        let network = watch::Sender::new(Network::Whole);
        let accepting = tokio::spawn({
            let (target, network) = (target.clone(), network.clone());
            async move {
                while let Ok((near, _)) = listener.accept().await {
                    tokio::spawn(carry(near, target.load(Ordering::SeqCst), network.subscribe()));
                }
            }
        });
        Self { port: own, target, network, accepting }
    }

    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }

    /// New connections go to another port.
    pub(crate) fn point_to(&self, port: u16) {
        self.target.store(port, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.network.send_replace(Network::Cut);
    }
}

async fn carry(near: TcpStream, target: u16, network: watch::Receiver<Network>) {
    if *network.borrow() == Network::Cut {
        return;
    }
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { return };
    let _ = near.set_nodelay(true).and_then(|()| far.set_nodelay(true));
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    // The end of one way is the end of the connection.
    tokio::select! {
        () = pump(near_in, far_out, Way::There, network.clone()) => {}
        () = pump(far_in, near_out, Way::Back, network) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way, mut network: watch::Receiver<Network>) {
    let mut bytes = vec![0; 1 << 15];
    loop {
        let length = tokio::select! {
            read = from.read(&mut bytes) => match read { Ok(length @ 1..) => length, _ => return },
            _ = network.wait_for(|network| *network == Network::Cut) => return,
        };
        loop {
            let now = *network.borrow_and_update();
            match (now, way) {
                (Network::Cut, _) => return,
                (Network::NothingThere, Way::There) | (Network::NothingBack, Way::Back) => {
                    if network.changed().await.is_err() {
                        return;
                    }
                }
                (Network::Slow(by), _) => {
                    tokio::time::sleep(by).await;
                    break;
                }
                _ => break,
            }
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
