//! Fills a store with copies of one certificate, past the server: the records are in the form in which it writes them.

use super::name;
use crate::recorded::client;
use crate::replicas::database::connect;
use crate::support::{Failure, Server, channel};
use certmint::proto::v1::{CertificatePolicy, CreateCertificateRequest, IssuerParameters, KeyCurve, KeyProperties};
use certmint::proto::v1::{GetCertificateRequest, KeyType, X509Properties};
use certmint::store::Store;
use certmint::store::postgres::Postgres;
use certmint::store::sqlite::Sqlite;
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The name that is replaced in the copies. No base64 looks like it. The model stays, before all others: its key is
/// the only one that opens, and a server looks whether any does.
const MODEL: &str = "a-model-of-all";

/// A record of the model: key and body.
pub(super) type Model = (String, String);

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
pub(super) async fn models(data: &TempDir, settings: &str) -> Result<Vec<Model>, Failure> {
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
    let mut models = Vec::new();
    // In the order of their keys: every index grows at its end.
    for prefix in ["certificates/", "pending/", "versions/"] {
        for record in store.list(prefix, "", 10).await? {
            models.push((record.key, String::from_utf8(record.body)?));
        }
    }
    if models.len() == 3 { Ok(models) } else { Err(format!("a certificate has {} records", models.len()).into()) }
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
fn bodies(models: &[Model]) -> usize {
    models.iter().map(|(_, body)| body.replace(MODEL, &name(0)).len()).sum()
}

const FILL: &str = "\
-- fill
INSERT INTO records (key, revision, body)
SELECT replace($1, $3, name), 1, convert_to(replace($2, $3, name), 'UTF8')
FROM (SELECT 'fleet-' || lpad(number::text, 8, '0') AS name FROM generate_series(0, $4::bigint - 1) AS number) AS names";

const SIZES: &str = "\
-- sizes
SELECT pg_table_size('records'), pg_indexes_size('records')";

pub(super) async fn postgres(url: &str, models: &[Model], count: usize) -> Result<Filled, Failure> {
    let begun = Instant::now();
    let mut client = connect(url).await;
    let (transaction, last) = (client.transaction().await?, i64::try_from(count)?);
    for (key, body) in models {
        transaction.execute(FILL, &[key, body, &MODEL, &last]).await?;
    }
    transaction.commit().await?;
    client.batch_execute("-- settle\nVACUUM (ANALYZE) records").await?;
    let took = begun.elapsed();
    let sizes = client.query_one(SIZES, &[]).await?;
    let bytes = |column: usize| u64::try_from(sizes.get::<_, i64>(column));
    let (tables, indexes) = (bytes(0)?, Some(bytes(1)?));
    Ok(Filled { count, took, bodies: bodies(models), tables, indexes })
}

pub(super) fn sqlite(file: &Path, models: &[Model], count: usize) -> Result<Filled, Failure> {
    let begun = Instant::now();
    let mut database = Connection::open(file)?;
    database.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144; PRAGMA journal_mode = OFF;")?;
    let transaction = database.transaction()?;
    {
        let mut insert =
            transaction.prepare("-- fill\nINSERT INTO records (key, revision, body) VALUES (?1, 1, ?2)")?;
        for (key, body) in models {
            for number in 0..count {
                let name = name(number);
                insert.execute((key.replace(MODEL, &name), body.replace(MODEL, &name)))?;
            }
        }
    }
    transaction.commit()?;
    database.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))?;
    drop(database);
    let took = begun.elapsed();
    Ok(Filled { count, took, bodies: bodies(models), tables: fs::metadata(file)?.len(), indexes: None })
}
