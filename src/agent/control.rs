//! The socket in the agent's folder on which `certmint agent refresh` asks the running agent. Nobody
//! but its owner reaches it.

use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// A name, and no more.
const MAX_QUESTION: u64 = 1024;
const MAX_ANSWER: u64 = 64 * 1024;
/// For the question.
const PATIENCE: Duration = Duration::from_secs(5);

/// The answer to a refresh.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// This version was installed.
    Installed(String),
    /// Why not.
    Problem(String),
}

/// A certificate to be installed now, and where the answer goes.
pub(super) struct Refresh {
    pub(super) name: String,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Where the socket is.
pub(super) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("control")
}

/// Opens the socket; the lock of the folder is held, so one that is there is of an agent that has ended.
pub(super) fn open(state_dir: &Path) -> io::Result<UnixListener> {
    let path = path(state_dir);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixListener::bind(&path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(socket)
}

/// Passes questions on, one after the other.
pub(super) async fn serve(socket: UnixListener, refreshes: mpsc::Sender<Refresh>) {
    loop {
        let Ok((mut stream, _)) = socket.accept().await else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let refreshes = refreshes.clone();
        let Ok(Ok(name)) = timeout(PATIENCE, question(&mut stream)).await else { continue };
        let (answer, told) = oneshot::channel();
        if refreshes.send(Refresh { name, answer }).await.is_err() {
            return;
        }
        tokio::spawn(async move {
            let answer = told.await.unwrap_or_else(|_| Answer::Problem("the agent is ending".to_owned()));
            let bytes = serde_json::to_vec(&answer).unwrap_or_default();
            // Whoever asked may have gone.
            let _ = stream.write_all(&bytes).await;
        });
    }
}

/// A name with a line feed.
async fn question(stream: &mut UnixStream) -> io::Result<String> {
    let mut name = String::new();
    let mut bytes = stream.take(MAX_QUESTION);
    while !name.ends_with('\n') {
        let byte = bytes.read_u8().await?;
        name.push(char::from(byte));
    }
    Ok(name.trim_end().to_owned())
}

/// Asks the running agent.
///
/// # Errors
/// No agent answers there.
pub(super) async fn ask(state_dir: &Path, name: &str) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(path(state_dir)).await?;
    stream.write_all(format!("{name}\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    serde_json::from_slice(&answer).map_err(|_| io::Error::other("the agent ended before it answered"))
}
