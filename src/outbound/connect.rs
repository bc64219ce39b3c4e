//! Connections: directly or through the proxy, with TLS on top.

use super::error::tls_cause;
use super::{Error, ErrorKind, Guard, Proxy};
use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::Service;

/// The answer of a proxy to `CONNECT` is a few lines.
const PROXY_HEAD: usize = 8192;

/// Opens connections for the HTTP client. One bound holds for the whole of name, TCP, proxy and TLS.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) tls: Arc<ClientConfig>,
    pub(super) proxy: Option<Arc<Proxy>>,
    pub(super) timeout: Duration,
    /// Whether `http` is allowed.
    pub(super) plain: bool,
    pub(super) guard: Option<Guard>,
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// An open connection.
pub(super) struct Stream {
    io: Box<dyn Io>,
    http2: bool,
}

impl Connector {
    async fn open(self, uri: Uri) -> Result<TokioIo<Stream>, Error> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if self.plain => false,
            _ => return Err(Error::new(ErrorKind::Request, format!("Only https is allowed for {host}."))),
        };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let opened = tokio::time::timeout(self.timeout, self.establish(&host, port, secure)).await;
        let stream = opened.map_err(|_| {
            let seconds = self.timeout.as_secs_f32();
            Error::new(ErrorKind::Timeout, format!("No connection to {host}:{port} within {seconds} s."))
        })??;
        Ok(TokioIo::new(stream))
    }

    async fn establish(&self, host: &str, port: u16, secure: bool) -> Result<Stream, Error> {
        let proxy = self.proxy.as_deref().filter(|proxy| proxy.covers(host));
        let tcp = match proxy {
            Some(_) if self.guard.as_ref().is_some_and(|guard| !guard.permits_by_proxy(host)) => {
                return Err(Guard::refusal(host));
            }
            Some(proxy) => tunnel(proxy, host, port).await?,
            None => dial(host, port, self.guard.as_ref()).await?,
        };
        if !secure {
            return Ok(Stream { io: Box::new(tcp), http2: false });
        }
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::new(ErrorKind::Request, format!("{host} is neither a host name nor an address.")))?;
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await;
        let tls = tls.map_err(|error| {
            // A connection that breaks while shaking hands is no verdict on the certificate.
            let verdict = error.get_ref().is_some_and(|cause| cause.is::<rustls::Error>());
            let kind = if verdict { ErrorKind::Tls } else { ErrorKind::Connect };
            Error::new(kind, format!("No TLS connection to {host}:{port}: {}.", tls_cause(&error)))
        })?;
        let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream { io: Box::new(tls), http2 })
    }
}

/// Resolves the name once, and connects to what the guard permits of it.
async fn dial(host: &str, port: u16, guard: Option<&Guard>) -> Result<TcpStream, Error> {
    let failed = |error: io::Error| Error::new(ErrorKind::Connect, format!("No connection to {host}:{port}: {error}."));
    let tcp = match guard {
        None => TcpStream::connect((host, port)).await.map_err(failed)?,
        Some(guard) => {
            let found = tokio::net::lookup_host((host, port)).await.map_err(failed)?;
            let addresses: Vec<_> = found.filter(|address| guard.permits(host, address.ip())).collect();
            if addresses.is_empty() {
                return Err(Guard::refusal(host));
            }
            TcpStream::connect(&*addresses).await.map_err(failed)?
        }
    };
    // Small requests must not wait for the acknowledgement of the one before.
    tcp.set_nodelay(true).map_err(failed)?;
    Ok(tcp)
}

/// A tunnel to `host:port` through the proxy.
async fn tunnel(proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, Error> {
    let Proxy { host: proxy_host, port: proxy_port, authorization, .. } = proxy;
    let mut tcp = dial(proxy_host, *proxy_port, None).await?;
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut head = zeroize::Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
    if let Some(authorization) = authorization {
        head.push_str("Proxy-Authorization: ");
        head.push_str(authorization);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    let failed = |problem: String| Error::new(ErrorKind::Connect, format!("The proxy {proxy:?} {problem}."));
    tcp.write_all(head.as_bytes()).await.map_err(|error| failed(format!("did not accept the request: {error}")))?;
    let mut answer = Vec::new();
    // Byte by byte, so that nothing that belongs to the tunnel is read here.
    while !answer.ends_with(b"\r\n\r\n") {
        let byte = tcp.read_u8().await.map_err(|_| failed("closed the connection".to_owned()))?;
        answer.push(byte);
        if answer.len() > PROXY_HEAD {
            return Err(failed("answered with more than 8 KiB".to_owned()));
        }
    }
    let line = String::from_utf8_lossy(&answer);
    let status = line.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    match status {
        Some(200..=299) => Ok(tcp),
        Some(407) => Err(Error::new(ErrorKind::Settings, format!("The proxy {proxy:?} refused the credentials."))),
        Some(status) => Err(failed(format!("opened no tunnel to {target}: status {status}"))),
        None => Err(failed("did not answer with HTTP".to_owned())),
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().open(uri))
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        if self.http2 { Connected::new().negotiated_h2() } else { Connected::new() }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
