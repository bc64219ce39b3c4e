//! A network between store and database that breaks in the moment of a COMMIT.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to the next COMMIT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Fault {
    None,
    /// It does not arrive, and the connection is closed.
    CutBefore,
    /// It arrives; its answer does not, and the connection is closed.
    CutAfter,
    /// It does not arrive, silently: both ends consider the connection open.
    SilentBefore,
    /// It arrives; its response does not, silently.
    SilentAfter,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    next: Arc<AtomicU8>,
    hit: Arc<AtomicU32>,
    always: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (next, hit) = (Arc::new(AtomicU8::new(Fault::None as u8)), Arc::new(AtomicU32::new(0)));
        let always = Arc::new(AtomicBool::new(false));
        let (faults, hits, lasting) = (next.clone(), hit.clone(), always.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (faults, hits, lasting) = (faults.clone(), hits.clone(), lasting.clone());
                tokio::spawn(async move { carry(client, to, &faults, &hits, &lasting).await });
            }
        });
        Self { port, next, hit, always }
    }

    pub(crate) fn break_every_commit(&self, fault: Fault) {
        self.always.store(true, Ordering::SeqCst);
        self.break_next_commit(fault);
    }

    pub(crate) fn break_next_commit(&self, fault: Fault) {
        self.next.store(fault as u8, Ordering::SeqCst);
    }

    /// How many COMMITs met their fault.
    pub(crate) fn hits(&self) -> u32 {
        self.hit.load(Ordering::SeqCst)
    }
}

async fn carry(client: TcpStream, to: u16, faults: &AtomicU8, hits: &AtomicU32, lasting: &AtomicBool) {
    let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = from_client.read(&mut up) => {
                let Ok(length @ 1..) = read else { return };
                let bytes = &up[..length];
                let is_commit = bytes.windows(16).any(|part| part == b"-- commit\nCOMMIT");
                let next = if lasting.load(Ordering::SeqCst) { faults.load(Ordering::SeqCst) } else { 0 };
                let fault = if is_commit { faults.swap(next, Ordering::SeqCst) } else { 0 };
                if fault != Fault::None as u8 {
                    hits.fetch_add(1, Ordering::SeqCst);
                }
                let arrives = fault != Fault::CutBefore as u8 && fault != Fault::SilentBefore as u8;
                if arrives && to_server.write_all(bytes).await.is_err() {
                    return;
                }
                if fault == Fault::CutBefore as u8 || fault == Fault::CutAfter as u8 {
                    return;
                }
                if fault != Fault::None as u8 {
                    // Until the client closes; the server hears nothing of that.
                    while matches!(from_client.read(&mut up).await, Ok(1..)) {}
                    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                    return;
                }
            }
            read = from_server.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                if to_client.write_all(&down[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
