//! The secret view beside an axum route with the same bytes, and signatures of the key view beside aws-lc alone.

use super::material::{Kind, Material, ask, import, import_body, path};
use crate::Times;
use crate::creations::bare_with;
use crate::reads::in_turns;
use crate::recorded::Recorded;
use crate::support::{Caller, Failure, Http, Row, Run, Server, client_tls, drive};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Method;
use serde_json::json;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

const CALLERS: usize = 64;
/// Certificates that are used in turn.
const CERTIFICATES: usize = 64;

/// The same request of certificates in turn.
pub(super) struct Asker {
    http: Http,
    method: Method,
    paths: Vec<String>,
    body: Bytes,
    next: usize,
}

impl Asker {
    pub(super) async fn connect(
        server: &Server,
        callers: usize,
        method: &Method,
        paths: &[String],
        body: &Bytes,
    ) -> Result<Vec<Self>, Failure> {
        let tls = client_tls(server)?;
        let mut all = Vec::with_capacity(callers);
        for next in 0..callers {
            let http = Http::connect(&tls, server.port).await?;
            all.push(Self { http, method: method.clone(), paths: paths.to_vec(), body: body.clone(), next });
        }
        Ok(all)
    }
}

impl Caller for Asker {
    async fn call(&mut self) -> Result<(), Failure> {
        self.next = (self.next + 1) % self.paths.len();
        let path = self.paths.get(self.next).map(String::as_str).unwrap_or_default();
        ask(&mut self.http, self.method.clone(), path, self.body.clone()).await.map(drop)
    }
}

fn name(number: usize) -> String {
    format!("certificate-{number:02}")
}

/// A server with certificates of one key, at rest.
async fn filled(material: &Material) -> Result<Server, Failure> {
    let server = Server::fresh()?;
    let mut http = Http::connect(&client_tls(&server)?, server.port).await?;
    for number in 0..CERTIFICATES {
        import(&mut http, &name(number), import_body(&material.pem, "application/x-pkcs12")).await?;
    }
    server.settle().await?;
    Ok(server)
}

pub(super) async fn secret(recorded: &Recorded, times: Times) -> Result<Row, Failure> {
    let ours = filled(&Material::new(Kind::Rsa2048)?).await?;
    let paths: Vec<String> = (0..CERTIFICATES).map(|number| path("secrets", &format!("{}?", name(number)))).collect();
    let mut http = Http::connect(&client_tls(&ours)?, ours.port).await?;
    let answer = ask(&mut http, Method::GET, &paths[0], Bytes::new()).await?;
    let also = format!("{} bytes", answer.len());
    let answers = recorded.with_json(&answer)?;
    let bare = Server::bare(answers.folder())?;
    let our_callers = Asker::connect(&ours, CALLERS, &Method::GET, &paths, &Bytes::new()).await?;
    let bare_callers = Asker::connect(&bare, CALLERS, &Method::GET, &paths, &Bytes::new()).await?;
    let (our_run, bare_run) = in_turns((&ours, our_callers), (&bare, bare_callers), times).await?;
    let what = format!("(j) GET secret, PFX with an RSA-2048 key: REST, TLS, {CALLERS} connections");
    let mut row = Row::of_runs(what, &our_run, "axum route", &bare_run, "");
    row.ours[4] = also;
    Ok(row)
}

pub(super) async fn sign_p256(times: Times) -> Result<Row, Failure> {
    sign(times, Kind::P256, "P-256, ES256", "ES256").await
}

pub(super) async fn sign_rsa(times: Times) -> Result<Row, Failure> {
    sign(times, Kind::Rsa2048, "RSA-2048, RS256", "RS256").await
}

/// Signatures over REST; the bare process signs with one opened key on every core.
async fn sign(times: Times, kind: Kind, shown: &str, algorithm: &str) -> Result<Row, Failure> {
    let (material, folder) = (Material::new(kind)?, TempDir::new()?);
    let key = folder.path().join("key.der");
    fs::write(&key, &material.pkcs8)?;
    let server = filled(&material).await?;
    let body = Bytes::from(json!({"alg": algorithm, "value": URL_SAFE_NO_PAD.encode([7; 32])}).to_string());
    let paths: Vec<String> = (0..CERTIFICATES).map(|number| path("keys", &format!("{}/sign?", name(number)))).collect();
    let callers = Asker::connect(&server, CALLERS, &Method::POST, &paths, &body).await?;
    let (mut callers, _) = drive(callers, &server.process, times.run.min(Duration::from_millis(500))).await?;
    let (mut ours, mut theirs) = (Run::default(), Run::default());
    for _ in 0..times.turns {
        let run;
        (callers, run) = drive(callers, &server.process, times.run).await?;
        ours.add(run);
        theirs.add(bare_with(algorithm, 1, times.run, Some(&key))?);
    }
    let what = format!("(k) sign, {shown}: REST, TLS, {CALLERS} callers, {CERTIFICATES} keys");
    Ok(Row::of_runs(what, &ours, "aws-lc, one opened key", &theirs, ""))
}
