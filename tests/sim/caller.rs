//! A random caller: creates, creates again at once, cancels, deletes, merges, reads, and repeats requests without a
//! response, on any replica.

use crate::authority::{ACCOUNTS, signed};
use crate::harness::{Harness, Sight, vault};
use crate::permit::{ask, new_certificate};
use crate::replica::{Door, Replica};
use crate::watcher;
use certmint::domain::{
    CertificateName, Detail, Error, IssuerInput, IssuerName, Operation, PolicyInput, Reason, RequestId, Result,
};
use certmint::service::{CreateRequest, Created, MergeRequest, PendingRef, Service};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) harness: Arc<Harness>,
    pub(crate) replicas: Vec<Arc<Replica>>,
    pub(crate) watchers: watcher::Gallery,
}

/// Most tries of one act.
const TRIES: usize = 8;

impl Caller {
    pub(crate) async fn run(self) {
        for _ in 0..self.harness.profile.acts {
            sleep(self.harness.up_to(Duration::from_secs(8))).await;
            self.act().await;
        }
    }

    async fn act(&self) {
        let name = name(self.harness.below(self.harness.profile.names));
        match self.harness.below(12) {
            0..=4 => self.create(&name).await,
            5 => {
                // Two at once, by two ways.
                tokio::join!(self.create(&name), self.create(&name));
            }
            6 | 7 => self.cancel(&name).await,
            8 => self.delete(&name).await,
            9 | 10 => self.merge(&name).await,
            _ => drop(self.look(&name, None).await),
        }
    }

    /// One try on some replica; `None` if the connection broke or the caller went away.
    async fn once<T, F: Future<Output = Result<T>>>(&self, call: impl FnOnce(Service) -> F) -> Option<Result<T>> {
        let door = self.door().await;
        let patience = if self.harness.percent(self.harness.profile.impatience) && !self.harness.calm() {
            self.harness.up_to(Duration::from_millis(100))
        } else {
            Duration::from_secs(100_000)
        };
        tokio::select! {
            biased;
            () = door.dead.cancelled() => None,
            answer = timeout(patience, call(door.service)) => answer.ok(),
        }
    }

    async fn door(&self) -> Door {
        loop {
            let replica = &self.replicas[self.harness.below(self.replicas.len())];
            if let Some(door) = replica.door() {
                return door;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Until there is an answer that a repeat would not change.
    async fn insist<T, F: Future<Output = Result<T>>>(&self, call: impl Fn(Service) -> F) -> Option<Result<T>> {
        for _ in 0..TRIES {
            match self.once(&call).await {
                None | Some(Err(Error { reason: Reason::StoreUnavailable, .. })) => {
                    self.harness.note("a caller repeats ".to_owned());
                    sleep(self.harness.up_to(Duration::from_secs(3))).await;
                }
                answer => return answer,
            }
        }
        None
    }

    /// Creates, and at times asks for the same again though it was answered.
    async fn create(&self, name: &CertificateName) {
        let issuer = match self.harness.below(8) {
            0 => "Unknown",
            1 => "Self",
            _ => ACCOUNTS[self.harness.below(ACCOUNTS.len())],
        };
        let id = self.harness.percent(65).then(|| RequestId::from_uuid(self.harness.new_id()));
        let client_request_id = self.harness.percent(70).then(|| self.harness.new_id().to_string());
        let recognised = id.is_some() || client_request_id.is_some();
        let act = self.harness.next_act(recognised);
        let request = CreateRequest { client_request_id, ..request(name, issuer, id, act) };
        let mut mine = self.create_once(&request, id).await;
        while recognised && mine.is_some() && self.harness.percent(30) {
            sleep(self.harness.up_to(Duration::from_secs(5))).await;
            mine = self.create_once(&request, mine).await;
        }
    }

    /// `mine`: the operation of this request, if it is known. Answers it if it is there.
    async fn create_once(&self, request: &CreateRequest, mine: Option<RequestId>) -> Option<RequestId> {
        let from = self.harness.server.told();
        let answer = self.insist(|service| {
            let request = request.clone();
            async move { ask!(service, creations.create(request)) }
        });
        match answer.await? {
            Ok(Created { operation, resume_token }) => {
                let id = operation.request_id;
                if request.request_id.is_some_and(|chosen| chosen != id) {
                    self.harness.broken(format!("the creation {:?} was answered with {id}", request.request_id));
                }
                self.harness.note(format!("created {id}"));
                self.harness.told_with(&operation, &resume_token);
                self.harness.knowledge.lock().unwrap().created.push(id);
                if self.harness.percent(50) {
                    self.watchers.follow(self, &request.name, resume_token);
                }
                Some(id)
            }
            Err(error) => {
                match error.reason {
                    Reason::PendingInProgress if mine.is_some_and(|mine| is_about(&error, mine)) => {
                        self.harness.broken(format!("a repeat was refused because of itself: {error:?}"));
                    }
                    Reason::PendingInProgress => self.harness.observe(&request.name, from, Sight::Busy),
                    // Done before, and gone since.
                    Reason::PendingNotFound if request.request_id.is_some() => {
                        self.harness.observe(&request.name, from, Sight::Absent(request.request_id));
                    }
                    _ => self.unexpected("create", &error),
                }
                None
            }
        }
    }

    async fn look(&self, name: &CertificateName, id: Option<RequestId>) -> Option<Operation> {
        let from = self.harness.server.told();
        let expected = expected(name, id);
        match self.once(async |service: Service| ask!(service, pending.pending(expected.clone()))).await? {
            Ok((operation, token)) => {
                self.harness.told_with(&operation, &token);
                self.harness.observe(name, from, Sight::There(operation.request_id, operation.revision));
                Some(operation)
            }
            Err(error) => {
                match error.reason {
                    Reason::PendingNotFound => self.harness.observe(name, from, Sight::Absent(id)),
                    Reason::StoreUnavailable => {}
                    _ => self.unexpected("pending", &error),
                }
                None
            }
        }
    }

    /// The operation that the caller means: the present one by its id, or whichever there is.
    async fn meant(&self, name: &CertificateName) -> PendingRef {
        let id =
            if self.harness.percent(50) { self.look(name, None).await.map(|found| found.request_id) } else { None };
        expected(name, id)
    }

    async fn cancel(&self, name: &CertificateName) {
        let expected = self.meant(name).await;
        match self.insist(async |service: Service| ask!(service, pending.cancel(expected.clone()))).await {
            Some(Ok((operation, token))) => {
                self.harness.told_with(&operation, &token);
                self.harness.knowledge.lock().unwrap().cancelled.push(operation.request_id);
            }
            Some(Err(error)) => match error.reason {
                Reason::PendingNotFound | Reason::PendingNotInProgress => {}
                _ => self.unexpected("cancel", &error),
            },
            None => {}
        }
    }

    async fn delete(&self, name: &CertificateName) {
        let expected = self.meant(name).await;
        match self.insist(async |service: Service| ask!(service, pending.delete_pending(expected.clone()))).await {
            Some(Ok(operation)) => self.harness.knowledge.lock().unwrap().deleted.push(operation.request_id),
            Some(Err(error)) if error.reason == Reason::PendingNotFound => {}
            Some(Err(error)) => self.unexpected("delete", &error),
            None => {}
        }
    }

    async fn merge(&self, name: &CertificateName) {
        let Some(found) = self.look(name, None).await else { return };
        let policy = policy(&found.issuer.name, 0).complete(found.created).unwrap();
        let x5c = signed(&found.csr.0, &policy, found.request_id, found.version, found.created);
        let id = self.harness.percent(50).then_some(found.request_id);
        let request = MergeRequest { wanted: expected(name, id), x5c, enabled: None, tags: None };
        let answer = self.insist(|service| {
            let request = request.clone();
            async move { ask!(service, pending.merge(request)) }
        });
        match answer.await {
            Some(Ok(view)) => {
                if view.version != found.version {
                    self.harness.broken(format!("merged into {}, not {}", view.version, found.version));
                }
                self.harness.note(format!("merged {}", found.request_id));
                self.harness.knowledge.lock().unwrap().merged.push(found.request_id);
            }
            Some(Err(error)) => match error.reason {
                Reason::PendingNotFound
                | Reason::PendingNotInProgress
                | Reason::MergeForbidden
                | Reason::MergeKeyMismatch => {}
                _ => self.unexpected("merge", &error),
            },
            None => {}
        }
    }

    fn unexpected(&self, what: &str, error: &Error) {
        self.harness.broken(format!("{what} was answered with {error:?}"));
    }

    /// Without faults: creates every issuer object, before the callers start.
    pub(crate) async fn set_issuers(&self) {
        for account in ACCOUNTS {
            let input = IssuerInput {
                provider: Some("Outside".to_owned()),
                account_id: Some(account.to_owned()),
                ..IssuerInput::default()
            };
            let name = IssuerName::parse(account).unwrap();
            let service = self.door().await.service;
            ask!(service, issuers.set_issuer((vault(), name), input)).unwrap();
        }
    }

    /// Without faults: cancels what waits for a person, or is held by the authority.
    pub(crate) async fn cancel_the_held(&self) {
        for number in 0..self.harness.profile.names {
            let name = name(number);
            let Some(found) = self.look(&name, None).await else { continue };
            if found.in_progress() && ["Unknown", "holds"].contains(&found.issuer.name.as_str()) {
                let expected = expected(&name, Some(found.request_id));
                let answer = self
                    .insist(async |service: Service| ask!(service, pending.cancel(expected.clone())).map(drop))
                    .await;
                self.expect_done("the last cancellation", answer);
            }
        }
    }

    /// Without faults, when everything has ended.
    pub(crate) async fn delete_all(&self) {
        for number in 0..self.harness.profile.names {
            let expected = expected(&name(number), None);
            let answer = self
                .insist(async |service: Service| ask!(service, pending.delete_pending(expected.clone())).map(drop))
                .await;
            self.expect_done("the last deletion", answer);
        }
    }

    fn expect_done(&self, what: &str, answer: Option<Result<()>>) {
        let gone = |error: &Error| matches!(error.reason, Reason::PendingNotFound | Reason::PendingNotInProgress);
        match answer {
            Some(Err(error)) if !gone(&error) => self.unexpected(what, &error),
            None => self.harness.broken(format!("{what} got no answer in calm weather")),
            Some(_) => {}
        }
    }
}

fn is_about(error: &Error, id: RequestId) -> bool {
    let id = id.to_string();
    error.details.iter().any(|detail| matches!(detail, Detail::Fact { key: "requestId", value } if *value == id))
}

pub(crate) fn name(number: usize) -> CertificateName {
    CertificateName::parse(["web", "Web-1", "api"][number]).unwrap()
}

fn expected(name: &CertificateName, request_id: Option<RequestId>) -> PendingRef {
    PendingRef { vault: vault(), name: name.clone(), request_id }
}

/// The act is written where the log shows it again.
fn policy(issuer: &str, act: usize) -> PolicyInput {
    let usual = new_certificate(vault(), "web", issuer).policy.unwrap_or_default();
    PolicyInput { certificate_type: Some(act.to_string()), ..usual }
}

pub(crate) fn request(
    name: &CertificateName,
    issuer: &str,
    request_id: Option<RequestId>,
    act: usize,
) -> CreateRequest {
    let policy = Some(policy(issuer, act));
    CreateRequest { policy, request_id, ..new_certificate(vault(), name.as_str(), issuer) }
}
