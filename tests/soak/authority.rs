//! An external certificate authority: openssl signs what is to be merged.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

pub(crate) struct Authority {
    folder: TempDir,
    certificate: Vec<u8>,
    signed: AtomicU64,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        openssl(
            folder.path(),
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=Outside -days 30 -keyout ca.key -out ca.pem",
        );
        openssl(folder.path(), "x509 -in ca.pem -outform DER -out ca.der");
        let certificate = fs::read(folder.path().join("ca.der")).unwrap();
        Self { folder, certificate, signed: AtomicU64::new(0) }
    }

    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.certificate.clone()
    }

    /// The leaf for a request, DER, with a serial number of its own.
    pub(crate) async fn sign(&self, csr: &[u8]) -> Vec<u8> {
        let number = self.signed.fetch_add(1, Ordering::Relaxed) + 1;
        let (folder, csr) = (self.folder.path().to_owned(), csr.to_owned());
        let signed = tokio::task::spawn_blocking(move || {
            fs::write(folder.join(format!("{number}.csr")), csr).unwrap();
            openssl(
                &folder,
                &format!(
                    "x509 -req -inform DER -in {number}.csr -CA ca.pem -CAkey ca.key -set_serial {number} -days 9 -outform DER -out {number}.der"
                ),
            );
            fs::read(folder.join(format!("{number}.der"))).unwrap()
        });
        signed.await.unwrap()
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
