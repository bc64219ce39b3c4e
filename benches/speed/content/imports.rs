//! Importing a certificate with its key, beside what cannot be left out: reading and checking the key, and one
//! durable row.

use super::CALLERS;
use super::material::{Kind, Material, as_pkcs12, import, import_body};
use crate::Times;
use crate::creations::bare_with;
use crate::support::{Caller, Failure, Http, Row, Run, Server, client_tls, drive};
use bytes::Bytes;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

struct Importer {
    http: Http,
    body: Bytes,
    /// No name is used twice.
    names: Arc<AtomicUsize>,
}

impl Caller for Importer {
    async fn call(&mut self) -> Result<(), Failure> {
        let name = format!("imported-{}", self.names.fetch_add(1, Ordering::Relaxed));
        import(&mut self.http, &name, self.body.clone()).await
    }
}

pub(crate) async fn pkcs12(times: Times) -> Result<Row, Failure> {
    measure(times, true).await
}

pub(crate) async fn pem(times: Times) -> Result<Row, Failure> {
    measure(times, false).await
}

async fn measure(times: Times, pkcs12: bool) -> Result<Row, Failure> {
    let (server, folder, material) = (Server::fresh()?, TempDir::new()?, Material::new(Kind::Rsa2048)?);
    let key = folder.path().join("key.der");
    fs::write(&key, &material.pkcs8)?;
    let (tls, names) = (client_tls(&server)?, Arc::new(AtomicUsize::new(0)));
    let (form, body) = if pkcs12 {
        let value = as_pkcs12(&mut Http::connect(&tls, server.port).await?, &material).await?;
        ("PFX (3DES, 2,000 rounds)", import_body(&value, "application/x-pkcs12"))
    } else {
        ("PEM", import_body(&material.pem, "application/x-pem-file"))
    };
    server.settle().await?;
    let mut callers = Vec::with_capacity(CALLERS);
    for _ in 0..CALLERS {
        let http = Http::connect(&tls, server.port).await?;
        callers.push(Importer { http, body: body.clone(), names: names.clone() });
    }
    let warm = times.run.min(Duration::from_millis(500));
    let (mut callers, _) = drive(callers, &server.process, warm).await?;
    let (mut ours, mut theirs) = (Run::default(), Run::default());
    for _ in 0..times.turns {
        let run;
        (callers, run) = drive(callers, &server.process, times.run).await?;
        ours.add(run);
        theirs.add(bare_with("import", CALLERS, times.run, Some(&key))?);
    }
    let what = format!("(i) import of a {form} with an RSA-2048 key: REST, TLS, {CALLERS} callers");
    Ok(Row::of_runs(what, &ours, "key read and checked, one durable row", &theirs, ""))
}
