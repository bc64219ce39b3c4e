//! The audit ledger of a server, and `certmint audit verify`, which verifies its lines in files without one.

use super::announce::say;
use super::error::{AppError, part};
use crate::cli::VerifyArgs;
use crate::service::{AuditReport, AuditTrail, AuditVerifier};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Longest line that is read: many times what a server writes.
const MAX_LINE: u64 = 1 << 20;

/// Keeps the ledger until `shutdown`; its file is opened again at SIGHUP.
pub(super) async fn keep_up(audit: AuditTrail, shutdown: CancellationToken) {
    let hangups = async {
        if let Ok(mut hangup) = signal(SignalKind::hangup()) {
            while hangup.recv().await.is_some() {
                audit.reopen();
            }
        }
        // Without the signal the file is looked at every second all the same.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = audit.keep_up(shutdown) => {}
        () = hangups => {}
    }
}

/// Whether nothing shows a change.
pub(super) fn verify(arguments: VerifyArgs) -> Result<bool, AppError> {
    let VerifyArgs { files, key, partial, json } = arguments;
    let keys = match key {
        Some(path) => read_keys(&path).map_err(part("--key cannot be used"))?,
        None => Vec::new(),
    };
    let mut verifier = AuditVerifier::new(keys, partial);
    for path in &files {
        let lines = open(path).and_then(|file| read(path, file, &mut verifier));
        lines.map_err(|error| named(path, &error)).map_err(part("a file cannot be read"))?;
    }
    let report = verifier.finish();
    say(&if json { as_json(&report) } else { as_text(&report) });
    Ok(report.is_whole())
}

fn read_keys(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let text = std::fs::read(path).map_err(|error| named(path, &error))?;
    let keys: Result<Vec<Vec<u8>>, _> =
        SubjectPublicKeyInfoDer::pem_slice_iter(&text).map(|key| key.map(|key| key.to_vec())).collect();
    match keys {
        Ok(keys) if !keys.is_empty() => Ok(keys),
        _ => Err(io::Error::other(format!("{} has no PEM block PUBLIC KEY that can be read", path.display()))),
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    Ok(Box::new(BufReader::new(File::open(path)?)))
}

fn read(path: &Path, mut file: Box<dyn BufRead>, verifier: &mut AuditVerifier) -> io::Result<()> {
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        number += 1;
        if file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if !text.is_empty() {
            verifier.line(&format!("{}:{number}", path.display()), text);
        }
    }
}

fn as_json(report: &AuditReport) -> String {
    let AuditReport { lines, writers, verified, unchecked, problems, more, notes } = report;
    let whole = report.is_whole();
    let report = json!({
        "ok": whole, "lines": lines, "writers": writers, "checkpoints": { "verified": verified, "unchecked": unchecked },
        "problems": problems, "more_problems": more, "notes": notes,
    });
    format!("{report:#}\n")
}

fn as_text(report: &AuditReport) -> String {
    let AuditReport { lines, writers, verified, unchecked: _, problems, more, notes } = report;
    let mut text = String::new();
    for problem in problems {
        text.push_str(&format!("fail  {problem}\n"));
    }
    if *more > 0 {
        text.push_str(&format!("fail  {more} more\n"));
    }
    for note in notes {
        text.push_str(&format!("note  {note}\n"));
    }
    let verdict = if report.is_whole() { "nothing was changed" } else { "NOT whole" };
    text.push_str(&format!("{lines} lines of {writers} writers, {verified} signed checkpoints verified: {verdict}\n"));
    text
}
