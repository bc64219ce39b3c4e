//! A store in a file that is changed by SQL between two runs of a service, and requests without a network.

use crate::permit::ask;
use axum::body::{Body, to_bytes};
use certmint::clock::ManualClock;
use certmint::domain::{Error, RetentionDays, Timestamp, VaultName};
use certmint::issuer::Issuers;
use certmint::issuer::local_ca::LocalCa;
use certmint::issuer::self_signed::SelfSigned;
use certmint::keys::{KeyOptions, Keys, MasterKeys, Sealer};
use certmint::limits::Limits;
use certmint::service::{NewVault, Service, ServiceOptions};
use certmint::store::Store;
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use certmint::transport::auth::Auth;
use certmint::transport::rest::{RestOptions, router};
use http::Request;
use rusqlite::Connection;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tower::ServiceExt;

/// The two vaults of every test.
pub(crate) const A: &str = "team-a";
pub(crate) const B: &str = "team-b";

const KEYS: &str = "k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) limits: ServiceOptions,
    /// Records that are brought under another master key in a second.
    pub(crate) reseal_rate: u32,
}

/// One run of a service. It has no worker: the test triggers due work.
pub(crate) struct Life {
    pub(crate) service: Service,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

pub(crate) fn vault(name: &str) -> VaultName {
    VaultName::parse(name).unwrap()
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000))),
            limits: ServiceOptions::default(),
            reseal_rate: 1000,
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("certmint.db")
    }

    /// Beside the store, for the binary.
    pub(crate) fn write_master_key(&self) {
        let path = self.folder.path().join("master.key");
        fs::write(&path, format!("{KEYS}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn sealer() -> Sealer {
        Sealer::new(MasterKeys::from_text(KEYS).unwrap())
    }

    /// As the binary opens it, but for the takeover of older records.
    pub(crate) async fn open(&self) -> Life {
        self.open_on(Arc::new(self.store()), Self::sealer()).await.unwrap()
    }

    pub(crate) fn store(&self) -> Sqlite {
        Sqlite::open(&self.file(), SqliteOptions::default()).unwrap()
    }

    /// A start with other master keys, or on a store that something happens to.
    pub(crate) async fn open_on(&self, store: Arc<dyn Store>, sealer: Sealer) -> Result<Life, Error> {
        let sealer = Arc::new(sealer);
        let opened_for = Duration::from_secs(600);
        let options =
            KeyOptions { workers: 1, opened: 8, opened_for, reseal_rate: self.reseal_rate, ..KeyOptions::on_demand() };
        let keys = Arc::new(Keys::new(sealer, &options, &Limits::default()).unwrap());
        let issuers =
            Issuers::new(Arc::new(SelfSigned::new(keys.clone()))).with_provider(Arc::new(LocalCa::new(keys.clone())));
        let service = Service::new(store, issuers, keys, self.clock.clone(), self.limits.clone()).await?;
        Ok(Life { service })
    }

    fn database(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }

    /// Changes the database past the service; the statement has to change something.
    pub(crate) fn sql(&self, statement: &str) {
        assert!(self.database().execute(statement, []).unwrap() > 0, "{statement} changed nothing");
    }

    /// The bodies of `from` under the key of `to`.
    pub(crate) fn moved(&self, from: &str, to: &str) {
        self.sql(&format!(
            "UPDATE records SET body = (SELECT body FROM records WHERE key = '{from}') WHERE key = '{to}'"
        ));
    }

    pub(crate) fn body(&self, key: &str) -> String {
        let sql = "SELECT CAST(body AS TEXT) FROM records WHERE key = ?1";
        self.database().query_row(sql, [key], |row| row.get(0)).unwrap_or_else(|error| panic!("{key}: {error}"))
    }

    /// Edits the text of a body, which has to hold `from`.
    pub(crate) fn edit(&self, key: &str, from: &str, to: &str) {
        let body = self.body(key);
        assert!(body.contains(from), "{from} is not in {body}");
        self.write(key, &body.replacen(from, to, 1));
    }

    /// As bytes, as the server writes them.
    pub(crate) fn write(&self, key: &str, body: &str) {
        let sql = "INSERT INTO records (key, revision, body) VALUES (?1, 1, CAST(?2 AS BLOB))
                   ON CONFLICT (key) DO UPDATE SET body = excluded.body";
        self.database().execute(sql, [key, body]).unwrap();
    }

    pub(crate) fn remove(&self, key: &str) {
        self.sql(&format!("DELETE FROM records WHERE key = '{key}'"));
    }

    /// Takes the code from a body, as a version before the codes writes it.
    pub(crate) fn strip(&self, key: &str) {
        let body = self.body(key);
        let (_, rest) = body.split_once(r#","mac":""#).unwrap();
        let (_, value) = rest.split_once(r#"","value":"#).unwrap();
        self.write(key, &format!(r#"{{"format":1,"value":{value}"#));
    }

    /// The store as a version before the codes left it.
    pub(crate) fn strip_all(&self) {
        self.sql("DELETE FROM records WHERE key LIKE 'meta/%'");
        for key in self.keys("") {
            self.strip(&key);
        }
    }

    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let database = self.database();
        let mut statement = database.prepare("SELECT key FROM records WHERE key LIKE ?1 || '%' ORDER BY key").unwrap();
        statement.query_map([prefix], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// The key of the only version of a certificate.
    pub(crate) fn version(&self, vault: &str, name: &str) -> String {
        let keys = self.keys(&format!("versions/{vault}/{name}/"));
        assert_eq!(keys.len(), 1, "{keys:?}");
        keys[0].clone()
    }

    /// Both vaults with one record of each kind.
    pub(crate) async fn filled(&self) {
        let life = self.open().await;
        for (vault_name, days) in [(A, 7), (B, 90)] {
            let days = RetentionDays::new(days).unwrap();
            ask!(
                life.service,
                vault_objects.create_vault(NewVault {
                    name: vault(vault_name),
                    retention_days: Some(days),
                    purge_protection: None
                })
            )
            .unwrap();
            for name in ["web", "other", "gone"] {
                life.issued(vault_name, name).await;
            }
            life.create_with(vault_name, "locked", r#""exportable":false"#).await;
            for name in ["manual", "kept"] {
                life.ok(vault_name, &format!("POST /certificates/{name}/create"), &policy("Unknown", "")).await;
            }
            life.ok(vault_name, "DELETE /certificates/gone", "").await;
            life.ok(vault_name, "DELETE /certificates/kept", "").await;
            life.ok(vault_name, "PUT /certificates/issuers/ca", r#"{"provider":"LocalCA"}"#).await;
            let contacts = format!(r#"{{"contacts":[{{"email":"admin@{vault_name}.example"}}]}}"#);
            life.ok(vault_name, "PUT /certificates/contacts", &contacts).await;
        }
    }
}

/// A create body with a P-256 key; `key` is more of its properties.
pub(crate) fn policy(issuer: &str, key: &str) -> String {
    let comma = if key.is_empty() { "" } else { "," };
    format!(
        r#"{{"policy":{{"key_props":{{"kty":"EC"{comma}{key}}},"x509_props":{{"subject":"CN=a.example"}},"issuer":{{"name":"{issuer}"}}}}}}"#
    )
}

impl Life {
    /// `request` is `METHOD /path` without the version of the API.
    pub(crate) async fn send(&self, vault: &str, request: &str, body: &str) -> Reply {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        self.send_as(&id, vault, request, body).await
    }

    /// As the client that calls its request `id`.
    pub(crate) async fn send_as(&self, id: &str, vault: &str, request: &str, body: &str) -> Reply {
        let (method, path) = request.split_once(' ').unwrap();
        let join = if path.contains('?') { '&' } else { '?' };
        let request = Request::builder()
            .method(method)
            .uri(format!("{path}{join}api-version=7.4"))
            .header("host", format!("{vault}.localhost:8443"))
            .header("authorization", "Bearer token")
            .header("x-ms-client-request-id", id)
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response =
            router(self.service.clone(), RestOptions::new(Auth::Development)).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 8 << 20).await.unwrap();
        Reply { status, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub(crate) async fn ok(&self, vault: &str, request: &str, body: &str) -> Value {
        let Reply { status, body } = self.send(vault, request, body).await;
        assert!((200..300).contains(&status), "{request}: {status} {body}");
        serde_json::from_str(&body).unwrap_or_default()
    }

    /// The request is refused with an error that names the record, and nothing else of the store.
    pub(crate) async fn refuses(&self, vault: &str, request: &str, key: &str) {
        let Reply { status, body } = self.send(vault, request, "").await;
        let messages = [
            format!("The record {key} does not verify: it was changed or moved outside certmint."),
            format!("The record {key} carries no authentication code: it was changed outside certmint, or written by"),
        ];
        let named = messages.iter().any(|message| body.contains(message));
        assert!(status == 500 && named, "{request}: {status} {body}");
    }

    pub(crate) async fn create_with(&self, vault: &str, name: &str, key: &str) {
        self.ok(vault, &format!("POST /certificates/{name}/create"), &policy("Self", key)).await;
        self.work().await;
    }

    pub(crate) async fn issued(&self, vault: &str, name: &str) {
        self.create_with(vault, name, "").await;
    }

    /// Does all that is due now, whatever becomes of it.
    pub(crate) async fn work(&self) -> Vec<String> {
        let mut failed = Vec::new();
        loop {
            let due = self.service.jobs().claim(16).await.unwrap();
            if due.is_empty() {
                return failed;
            }
            for due in due {
                failed.extend(self.service.jobs().step(due).await.err().map(|error| error.message));
            }
        }
    }

    /// The names in a list of the REST API.
    pub(crate) async fn names(&self, vault: &str, path: &str) -> Vec<String> {
        let list = self.ok(vault, &format!("GET {path}?includePending=true"), "").await;
        let items = list["value"].as_array().unwrap();
        let id = |item: &Value| {
            let id = ["id", "kid"].iter().find_map(|member| item[*member].as_str()).unwrap();
            id.rsplit('/').next().unwrap().to_owned()
        };
        items.iter().map(id).collect()
    }
}
