//! The whole program as its users run it: a server in development mode, calls of the REST API, and commands that are
//! typed in a folder.

use crate::peers::{Process, until};
use crate::ports::free_port;
use certmint::outbound::{Client, ClientOptions, Exchange, Request, Response};
use http::{HeaderValue, Method, header};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

const PROGRAM: &str = env!("CARGO_BIN_EXE_certmint");

/// `CERTMINT_BINARY`, or the one that was built with the tests.
fn program() -> String {
    std::env::var("CERTMINT_BINARY").unwrap_or_else(|_| PROGRAM.to_owned())
}

/// A server, and the folder that commands are typed in.
pub(crate) struct Certmint {
    folder: tempfile::TempDir,
    port: u16,
    process: Mutex<Option<Process>>,
}

impl Certmint {
    /// `config` is TOML beside what each server needs; `files` (name, content) are in the folder.
    pub(crate) async fn start(config: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let place = folder.path().display();
        let config = format!("dev = true\ndata_dir = '{place}/data'\nlisten = '127.0.0.1:{port}'\n{config}");
        for (name, content) in files.iter().chain(&[("certmint.toml", config.as_str())]) {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let server = Self { folder, port, process: Mutex::default() };
        server.restart().await;
        server
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts it; after kill -9, where it runs.
    pub(crate) async fn restart(&self) {
        *self.process.lock().unwrap() = None;
        let config = self.file("certmint.toml");
        let process =
            Process::start(&program(), &["serve", "--config", config.to_str().unwrap()], &[], &self.file("log"));
        *self.process.lock().unwrap() = Some(process);
        until("the server answers", || async { self.try_send(Method::GET, "/certificates", None).await.is_some() })
            .await;
    }

    /// A client that keeps its connections; none before the server has made its CA.
    pub(crate) fn client(&self) -> Option<Client> {
        let ca = std::fs::read_to_string(self.file("data/ca.pem")).ok()?;
        let options = ClientOptions { extra_roots: Some(ca), native_roots: false, ..ClientOptions::default() };
        Client::new(options).ok()
    }

    /// A call of the REST API.
    pub(crate) fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Request {
        let mut request = Request::new(method, format!("https://localhost:{}{path}?api-version=7.4", self.port));
        request.headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer dev"));
        if let Some(body) = body {
            request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = body.to_string().into();
        }
        request
    }

    async fn try_send(&self, method: Method, path: &str, body: Option<&Value>) -> Option<Response> {
        self.client()?.exchange(self.request(method, path, body)).await.ok()
    }

    /// The status and the body, null where it is no JSON.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let answer = self.try_send(method, path, body).await.expect("an answer");
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    pub(crate) async fn pending(&self, name: &str) -> Value {
        self.send(Method::GET, &format!("/certificates/{name}/pending"), None).await.1
    }

    /// A command, with what is typed into it.
    pub(crate) fn cli(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(PROGRAM)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CERTMINT_SERVER", format!("https://localhost:{}", self.port))
            .env("CERTMINT_CA", self.file("data/ca.pem"))
            .env("CERTMINT_TOKEN", "dev")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The command may not read it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }
}

/// All that a command printed.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
