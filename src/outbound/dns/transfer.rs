//! One query and its response: over UDP with a fallback to TCP for truncated responses, or over TCP directly.

use super::DnsError;
use hickory_proto::op::Message;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// UDP is sent again after a third of the time.
const DATAGRAMS: u32 = 3;

/// Asks and returns the answer to this question. A new port and a new id for each question, and
/// answers with another id or question are not looked at (RFC 5452 section 9).
pub(super) async fn ask(server: SocketAddr, question: &Message, timeout: Duration) -> Result<Message, DnsError> {
    let bytes = question.to_vec().map_err(|error| DnsError::Settings(error.to_string()))?;
    for _ in 0..DATAGRAMS {
        match tokio::time::timeout(timeout / DATAGRAMS, datagram(server, &bytes, question)).await {
            Ok(Ok(answer)) if !answer.metadata.truncation => return Ok(answer),
            Ok(Ok(_)) => break,
            Ok(Err(error)) => return Err(unreachable(server, &error.to_string())),
            Err(_) => {}
        }
    }
    let answer = over_tcp(server, &bytes, timeout).await?;
    read(&answer, question).ok_or_else(|| unreachable(server, "its answer cannot be read"))
}

async fn datagram(server: SocketAddr, bytes: &[u8], question: &Message) -> io::Result<Message> {
    let local: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = buffer.get(..length).and_then(|bytes| read(bytes, question)) {
            return Ok(answer);
        }
    }
}

/// Sends bytes over a connection of their own and returns the bytes of the answer (RFC 7766).
pub(super) async fn over_tcp(server: SocketAddr, bytes: &[u8], timeout: Duration) -> Result<Vec<u8>, DnsError> {
    let exchange = async {
        let length = u16::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let framed: Vec<u8> = length.to_be_bytes().iter().chain(bytes).copied().collect();
        stream.write_all(&framed).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    match tokio::time::timeout(timeout, exchange).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(unreachable(server, &error.to_string())),
        Err(_) => Err(unreachable(server, &format!("no answer within {} s", timeout.as_secs_f32()))),
    }
}

/// The message, if it answers this question.
fn read(bytes: &[u8], question: &Message) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    (answer.metadata.id == question.metadata.id && answer.queries == question.queries).then_some(answer)
}

pub(super) fn unreachable(server: SocketAddr, problem: &str) -> DnsError {
    DnsError::Unreachable(format!("The DNS server {server} does not answer: {problem}."))
}
