//! Fills a store with copies of one certificate, past the server: the records are in the form in which it writes them.

use super::name;
use crate::recorded::client;
use crate::replicas::database::connect;
use crate::support::{Failure, Server, channel};
use certmint::keys::{MasterKeys, Sealer};
use certmint::proto::v1::{CertificatePolicy, CreateCertificateRequest, IssuerParameters, KeyCurve, KeyProperties};
use certmint::proto::v1::{GetCertificateRequest, KeyType, X509Properties};
use certmint::service::record_body;
use certmint::store::Store;
use certmint::store::postgres::Postgres;
use certmint::store::sqlite::Sqlite;
use rusqlite::Connection;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The name that is replaced in the copies. No base64 looks like it. The model stays, before all others: its key is
/// the only one that opens, and a server looks whether any does.
const MODEL: &str = "a-model-of-all";

/// The records of the model, keys and bodies, and what authenticates copies of them.
pub(super) struct Models {
    records: Vec<(String, String)>,
    sealer: Sealer,
}

impl Models {
    /// A record under another name.
    fn copy(&self, (key, body): &(String, String), name: &str) -> Result<(String, Vec<u8>), Failure> {
        let (key, body) = (key.replace(MODEL, name), serde_json::from_str::<Value>(&body.replace(MODEL, name))?);
        let body = record_body(&self.sealer, &key, &body["value"]);
        Ok((key, body))
    }
}

/// What is there.
pub(super) struct Filled {
    pub(super) count: usize,
    pub(super) took: Duration,
    /// Bytes of the bodies of one certificate.
    pub(super) bodies: usize,
    /// Bytes of all on the disk; of the indexes alone where they are files of their own.
    pub(super) tables: u64,
    pub(super) indexes: Option<u64>,
}

/// Lets a server issue one certificate, and takes its records: entry, operation and version.
pub(super) async fn models(data: &TempDir, settings: &str) -> Result<Models, Failure> {
    let server = Server::certmint(data.path(), settings)?;
    let mut client = client(channel(&server).await?);
    client.create_certificate(self_signed()).await?;
    let wanted = GetCertificateRequest { certificate_name: MODEL.to_owned(), ..Default::default() };
    let until = Instant::now() + Duration::from_secs(10);
    while client.get_certificate(wanted.clone()).await?.into_inner().certificate.is_none_or(|one| one.cer.is_empty()) {
        if Instant::now() > until {
            return Err("the model was not issued in 10 s".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(server);
    let store: Box<dyn Store> = match settings.split('\'').nth(1) {
        Some(url) => Box::new(Postgres::open(url.parse()?, Default::default()).await?),
        None => Box::new(Sqlite::open(&data.path().join("certmint.db"), Default::default())?),
    };
    let sealer = Sealer::new(MasterKeys::load(&data.path().join("master.key"))?);
    let mut records = Vec::new();
    // In the order of their keys: every index grows at its end.
    for prefix in ["certificates/", "pending/", "versions/"] {
        for record in store.list(prefix, "", 10).await? {
            records.push((record.key, String::from_utf8(record.body)?));
        }
    }
    match records.len() {
        3 => Ok(Models { records, sealer }),
        other => Err(format!("a certificate has {other} records").into()),
    }
}

fn self_signed() -> CreateCertificateRequest {
    let policy = CertificatePolicy {
        key_properties: Some(KeyProperties {
            key_type: KeyType::Ec.into(),
            curve: KeyCurve::P256.into(),
            ..Default::default()
        }),
        x509_properties: Some(X509Properties { subject: format!("CN={MODEL}.example"), ..Default::default() }),
        issuer: Some(IssuerParameters { name: "Self".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    CreateCertificateRequest { certificate_name: MODEL.to_owned(), policy: Some(policy), ..Default::default() }
}

/// As long as the copies are.
fn bodies(models: &Models) -> usize {
    models.records.iter().map(|(_, body)| body.replace(MODEL, &name(0)).len()).sum()
}

const FILL: &str = "\
-- fill
INSERT INTO records (key, revision, body)
SELECT key, 1, body FROM unnest($1::text[], $2::bytea[]) AS copies (key, body)";

/// Rows of one statement.
const ROWS: usize = 5_000;

const SIZES: &str = "\
-- sizes
SELECT pg_table_size('records'), pg_indexes_size('records')";

pub(super) async fn postgres(url: &str, models: &Models, count: usize) -> Result<Filled, Failure> {
    let begun = Instant::now();
    let mut client = connect(url).await;
    let transaction = client.transaction().await?;
    for record in &models.records {
        for begin in (0..count).step_by(ROWS) {
            let names = (begin..count.min(begin + ROWS)).map(name);
            let copies = names.map(|name| models.copy(record, &name)).collect::<Result<Vec<_>, _>>()?;
            let (keys, bodies): (Vec<String>, Vec<Vec<u8>>) = copies.into_iter().unzip();
            transaction.execute(FILL, &[&keys, &bodies]).await?;
        }
    }
    transaction.commit().await?;
    client.batch_execute("-- settle\nVACUUM (ANALYZE) records").await?;
    let took = begun.elapsed();
    let sizes = client.query_one(SIZES, &[]).await?;
    let bytes = |column: usize| u64::try_from(sizes.get::<_, i64>(column));
    let (tables, indexes) = (bytes(0)?, Some(bytes(1)?));
    Ok(Filled { count, took, bodies: bodies(models), tables, indexes })
}

pub(super) fn sqlite(file: &Path, models: &Models, count: usize) -> Result<Filled, Failure> {
    let begun = Instant::now();
    let mut database = Connection::open(file)?;
    database.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144; PRAGMA journal_mode = OFF;")?;
    let transaction = database.transaction()?;
    {
        let mut insert =
            transaction.prepare("-- fill\nINSERT INTO records (key, revision, body) VALUES (?1, 1, ?2)")?;
        for record in &models.records {
            for number in 0..count {
                insert.execute(models.copy(record, &name(number))?)?;
            }
        }
    }
    transaction.commit()?;
    database.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))?;
    drop(database);
    let took = begun.elapsed();
    Ok(Filled { count, took, bodies: bodies(models), tables: fs::metadata(file)?.len(), indexes: None })
}
