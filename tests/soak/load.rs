//! Random clients: each creates, reads, watches, cancels, merges and deletes, each call at another replica, and checks
//! every response against earlier ones.

use crate::authority::Authority;
use crate::client::{Caller, Fleet, may_repeat, reason};
use crate::dice::Dice;
use crate::ledger::{Fact, Ledger};
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::proto::v1::{
    CancelPendingRequest, CertificatePolicy, CreateCertificateRequest, DeletePendingRequest, GetPendingRequest,
    IssuerParameters, KeyProperties, KeyType, MergeCertificateRequest, PendingOperation, PendingStatus,
    WatchPendingRequest, X509Properties,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An operation that nobody holds ends in this time, whatever happens to servers, database and clocks.
const PREDECESSOR: Duration = Duration::from_secs(180);
/// Names that all clients fight for.
const SHARED: u64 = 3;
/// Names of each client's own.
const OWN: u64 = 4;

pub(crate) struct Load {
    pub(crate) ledger: Ledger,
    stop: CancellationToken,
    clients: Vec<JoinHandle<Done>>,
}

/// What a client did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) creates: usize,
    pub(crate) followed: usize,
    pub(crate) repeats: usize,
    /// Failures of calls other than UNAVAILABLE.
    pub(crate) odd: Vec<String>,
}

pub(crate) fn request(name: &str, id: &str, issuer: &str) -> CreateCertificateRequest {
    CreateCertificateRequest {
        certificate_name: name.to_owned(),
        request_id: id.to_owned(),
        policy: Some(CertificatePolicy {
            key_properties: Some(KeyProperties { key_type: KeyType::Ec.into(), ..KeyProperties::default() }),
            x509_properties: Some(X509Properties { subject: format!("CN={name}"), ..X509Properties::default() }),
            issuer: Some(IssuerParameters { name: issuer.to_owned(), ..IssuerParameters::default() }),
            ..CertificatePolicy::default()
        }),
        ..CreateCertificateRequest::default()
    }
}

impl Load {
    pub(crate) fn start(fleet: &Fleet, clients: u64) -> Self {
        let (ledger, stop) = (Ledger::default(), CancellationToken::new());
        let authority = Arc::new(Authority::new());
        let clients = (0..clients)
            .map(|number| {
                let client = Client {
                    number,
                    caller: fleet.caller(Dice::of("client", number)),
                    ledger: ledger.clone(),
                    authority: authority.clone(),
                    done: Done::default(),
                };
                tokio::spawn(client.run(stop.clone()))
            })
            .collect();
        Self { ledger, stop, clients }
    }

    /// Each client finishes what it has begun; a client's complaint fails the test.
    pub(crate) async fn stop(self) -> (Ledger, Done) {
        self.stop.cancel();
        let mut all = Done::default();
        for client in self.clients {
            let done = client.await.unwrap();
            all.creates += done.creates;
            all.followed += done.followed;
            all.repeats += done.repeats;
            all.odd.extend(done.odd);
        }
        (self.ledger, all)
    }
}

struct Client {
    number: u64,
    caller: Caller,
    ledger: Ledger,
    authority: Arc<Authority>,
    done: Done,
}

impl Client {
    async fn run(mut self, stop: CancellationToken) -> Done {
        while !stop.is_cancelled() {
            if self.caller.dice.percent(15) {
                self.fight().await;
            } else {
                self.work().await;
            }
        }
        Done { odd: self.caller.odd, ..self.done }
    }

    /// A name that others use, too: whoever is first gets it.
    async fn fight(&mut self) {
        let name = format!("shared-{}", self.caller.dice.below(SHARED));
        let id = self.caller.dice.request_id();
        match self.caller.create_certificate(request(&name, &id, "Self")).await {
            Ok(created) => self.stood(created.operation.unwrap(), "create"),
            Err(status) => match reason(&status).as_deref() {
                // Another one is in progress; or the answer was lost, and another one has followed since.
                Some("PENDING_IN_PROGRESS" | "PENDING_NOT_FOUND") => {}
                _ => panic!("create {name} {id}: {status:?}"),
            },
        }
        self.count();
    }

    /// A name of this client alone: it knows what it has to find.
    async fn work(&mut self) {
        let name = format!("own-{}-{}", self.number, self.caller.dice.below(OWN));
        let id = self.caller.dice.request_id();
        let issuer =
            ["Self", "Self", "Self", "corp", "corp", "signs", "holds", "fails", "rejects", "Unknown", "Unknown"];
        let issuer = issuer[self.caller.dice.index(issuer.len())];
        let deadline = Instant::now() + PREDECESSOR;
        let created = loop {
            match self.caller.create_certificate(request(&name, &id, issuer)).await {
                Ok(created) => break created,
                Err(status) if reason(&status).as_deref() == Some("PENDING_IN_PROGRESS") => {
                    // Its predecessor, which this client did not wait for.
                    assert!(Instant::now() < deadline, "create {name} {id}: the one before does not end: {status:?}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(status) => panic!("create {name} {id}: {status:?}"),
            }
        };
        self.count();
        self.done.creates += 1;
        let operation = created.operation.unwrap();
        assert_eq!(operation.request_id, id, "{name}: the answer is that of another request");
        self.stood(operation.clone(), "create");
        self.read(&name, &id, operation.revision).await;
        match (issuer, self.caller.dice.below(4)) {
            ("holds" | "Unknown", 0) => self.delete(&name, &id).await,
            ("Unknown", 1 | 2) => self.merge(&operation).await,
            ("holds" | "Unknown", _) => {
                self.cancel(&name, &id).await;
                if self.caller.dice.percent(50) {
                    self.follow(&operation, created.resume_token).await;
                } else {
                    self.wait(&name, &id).await;
                }
            }
            // Most are left to themselves: the next creation of the name has to wait for them.
            (_, 0) => self.follow(&operation, created.resume_token).await,
            (_, 1) => {
                self.wait(&name, &id).await;
                self.delete(&name, &id).await;
            }
            (_, 2) => self.delete(&name, &id).await,
            _ => {}
        }
    }

    fn stood(&self, operation: PendingOperation, call: &'static str) {
        self.ledger.note(Fact::Stood { operation: Box::new(operation), call });
    }

    fn count(&mut self) {
        self.done.repeats += self.caller.repeats;
    }

    /// What was answered by one replica is there on every other.
    async fn read(&mut self, name: &str, id: &str, least: i64) -> PendingOperation {
        let expected =
            GetPendingRequest { certificate_name: name.to_owned(), request_id: id.to_owned(), ..Default::default() };
        let found = self.caller.get_pending(expected).await;
        let operation = found.unwrap_or_else(|status| panic!("{name} {id} is gone: {status:?}")).operation.unwrap();
        assert!(operation.revision >= least, "{name} {id} went back from {least} to {operation:?}");
        self.stood(operation.clone(), "get");
        operation
    }

    async fn wait(&mut self, name: &str, id: &str) {
        let (deadline, mut least) = (Instant::now() + Duration::from_secs(90), 1);
        loop {
            let operation = self.read(name, id, least).await;
            if operation.status != i32::from(PendingStatus::InProgress) {
                return;
            }
            least = operation.revision;
            assert!(Instant::now() < deadline, "{name} does not end: {operation:?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Everything after the token of the creation, told by other replicas, until the end.
    async fn follow(&mut self, operation: &PendingOperation, mut token: String) {
        let deadline = Instant::now() + Duration::from_secs(90);
        let (name, id) = (&operation.certificate_name, &operation.request_id);
        let mut last = operation.revision;
        'streams: loop {
            assert!(Instant::now() < deadline, "{name} {id} is not told to have ended");
            let request = WatchPendingRequest {
                certificate_names: vec![name.clone()],
                request_id: id.clone(),
                resume_token: token.clone(),
                until_terminal: true,
                ..WatchPendingRequest::default()
            };
            let mut stream = match self.caller.watch(request).await {
                Ok(stream) => stream,
                Err(status) => {
                    assert!(may_repeat(&status), "watch {name} {id}: {status:?}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            loop {
                let message = match tokio::time::timeout(Duration::from_secs(90), stream.message()).await {
                    Ok(Ok(Some(message))) => message,
                    Ok(Ok(None)) => break 'streams,
                    Ok(Err(status)) if may_repeat(&status) => continue 'streams,
                    Ok(Err(status)) => panic!("watch {name} {id}: {status:?}"),
                    Err(_) => panic!("watch {name} {id}: neither an event nor a heartbeat for 90 s"),
                };
                if let Some(Payload::Event(event)) = message.payload {
                    let told = event.operation.unwrap();
                    if told.revision > last {
                        assert_eq!(told.revision, last + 1, "{name} {id}: a transition was not told");
                        last = told.revision;
                        self.stood(told, "watch");
                    }
                }
                if !message.resume_token.is_empty() {
                    token = message.resume_token;
                }
            }
        }
        self.done.followed += 1;
        let operation = self.read(name, id, last).await;
        assert_eq!(operation.revision, last, "{name} {id}: the stream ended before its end");
        assert_ne!(operation.status, i32::from(PendingStatus::InProgress), "{name} {id}");
    }

    async fn cancel(&mut self, name: &str, id: &str) {
        let expected =
            CancelPendingRequest { certificate_name: name.to_owned(), request_id: id.to_owned(), ..Default::default() };
        match self.caller.cancel_pending(expected).await {
            Ok(answer) => {
                let operation = answer.operation.unwrap();
                assert!(operation.cancellation_requested, "{operation:?}");
                self.stood(operation, "cancel");
            }
            // The answer was lost, and the cancellation has taken place since.
            Err(status) => {
                assert_eq!(reason(&status).as_deref(), Some("PENDING_NOT_IN_PROGRESS"), "{name} {id}: {status:?}");
                assert!(self.caller.repeats > 0, "{name} {id}: nobody else cancels it, but {status:?}");
            }
        }
        self.count();
    }

    async fn delete(&mut self, name: &str, id: &str) {
        let expected =
            DeletePendingRequest { certificate_name: name.to_owned(), request_id: id.to_owned(), ..Default::default() };
        if let Err(status) = self.caller.delete_pending(expected).await {
            assert_eq!(reason(&status).as_deref(), Some("PENDING_NOT_FOUND"), "{name} {id}: {status:?}");
            assert!(self.caller.repeats > 0, "{name} {id}: nobody else deletes it, but {status:?}");
        }
        self.count();
        self.ledger.note(Fact::Deleted { request_id: id.to_owned(), name: name.to_owned() });
        let expected =
            GetPendingRequest { certificate_name: name.to_owned(), request_id: id.to_owned(), ..Default::default() };
        let status = self.caller.get_pending(expected).await.expect_err("it was deleted");
        assert_eq!(reason(&status).as_deref(), Some("PENDING_NOT_FOUND"), "{name} {id}: {status:?}");
    }

    async fn merge(&mut self, operation: &PendingOperation) {
        let (name, id) = (&operation.certificate_name, &operation.request_id);
        let leaf = self.authority.sign(&operation.csr).await;
        let request = MergeCertificateRequest {
            certificate_name: name.clone(),
            request_id: id.clone(),
            x509_certificates: vec![leaf.clone().into(), self.authority.certificate().into()],
            ..MergeCertificateRequest::default()
        };
        match self.caller.merge_certificate(request).await {
            Ok(merged) => {
                let merged = merged.certificate.unwrap();
                assert_eq!(merged.cer, leaf, "{name} {id}");
                let version = merged.certificate_version;
                self.ledger.note(Fact::Merged { request_id: id.clone(), version });
            }
            // The answer was lost: what is completed takes no other certificate.
            Err(status) => assert!(self.caller.repeats > 0 && reason(&status).is_some(), "{name} {id}: {status:?}"),
        }
        self.count();
        let operation = self.read(name, id, operation.revision + 1).await;
        assert_eq!(operation.status, i32::from(PendingStatus::Completed), "{operation:?}");
    }
}
