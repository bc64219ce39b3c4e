//! Renewals over time: when they begin, what postpones them, and what becomes of them.

mod asked_for;
mod due;
mod log;
mod maintenance;
mod meanwhile;
mod retries;
mod rules;
mod upgrade;
mod windows;

use crate::management::harness::{Harness, named, vault};
use crate::permit::ask;
use certmint::domain::policy_input::LifetimeActionInput;
use certmint::domain::san::SubjectAlternativeNames;
use certmint::domain::{IssuerInput, IssuerName, Operation, PolicyInput, Tags, Timestamp};
use certmint::service::{
    CertificateView, CreateRequest, ListRenewals, ListRequest, PendingRef, RenewalOptions, RenewalState, RenewalView,
    Service, ServiceOptions, UpdateRequest,
};
use certmint::store::Store;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// A certificate of twelve months with AutoRenew at 80 %, as the default is.
fn request(name: &str, issuer: &str) -> CreateRequest {
    CreateRequest {
        tags: Some(Tags::from([("team".to_owned(), "shop".to_owned())])),
        ..crate::management::harness::create(name, issuer)
    }
}

fn auto_renew(percentage: i64) -> PolicyInput {
    PolicyInput {
        lifetime_actions: Some(vec![LifetimeActionInput {
            lifetime_percentage: Some(percentage),
            action: Some("AutoRenew".into()),
            ..LifetimeActionInput::default()
        }]),
        ..PolicyInput::default()
    }
}

fn with_names(request: CreateRequest, names: &[&str]) -> CreateRequest {
    let policy = request.policy.map(|policy| PolicyInput { sans: Some(names_of(names)), ..policy });
    CreateRequest { policy, ..request }
}

fn names_of(names: &[&str]) -> SubjectAlternativeNames {
    SubjectAlternativeNames {
        dns_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..SubjectAlternativeNames::default()
    }
}

async fn with(renewal: RenewalOptions) -> Harness {
    Harness::new(ServiceOptions { renewal, ..ServiceOptions::default() }).await
}

async fn start() -> Harness {
    with(RenewalOptions::default()).await
}

impl Harness {
    fn now(&self) -> Timestamp {
        use certmint::clock::Clock;
        self.clock.now()
    }

    async fn issued(&self, request: CreateRequest) {
        ask!(self.service, creations.create(request)).unwrap();
        self.work().await;
    }

    /// An issuer object of the provider `Test`, whose account says what becomes of orders.
    async fn test_issuer(&self, account: &str) {
        let input =
            IssuerInput { provider: Some("Test".into()), account_id: Some(account.into()), ..IssuerInput::default() };
        ask!(self.service, issuers.set_issuer((vault(), IssuerName::parse("ca").unwrap()), input)).unwrap();
    }

    async fn local_ca(&self) {
        let input = IssuerInput { provider: Some("LocalCA".into()), ..IssuerInput::default() };
        ask!(self.service, issuers.set_issuer((vault(), IssuerName::parse("ca").unwrap()), input)).unwrap();
    }

    async fn versions(&self, name: &str) -> usize {
        let request =
            ListRequest { vault: vault(), page_size: 1000, page_token: String::new(), include_pending: false };
        ask!(self.service, certificates.list_versions((request, named(name)))).unwrap().items.len()
    }

    async fn certificate(&self, name: &str) -> CertificateView {
        ask!(self.service, certificates.certificate((vault(), named(name)))).unwrap()
    }

    async fn pending(&self, name: &str) -> Operation {
        let wanted = PendingRef { vault: vault(), name: named(name), request_id: None };
        ask!(self.service, pending.operation(wanted)).unwrap()
    }

    async fn change(&self, name: &str, policy: PolicyInput) {
        let request = UpdateRequest {
            vault: vault(),
            name: named(name),
            version: None,
            policy: Some(policy),
            enabled: None,
            tags: None,
        };
        ask!(self.service, certificates.update_certificate(request)).unwrap();
    }

    /// When something is to be done for a certificate.
    async fn due(&self, name: &str) -> Option<Timestamp> {
        self.store.get(&format!("certificates/default/{name}")).await.unwrap().unwrap().due
    }

    /// Lets the time come at which something is to be done for a certificate, and does everything that is due then.
    async fn until_due(&self, name: &str) {
        let due = self.due(name).await.unwrap_or_else(|| panic!("{name} is never due"));
        let wait = u64::try_from(due.0 - self.now().0).unwrap_or(0);
        self.clock.advance(Duration::from_millis(wait));
        self.work().await;
    }

    async fn renewal(&self, name: &str) -> RenewalView {
        let all = list(&self.service, |wanted| wanted.include_unplanned = true).await;
        all.into_iter().find(|view| view.name == named(name)).unwrap_or_else(|| panic!("{name} is not listed"))
    }

    async fn note(&self, name: &str) -> String {
        self.renewal(name).await.renewal.tries.note
    }
}

async fn list(service: &Service, change: impl Fn(&mut ListRenewals)) -> Vec<RenewalView> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let mut wanted = ListRenewals {
            vault: vault(),
            issuer: String::new(),
            due_before: None,
            include_unplanned: false,
            page_size: 2,
            page_token,
        };
        change(&mut wanted);
        let page = ask!(service, renewals.list(wanted)).unwrap();
        all.extend(page.renewals);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

fn is_planned(view: &RenewalView) -> bool {
    view.state == RenewalState::Planned
}
