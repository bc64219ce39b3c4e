//! What is above a CA: parents that end or were revoked, roots that vouch for no others, names that a parent permits, and
//! CAs of other programs.

use crate::management::cas::{
    activate, authorities, ca, days, further, install, name, notices, of, revoke, serial, set,
};
use crate::management::harness::{Harness, Other, create, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::authority::AuthorityState;
use certmint::domain::authority::AuthorityState::{Active, Gone, Next, Requested, Retired};
use certmint::domain::{Blob, IssuerInput, Reason, Result, VaultName};
use certmint::service::{Ceremony, ImportAuthority, NewVault, Parent, ServiceOptions, record_body};
use certmint::store::{Batch, Put, Record, Store};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, DnType, GeneralSubtree, Issuer, KeyIdMethod, KeyPair,
    NameConstraints, RevokedCertParams, SerialNumber, date_time_ymd,
};
use std::time::Duration;

async fn states(harness: &Harness, issuer: &str) -> Vec<AuthorityState> {
    authorities(harness, issuer).await.iter().map(|it| it.state).collect()
}

async fn import(
    harness: &Harness,
    vault: VaultName,
    issuer: &str,
    pem: String,
    crl: Option<Vec<u8>>,
) -> Result<Ceremony> {
    let value = pem.into_bytes().into();
    let wanted = ImportAuthority { vault, issuer: name(issuer), value, password: String::new().into(), crl };
    let wanted = permit(&harness.service, wanted).await;
    harness.service.certificate_authorities().import_authority(wanted).await
}

#[tokio::test]
async fn a_ca_whose_parent_ends_with_it_is_followed_once_the_parent_was() {
    let harness = Harness::new(ServiceOptions::default()).await;
    // One root waits for somebody who takes its request elsewhere; the other one is followed by itself.
    set(&harness, "elsewhere", &[("parent", "external")]).await;
    install(&harness, "elsewhere").await;
    set(&harness, "root", &[("validity_months", "12")]).await;
    for (issuer, parent) in [("waits", "elsewhere"), ("goes-on", "root")] {
        set(&harness, issuer, &[("parent", parent), ("validity_months", "12")]).await;
    }
    harness.service.certificate_authorities().begin_successions().await.unwrap();
    days(&harness, 170).await;
    assert_eq!((states(&harness, "root").await, states(&harness, "goes-on").await), (vec![Active, Next], vec![Active]));
    assert!(notices(&harness, "goes-on").await.contains("the CA of the issuer root that signs it ends on"));
    days(&harness, 50).await;
    assert_eq!(states(&harness, "root").await, [Retired, Active]);
    assert_eq!(states(&harness, "goes-on").await, [Gone, Active], "{}", notices(&harness, "goes-on").await);
    let followed = authorities(&harness, "goes-on").await;
    assert!(followed[1].validity.unwrap().1 > followed[0].validity.unwrap().1);
    days(&harness, 120).await;
    assert_eq!(states(&harness, "elsewhere").await, [Active, Requested]);
    assert_eq!(states(&harness, "waits").await, [Active]);
    let notices = notices(&harness, "waits").await;
    assert!(notices.contains("the CA of the issuer elsewhere that signs it ends on 2028-01-15"), "{notices}");
}

#[tokio::test]
async fn a_next_ca_that_lost_its_commit_signs_when_its_lease_is_over() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", &[("validity_months", "12")]).await;
    harness.service.certificate_authorities().begin_successions().await.unwrap();
    days(&harness, 181).await;
    assert_eq!(states(&harness, "corp").await, [Active, Next]);
    harness.store.there_is(Other::IsAlwaysFaster, "issuers/");
    days(&harness, 3).await;
    assert_eq!(states(&harness, "corp").await, [Active, Next]);
    harness.store.heal();
    harness.clock.advance(Duration::from_secs(3600));
    harness.work().await;
    assert_eq!(states(&harness, "corp").await, [Retired, Active]);
}

#[tokio::test]
async fn a_request_is_made_also_where_an_older_replica_wrote_the_record() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", &[("parent", "external")]).await;
    install(&harness, "corp").await;
    let id = authorities(&harness, "corp").await[0].id.clone();
    let key = format!("authorities/default/{id}");
    let mut value = harness.store.body(&key).await.unwrap()["value"].clone();
    assert_eq!(value["above"]["external"], true);
    value.as_object_mut().unwrap().remove("above");
    let Record { revision, due, .. } = harness.store.get(&key).await.unwrap().unwrap();
    let body = record_body(&harness.sealer, &key, &value);
    let put = Put { key, expected: Some(revision), body, due };
    harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
    harness.service.certificate_authorities().begin_successions().await.unwrap();
    days(&harness, 200).await;
    assert_eq!(states(&harness, "corp").await, [Active, Requested]);
}

#[tokio::test]
async fn a_root_vouches_for_the_next_root_of_its_issuer_and_for_nobody_elses() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "other", &[("validity_months", "120")]).await;
    further(&harness, "other", Parent::OwnRoot, "CN=Other 2").await.unwrap();
    activate(&harness, "other").await;
    set(&harness, "corp", &[]).await;
    let own = further(&harness, "corp", Parent::OwnRoot, "CN=Corp 2").await.unwrap();
    assert!(own.authority.record.above.cross.is_some() && own.warnings.is_empty(), "{own:?}");
    let cas = harness.service.certificate_authorities();
    cas.retire_authority(permit(&harness.service, of("corp")).await).await.unwrap();
    // The root above vouches for the one that followed it: that helps its clients, and none of this issuer.
    let below = further(&harness, "corp", Parent::Issuer(name("other")), "CN=Corp 3").await.unwrap();
    assert!(below.warnings.iter().any(|it| it.contains("cannot vouch") && it.contains("every other CA")), "{below:?}");
    let log: Vec<_> = harness.store.keys().await.into_iter().filter(|key| key.starts_with("issued/")).collect();
    let of_corp = authorities(&harness, "corp").await[0].id.clone();
    let by_corp = log.iter().filter(|key| key.starts_with(&format!("issued/{of_corp}/"))).count();
    assert_eq!(by_corp, 1, "its own next root alone: {log:?}");
    cas.retire_authority(permit(&harness.service, of("corp")).await).await.unwrap();
    // Nor for the root above a CA that another program had.
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let root = ca("Enterprise").self_signed(&root_key).unwrap();
    let made = ca("Old").signed_by(&key, &Issuer::new(ca("Enterprise"), root_key)).unwrap();
    let pem = format!("{}{}{}", key.serialize_pem(), made.pem(), root.pem());
    let brought = import(&harness, vault(), "corp", pem, None).await.unwrap();
    assert!(brought.authority.record.above.cross.is_none(), "{brought:?}");
    assert!(brought.warnings.iter().any(|it| it.contains("cannot vouch")), "{brought:?}");
}

#[tokio::test]
async fn a_ca_that_the_one_above_revoked_says_so_signs_no_other_and_is_not_activated_by_itself() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "root", &[("validity_months", "120")]).await;
    set(&harness, "issuing", &[("parent", "root"), ("validity_months", "12")]).await;
    harness.service.certificate_authorities().begin_successions().await.unwrap();
    assert_eq!(notices(&harness, "issuing").await, "");
    days(&harness, 153).await;
    let both = authorities(&harness, "issuing").await;
    assert_eq!((both[0].state, both[1].state), (Active, Next));
    revoke(&harness, "root", serial(&both[1].record.chain[0])).await;
    days(&harness, 40).await;
    assert_eq!(states(&harness, "issuing").await, [Active, Next]);
    let cas = harness.service.certificate_authorities();
    let refused = cas.activate_authority(permit(&harness.service, of("issuing")).await).await.unwrap_err();
    assert!(refused.reason == Reason::BadParameter && refused.message.contains("was revoked"), "{refused:?}");
    ask!(harness.service, creations.create(create("before", "issuing"))).unwrap();
    harness.work().await;
    assert!(ask!(harness.service, certificates.certificate((vault(), named("before")))).unwrap().issued.is_some());
    let notice = notices(&harness, "issuing").await;
    assert!(notice.contains("was revoked by the CA above it on 2027-") && notice.contains("retire it"), "{notice}");
    revoke(&harness, "root", serial(&both[0].record.chain[0])).await;
    let notice = authorities(&harness, "issuing").await[0].notice.clone().unwrap();
    assert!(notice.contains("(cessationOfOperation)") && notice.contains("another one"), "{notice}");
    // Nor does it sign leaves any more.
    ask!(harness.service, creations.create(create("after", "issuing"))).unwrap();
    harness.work().await;
    let failed = harness.store.body("pending/default/after").await.unwrap().to_string();
    assert!(failed.contains("was revoked by the CA above it"), "{failed}");
    assert!(failed.contains("Certificate issuer error"), "it is nothing that the caller asked for: {failed}");
    let control = harness.service.issuers().control();
    let verdict = control.try_issuer(permit(&harness.service, (vault(), name("issuing"))).await).await.unwrap();
    assert!(verdict.warnings.iter().any(|it| it.contains("was revoked")), "{verdict:?}");

    // What another program revoked is on its last list alone.
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let root = ca("Old Root").self_signed(&root_key).unwrap();
    let alone = format!("{}{}", root_key.serialize_pem(), root.pem());
    let issuer = Issuer::new(ca("Old Root"), root_key);
    let middle = ca("Old Middle").signed_by(&key, &issuer).unwrap();
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2027, 1, 2),
        next_update: date_time_ymd(2028, 1, 1),
        crl_number: SerialNumber::from(7_u64),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial(&Blob(middle.der().to_vec())).bytes()),
            revocation_time: date_time_ymd(2027, 1, 2),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer).unwrap().der().to_vec();
    let both = format!("{}{}{}", key.serialize_pem(), middle.pem(), root.pem());
    import(&harness, vault(), "middle", both, None).await.unwrap();
    further(&harness, "before", Parent::Issuer(name("middle")), "CN=Before").await.unwrap();
    import(&harness, vault(), "old", alone, Some(list)).await.unwrap();
    assert!(notices(&harness, "middle").await.contains("was revoked"));
    let refused = further(&harness, "after", Parent::Issuer(name("middle")), "CN=After").await.unwrap_err();
    assert!(refused.reason == Reason::BadParameter && format!("{refused:?}").contains("was revoked"), "{refused:?}");
}

#[tokio::test]
async fn a_parent_signs_no_ca_with_a_name_that_its_constraints_forbid() {
    let harness = Harness::new(ServiceOptions::default()).await;
    let key = KeyPair::generate().unwrap();
    let mut params = ca("Constrained");
    let mut permitted = rcgen::DistinguishedName::new();
    permitted.push(DnType::OrganizationName, "Corp");
    let permitted_subtrees = vec![GeneralSubtree::DirectoryName(permitted)];
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    let pem = format!("{}{}", key.serialize_pem(), params.self_signed(&key).unwrap().pem());
    let brought = import(&harness, vault(), "root", pem, None).await.unwrap();
    assert!(brought.warnings.iter().any(|it| it.contains("OCSP")), "{brought:?}");
    let refused = further(&harness, "servers", Parent::Issuer(name("root")), "CN=Servers").await.unwrap_err();
    assert!(format!("{refused:?}").contains("nameConstraints"), "{refused:?}");
    further(&harness, "servers", Parent::Issuer(name("root")), "CN=Servers, O=Corp").await.unwrap();
    // Nor does its root vouch for one.
    let next = further(&harness, "root", Parent::OwnRoot, "CN=Root 2").await.unwrap();
    assert!(next.authority.record.above.cross.is_none() && !next.warnings.is_empty(), "{next:?}");
}

#[tokio::test]
async fn of_two_vaults_that_take_over_one_ca_at_once_one_is_refused() {
    let harness = Harness::new(ServiceOptions::default()).await;
    let other = VaultName::parse("other").unwrap();
    let made = NewVault { name: other.clone(), retention_days: None, purge_protection: None };
    harness.service.vault_objects().create_vault(permit(&harness.service, made).await).await.unwrap();
    let key = KeyPair::generate().unwrap();
    let made = ca("Old").self_signed(&key).unwrap();
    let pem = format!("{}{}", key.serialize_pem(), made.pem());
    // Where its list is, is not known before: each is refused if it comes second.
    let id = {
        let alone = Harness::new(ServiceOptions::default()).await;
        import(&alone, vault(), "old", pem.clone(), None).await.unwrap().authority.id
    };
    harness.store.let_two_meet(&format!("crls/{id}/0"));
    let (one, two) = tokio::join!(
        import(&harness, vault(), "old", pem.clone(), None),
        import(&harness, other.clone(), "old", pem.clone(), None)
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    for (vault, done) in [(vault(), one), (other, two)].into_iter().filter(|(_, done)| done.is_err()) {
        assert_eq!(done.unwrap_err().reason, Reason::StoreUnavailable);
        let again = import(&harness, vault, "old", pem.clone(), None).await.unwrap_err();
        assert!(format!("{again:?}").contains("of another vault"), "{again:?}");
    }
}

#[tokio::test]
async fn a_take_over_that_was_cut_off_goes_on_above_the_last_list_of_the_other_program() {
    let harness = Harness::new(ServiceOptions::default()).await;
    let key = KeyPair::generate().unwrap();
    let pem = format!("{}{}", key.serialize_pem(), ca("Old").self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(ca("Old"), key);
    let list = |number: u64| {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2027, 1, 2),
            next_update: date_time_ymd(2028, 1, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from_slice(&[7; 16]),
                revocation_time: date_time_ymd(2027, 1, 2),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Some(list.signed_by(&issuer).unwrap().der().to_vec())
    };
    harness.store.there_is(Other::IsAlwaysFaster, "issuers/");
    import(&harness, vault(), "old", pem.clone(), list(7)).await.unwrap_err();
    harness.store.heal();
    let id = import(&harness, vault(), "old", pem, list(9)).await.unwrap().authority.id;
    let kept = harness.store.body(&format!("crls/{id}/0")).await.unwrap();
    assert_eq!(kept["value"]["number"], 9, "{kept}");
}

#[tokio::test]
async fn the_health_of_an_issuer_costs_no_look_at_the_objects_of_the_others() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", &[]).await;
    let mut reads = Vec::new();
    for others in 0..2 {
        for number in 0..others * 20 {
            let input = IssuerInput { provider: Some("Test".to_owned()), ..IssuerInput::default() };
            ask!(harness.service, issuers.set_issuer((vault(), name(&format!("other{number}"))), input)).unwrap();
        }
        let issuer = ask!(harness.service, issuers.issuer((vault(), name("corp")))).unwrap();
        let control = harness.service.issuers().control();
        let of_vault = permit(&harness.service, vault()).await;
        harness.store.reset();
        control.issuers_health(&of_vault, &[issuer]).await.unwrap();
        reads.push(harness.store.read.load(std::sync::atomic::Ordering::SeqCst));
    }
    assert_eq!(reads[0], reads[1]);
}

#[tokio::test]
async fn a_ca_that_is_brought_has_neither_the_name_of_another_one_nor_extensions_that_nobody_keeps() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", &[("subject", "CN=Corp Root, O=Corp")]).await;
    let brought = async |issuer: &str, params: &dyn Fn() -> CertificateParams| {
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root = ca("Enterprise").self_signed(&root_key).unwrap();
        let made = params().signed_by(&key, &Issuer::new(ca("Enterprise"), root_key)).unwrap();
        import(&harness, vault(), issuer, format!("{}{}{}", key.serialize_pem(), made.pem(), root.pem()), None).await
    };
    let refused = brought("same", &|| ca("Corp Root")).await.unwrap_err();
    assert!(format!("{refused:?}").contains("of the issuer corp has the name"), "{refused:?}");
    let critical = |oid: &'static [u64], value: &'static [u8]| {
        move || {
            let mut extension = rcgen::CustomExtension::from_oid_content(oid, value.to_vec());
            extension.set_criticality(true);
            let mut params = ca("Issuing");
            params.custom_extensions = vec![extension];
            params
        }
    };
    let refused = brought("unheard", &critical(&[1, 2, 3, 4, 5], &[5, 0])).await.unwrap_err();
    assert!(format!("{refused:?}").contains("the critical extension 1.2.3.4.5"), "{refused:?}");
    // policyConstraints with requireExplicitPolicy 0.
    let said = brought("policies", &critical(&[2, 5, 29, 36], &[0x30, 3, 0x80, 1, 0])).await.unwrap().warnings;
    assert!(said.iter().any(|it| it.contains("policies")), "{said:?}");
}
