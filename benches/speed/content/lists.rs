//! Pages of a list of 100,000 certificates: the first and one far behind, beside an axum route with the same bytes
//! and beside SQLite's own reading of the same rows.

use super::CALLERS;
use super::apis::Asker;
use super::material::{Kind, Material, ask, import, import_body};
use crate::Times;
use crate::reads::in_turns;
use crate::recorded::{Recorded, client};
use crate::support::{Failure, Http, Row, Server, channel, client_tls, time};
use bytes::Bytes;
use certmint::keys::{MasterKeys, Sealer};
use certmint::proto::v1::ListCertificatesRequest;
use certmint::service::record_body;
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use certmint::store::{Batch, Put, Store};
use http::Method;
use rusqlite::{Connection, OpenFlags, params};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Certificates of the vault.
const CERTIFICATES: usize = 100_000;
/// Of a quick run.
const FEW: usize = 2_000;
/// Records of one commit while the vault is filled.
const CHUNK: usize = 500;
/// Items of a page, and one record more by which the server knows that there is another page.
const PAGE: usize = 25;

const RANGE: &str = "\
-- range
SELECT key, revision, due, body FROM records WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3";

fn name(number: usize) -> String {
    format!("listed-{number:06}")
}

/// A folder whose default vault holds `count` certificates of one version each: one comes through the server, the
/// others are its records under other names.
async fn filled(folder: &Path, count: usize) -> Result<(), Failure> {
    let server = Server::certmint(folder, "")?;
    let mut http = Http::connect(&client_tls(&server)?, server.port).await?;
    let body = import_body(&Material::new(Kind::P256)?.pem, "application/x-pkcs12");
    import(&mut http, &name(0), body).await?;
    drop(server);
    let sealer = Sealer::new(MasterKeys::load(&folder.join("master.key"))?);
    let store = Sqlite::open(&folder.join("certmint.db"), SqliteOptions::default())?;
    let entry = store.get(&format!("certificates/default/{}", name(0))).await?.ok_or("the import left no entry")?;
    let version = store.list("versions/default/", "", 1).await?.pop().ok_or("the import left no version")?;
    let id = version.key.rsplit('/').next().unwrap_or_default().to_owned();
    let mut puts = Vec::with_capacity(2 * CHUNK);
    for number in 1..count {
        let (name, other_id) = (name(number), format!("{:032x}", 1_000_000 + number));
        for record in [&entry, &version] {
            let renamed = |text: &str| text.replace(&self::name(0), &name).replace(&id, &other_id);
            let body: Value = serde_json::from_str(&renamed(std::str::from_utf8(&record.body)?))?;
            let key = renamed(&record.key);
            let body = record_body(&sealer, &key, &body["value"]);
            puts.push(Put { key, expected: None, body, due: None });
        }
        if puts.len() >= 2 * CHUNK || number + 1 == count {
            store.commit(Batch { puts: std::mem::take(&mut puts), ..Batch::default() }).await?;
        }
    }
    Ok(())
}

/// The first page, and the address of a page behind nine tenths of the names.
async fn pages_of(server: &Server, count: usize) -> Result<[(&'static str, String); 2], Failure> {
    let mut client = client(channel(server).await?);
    let (mut left, mut page_token) = (count * 9 / 10 + 1, String::new());
    while left > 0 {
        let size = left.min(1000);
        let wanted = ListCertificatesRequest { page_size: i32::try_from(size)?, page_token, ..Default::default() };
        page_token = client.list_certificates(wanted).await?.into_inner().next_page_token;
        left -= size;
    }
    let first = format!("/certificates?maxresults={PAGE}&api-version=7.4");
    let deep = format!("{first}&$skiptoken={page_token}");
    Ok([("the first page", first), ("a page behind nine tenths", deep)])
}

/// What SQLite takes for the rows of a page, one after the other on one connection: p50 and p99.
fn range_reads(folder: &Path, after: &str) -> Result<(Duration, Duration), Failure> {
    let connection = Connection::open_with_flags(folder.join("certmint.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "mmap_size", 256_i64 << 20)?;
    let from = format!("certificates/default/{after}\0");
    let mut statement = connection.prepare(RANGE)?;
    let mut latencies = Vec::new();
    for _ in 0..2_000 {
        let begun = Instant::now();
        let mut rows = statement.query(params![from, "certificates/default0", PAGE as i64 + 1])?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            bytes += row.get_ref(3)?.as_bytes()?.to_vec().len();
        }
        if bytes == 0 {
            return Err("the range is empty".into());
        }
        latencies.push(begun.elapsed());
    }
    latencies.sort_unstable();
    let at = |share: usize| latencies.get(latencies.len() * share / 100).copied().unwrap_or_default();
    Ok((at(50), at(99)))
}

pub(super) async fn pages(recorded: &Recorded, times: Times) -> Result<Vec<Row>, Failure> {
    let count = if times.run < Duration::from_secs(1) { FEW } else { CERTIFICATES };
    let folder = TempDir::new()?;
    filled(folder.path(), count).await?;
    let ours = Server::certmint(folder.path(), "")?;
    ours.settle().await?;
    let mut rows = Vec::new();
    for ((page, address), after) in pages_of(&ours, count).await?.into_iter().zip([String::new(), name(count * 9 / 10)])
    {
        let mut http = Http::connect(&client_tls(&ours)?, ours.port).await?;
        let answer = ask(&mut http, Method::GET, &address, Bytes::new()).await?;
        let answers = recorded.with_json(&answer)?;
        let bare = Server::bare(answers.folder())?;
        let paths = [address];
        let our_callers = Asker::connect(&ours, CALLERS, &Method::GET, &paths, &Bytes::new()).await?;
        let bare_callers = Asker::connect(&bare, CALLERS, &Method::GET, &paths, &Bytes::new()).await?;
        let (our_run, bare_run) = in_turns((&ours, our_callers), (&bare, bare_callers), times).await?;
        let what = format!("(l) list, {PAGE} of {count} certificates, {page}: REST, TLS, {CALLERS} callers");
        let mut row = Row::of_runs(what, &our_run, "axum route", &bare_run, "");
        let (middle, late) = range_reads(folder.path(), &after)?;
        row.ours[4] = format!(
            "{} bytes; SQLite alone reads the {} rows in {} (p99 {})",
            answer.len(),
            PAGE + 1,
            time(middle),
            time(late)
        );
        rows.push(row);
    }
    Ok(rows)
}
