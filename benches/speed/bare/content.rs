//! What an import, a signature, a backup and a restore cannot do without.

use super::creations::{on_every_core, rows_of, tell};
use crate::support::Failure;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKey;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256};
use rusqlite::{Connection, OpenFlags, params};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Bytes of a private key as PKCS#8 on P-256, and of a data key.
const SEALED: [usize; 2] = [138, 32];

/// `import` and signatures take a key in PKCS#8, `backup` and `restore` the database of a server.
pub(super) fn run(kind: &str, callers: usize, time: Duration, file: &Path) -> Result<(), Failure> {
    match kind {
        "import" => {
            let der = fs::read(file)?;
            tell(|| {
                rows_of(callers, time, move || {
                    RsaKey::from_pkcs8(&der)?;
                    Ok((der.clone(), digest(&SHA256, &der).as_ref().to_vec()))
                })
            })
        }
        "ES256" => {
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &fs::read(file)?)?;
            signatures(time, || key.sign(&SystemRandom::new(), &[7; 32]).is_ok())
        }
        "RS256" => {
            let key = RsaKey::from_pkcs8(&fs::read(file)?)?;
            let sign = || {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &[7; 32], &mut signature).is_ok()
            };
            signatures(time, sign)
        }
        "backup" => {
            let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            tell(|| (0..callers).map(|_| timed(|| backup(&connection))).collect())
        }
        "restore" => {
            let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let (rows, folder) = (versions(&connection)?, TempDir::new()?);
            let mut target = Connection::open(folder.path().join("rows.db"))?;
            target.execute_batch(
                "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE rows (key TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL) STRICT;",
            )?;
            tell(|| (0..callers).map(|round| timed(|| restore(&mut target, &rows, round))).collect())
        }
        other => Err(format!("bare: there is no {other}").into()),
    }
}

/// Signatures on every core. The first of a process gathers entropy, and is not measured.
fn signatures(time: Duration, sign: impl Fn() -> bool + Sync) -> Result<(), Failure> {
    if !sign() {
        return Err("the key does not sign".into());
    }
    let begun = Instant::now();
    tell(|| Ok(on_every_core(|_| begun.elapsed() < time, Instant::now, sign)))
}

fn timed(work: impl FnOnce() -> Result<(), Failure>) -> Result<Duration, Failure> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

fn versions(connection: &Connection) -> Result<Vec<Vec<u8>>, Failure> {
    let sql = "-- versions\nSELECT body FROM records WHERE key >= 'versions/default/many/' AND key < 'versions/default/many0'";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec()))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Nonces do not matter here: nothing of it is kept.
fn cipher() -> Result<LessSafeKey, Failure> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[1; 32])?))
}

fn sealed(length: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; length];
    cipher()?.seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut bytes)?;
    Ok(bytes)
}

fn open(mut sealed: Vec<u8>) -> Result<(), Failure> {
    cipher()?.open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut sealed)?;
    Ok(())
}

/// Every row, the opening of every key and of its data key, and one sealing of as many bytes as were read.
fn backup(connection: &Connection) -> Result<(), Failure> {
    let rows = versions(connection)?;
    let examples = SEALED.map(sealed);
    for _ in &rows {
        for example in &examples {
            open(example.as_ref().map_err(ToString::to_string)?.clone())?;
        }
    }
    sealed(rows.iter().map(Vec::len).sum()).map(drop)
}

/// One opening of as many bytes, the sealing of every key and of its data key, and every row in one transaction.
fn restore(target: &mut Connection, rows: &[Vec<u8>], round: usize) -> Result<(), Failure> {
    open(sealed(rows.iter().map(Vec::len).sum())?)?;
    for _ in rows {
        for length in SEALED {
            sealed(length)?;
        }
    }
    let transaction = target.transaction()?;
    {
        let mut insert = transaction.prepare_cached("-- insert\nINSERT INTO rows (key, body) VALUES (?1, ?2)")?;
        for (number, body) in rows.iter().enumerate() {
            insert.execute(params![format!("{round}/{number}"), body])?;
        }
    }
    Ok(transaction.commit()?)
}
