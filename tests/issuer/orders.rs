//! Orders as the service makes them, and the issuers that are tested.

use certmint::domain::issuer::Credentials;
use certmint::domain::policy::KeyType;
use certmint::domain::{
    CertificateName, IssuerConfig, IssuerName, PolicyInput, RequestId, Timestamp, VaultName, Version,
};
use certmint::issuer::local_ca::LocalCa;
use certmint::issuer::provider::{Order, Provider, State};
use certmint::issuer::self_signed::SelfSigned;
use certmint::issuer::test::TestIssuer;
use certmint::issuer::{Checkpoint, IssuerError, Issuers, Step};
use certmint::keys::authority::{Plan, create_authority};
use certmint::keys::{KeyPair, Keys, MasterKeys, SealContext, Sealer, random_id, request};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// 2026-11-23T10:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_795_428_000_000);

pub(crate) const KEY_TYPES: [KeyType; 7] =
    [KeyType::Rsa2048, KeyType::Rsa3072, KeyType::Rsa4096, KeyType::P256, KeyType::P384, KeyType::P521, KeyType::P256K];

/// An order and the issuer object that it goes to; `None` for `Self`.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) order: Order,
    pub(crate) issuer: Option<IssuerConfig>,
}

impl Deref for Case {
    type Target = Order;

    fn deref(&self) -> &Order {
        &self.order
    }
}

impl DerefMut for Case {
    fn deref_mut(&mut self) -> &mut Order {
        &mut self.order
    }
}

pub(crate) struct Harness {
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) issuers: Issuers,
}

impl Harness {
    pub(crate) fn new() -> Self {
        let sealer = Arc::new(Sealer::new(MasterKeys::random()));
        let keys = Arc::new(Keys::inline(Arc::clone(&sealer), Arc::new(random_id)));
        let own = Arc::new(SelfSigned::new(Arc::clone(&keys)));
        let issuers = Issuers::new(own.clone())
            .with_provider(Arc::new(LocalCa::new(keys)))
            .with_provider(Arc::new(TestIssuer::new(own)));
        Self { sealer, issuers }
    }

    /// The provider of a case, and the state of the issuer object.
    pub(crate) fn provider(&self, case: &Case) -> (Arc<dyn Provider>, State) {
        match &case.issuer {
            None => (self.issuers.self_signed().clone(), State::default()),
            Some(issuer) => {
                let provider = self.issuers.get(&issuer.provider).unwrap();
                (provider.clone(), provider.state_in_object(&case.order.vault, issuer).unwrap())
            }
        }
    }

    pub(crate) async fn advance(&self, case: &Case) -> Result<Step, IssuerError> {
        self.advance_at(case, &Checkpoint::default()).await
    }

    pub(crate) async fn advance_at(&self, case: &Case, at: &Checkpoint) -> Result<Step, IssuerError> {
        let (provider, state) = self.provider(case);
        // As the service does: what a CA of this server signs is there before it signs.
        let intent = provider.intend(&case.order, &state, None, None).ok().flatten();
        provider.advance(&Order { intent, ..case.order.clone() }, &state, at).await.map(|progress| progress.step)
    }

    pub(crate) async fn cancel_at(&self, case: &Case, at: &Checkpoint) -> Result<Step, IssuerError> {
        let (provider, state) = self.provider(case);
        provider.cancel(&case.order, &state, at).await.map(|progress| progress.step)
    }

    /// An order with a key of its own.
    pub(crate) fn order(&self, key_type: KeyType, input: PolicyInput, issuer: Option<IssuerConfig>) -> Case {
        let input = PolicyInput {
            kty: Some(key_type.kty().into()),
            key_size: Some(i64::from(key_type.bits())),
            curve: key_type.curve().map(Into::into),
            ..input
        };
        let policy = input.complete(NOW).unwrap();
        let key = KeyPair::generate(key_type).unwrap();
        let version = Version::parse("b76827a18b63421c917da80f28e9913d").unwrap();
        let context = SealContext::new(&VaultName::default_vault(), "mycert1", &version.to_string(), "key");
        let provider = issuer.as_ref().and_then(|issuer| self.issuers.get(&issuer.provider));
        let needs = provider.unwrap_or(self.issuers.self_signed()).needs();
        let sealed_key = needs.sealed_key.then(|| self.sealer.seal(&key.to_pkcs8(), &context).unwrap());
        let order = Order {
            vault: VaultName::default_vault(),
            certificate: CertificateName::parse("MyCert1").unwrap(),
            request_id: RequestId::parse("a76827a18b63421c917da80f28e9913d").unwrap(),
            version,
            csr: request::certificate_request(&key, &policy).unwrap(),
            policy,
            created: NOW,
            replaces: None,
            sealed_key,
            intent: None,
        };
        Case { order, issuer }
    }

    pub(crate) fn local_ca(&self, with_intermediate: bool, key_type: KeyType, id: Option<&str>) -> IssuerConfig {
        let mut issuer = issuer("LocalCA", None);
        let plan = Plan { with_intermediate, key_type, ..Plan::new(id.unwrap_or("corp CA (default)")) };
        let made = create_authority(&self.sealer, &VaultName::default_vault(), &issuer.name, &plan, NOW);
        issuer.authority = Some(made.unwrap());
        issuer
    }

    /// The chain of an order that is issued at once.
    pub(crate) async fn issue(&self, case: &Case) -> Vec<Vec<u8>> {
        match self.advance(case).await.unwrap() {
            Step::Issued { chain } => chain,
            other => panic!("not issued: {other:?}"),
        }
    }
}

pub(crate) fn issuer(provider: &str, account: Option<&str>) -> IssuerConfig {
    IssuerConfig {
        name: IssuerName::parse("MyIssuer").unwrap(),
        provider: provider.into(),
        credentials: Credentials { account_id: account.map(Into::into), sealed_password: None },
        organization: None,
        enabled: true,
        created: NOW,
        updated: NOW,
        authority: None,
        options: Default::default(),
        paused: None,
    }
}

pub(crate) fn named(subject: &str) -> PolicyInput {
    PolicyInput { subject: Some(subject.into()), ..Default::default() }
}
