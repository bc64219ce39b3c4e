//! `certmint health`: asks the operators' port, for health checks of containers that have no other client.

use super::Result;
use super::failure::{Exit, Failure};
use super::output::Output;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The whole question and answer. Container engines wait longer by default.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer is some hundred bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Arguments of `certmint health`.
#[derive(Clone, Debug, clap::Args)]
pub struct HealthArgs {
    /// Ask whether it is ready for requests, not only whether it is alive
    #[arg(long)]
    ready: bool,

    /// The operators' port
    #[arg(
        long,
        value_name = "URL",
        env = "CERTMINT_ADMIN",
        default_value = "http://127.0.0.1:9443",
        value_parser = admin_url
    )]
    admin: Authority,
}

/// Host and port of an `http` URL.
#[derive(Clone, Debug)]
struct Authority(String);

pub(super) async fn run(output: Output, args: HealthArgs) -> Result<Exit> {
    let HealthArgs { ready, admin: Authority(authority) } = args;
    let path = if ready { "/readyz" } else { "/livez" };
    let asked = timeout(PATIENCE, ask(&authority, path)).await;
    let unreachable = |problem: String| {
        Failure::new(Exit::Error, format!("no answer from http://{authority}{path}: {problem}"))
            .advise("is the server running there? its operators' port is --admin-listen, off with --dev")
            .boxed()
    };
    let (status, body) = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable(format!("timed out after {} s", PATIENCE.as_secs()))),
    };
    if status != 200 {
        return Err(Failure::new(Exit::Error, format!("the server is not healthy: {status} {}", body.trim())).boxed());
    }
    let state = if ready { "ready" } else { "alive" };
    output.result(|| json!({ "state": state }), || state.to_owned())?;
    Ok(Exit::Done)
}

/// One request, one answer, by hand: the status and the body (RFC 9112). A whole HTTP client would be larger than this.
async fn ask(authority: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(authority).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("the answer is not HTTP"))?;
    Ok((status, body.to_owned()))
}

fn admin_url(text: &str) -> std::result::Result<Authority, String> {
    let rest = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let authority = rest.parse::<http::uri::Authority>().ok();
    authority
        .filter(|authority| authority.port_u16().is_some() && !authority.as_str().contains('@'))
        .map(|authority| Authority(authority.to_string()))
        .ok_or_else(|| "the operators' port speaks plain HTTP: write http://HOST:PORT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_port_is_a_plain_url_with_a_port() {
        assert_eq!(admin_url("http://127.0.0.1:9443/").unwrap().0, "127.0.0.1:9443");
        assert_eq!(admin_url("[::1]:9443").unwrap().0, "[::1]:9443");
        for bad in ["", "https://a:1", "http://a", "http://a:1/x", "http://u@a:1", "a b:1"] {
            assert!(admin_url(bad).is_err(), "{bad}");
        }
    }
}
