//! Lists, versions, updates, deletion, backup, contacts and issuers.

use crate::authority::{parse, public_key};
use crate::harness::*;
use crate::material::pfx;
use azure_security_keyvault_certificates::models::*;
use azure_security_keyvault_certificates::{CertificateClient, ResourceExt};
use futures::TryStreamExt;
use rcgen::KeyPair;
use std::collections::HashMap;

fn version(certificate: &Certificate) -> String {
    certificate.resource_id().unwrap().version.unwrap()
}

async fn read(client: &CertificateClient, name: &str, version: Option<String>) -> azure_core::Result<Certificate> {
    let options = CertificateClientGetCertificateOptions { certificate_version: version, ..Default::default() };
    client.get_certificate(name, Some(options)).await?.into_model()
}

#[tokio::test]
async fn certificates_are_listed_in_pages() {
    let client = certificates("rust-lists");
    for number in 0..5 {
        let import = pfx("list", &KeyPair::generate().unwrap(), "secret");
        client.import_certificate(&format!("list-{number}"), import.try_into().unwrap(), None).await.unwrap();
    }
    create(&client, "pending", policy("Unknown", "pending")).await.unwrap();
    let list = |pending| {
        let options = CertificateClientListCertificatePropertiesOptions {
            include_pending: Some(pending),
            maxresults: Some(2),
            ..Default::default()
        };
        client.list_certificate_properties(Some(options)).unwrap()
    };
    let pages = list(false).into_pages().try_collect::<Vec<_>>().await.unwrap();
    let sizes = pages.into_iter().map(|page| page.into_model().unwrap().value.len()).collect::<Vec<_>>();
    assert_eq!(sizes, [2, 2, 1]);
    let names = async |pending| {
        let items = list(pending).try_collect::<Vec<_>>().await.unwrap();
        items.iter().map(|item| item.resource_id().unwrap().name).collect::<Vec<_>>()
    };
    let mut expected = (0..5).map(|number| format!("list-{number}")).collect::<Vec<_>>();
    assert_eq!(names(false).await, expected);
    expected.push("pending".into());
    assert_eq!(names(true).await, expected);
}

#[tokio::test]
async fn versions_are_listed_and_read_one_by_one() {
    let client = certificates("rust-versions");
    let mut issued = HashMap::new();
    for _ in 0..3 {
        let certificate = issue(&client, "versions").await;
        issued.insert(version(&certificate), certificate);
    }
    let options =
        CertificateClientListCertificatePropertiesVersionsOptions { maxresults: Some(1), ..Default::default() };
    let pager = client.list_certificate_properties_versions("versions", Some(options)).unwrap();
    let items = pager.try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(items.len(), 3);
    for item in items {
        let version = item.resource_id().unwrap().version.unwrap();
        let certificate = read(&client, "versions", Some(version.clone())).await.unwrap();
        assert_eq!(certificate.cer, issued[&version].cer);
        assert_eq!(certificate.x509_thumbprint, item.x509_thumbprint);
    }
}

#[tokio::test]
async fn a_version_is_made_without_a_policy_and_with_the_same_key() {
    let client = certificates("rust-versions");
    let mut chosen = policy("Self", "again");
    chosen.key_properties.as_mut().unwrap().reuse_key = Some(true);
    let first: Certificate = begin(&client, "again", chosen).await.unwrap().into_model().unwrap();
    let poller =
        client.begin_create_certificate("again", CreateCertificateParameters::default().try_into().unwrap(), None);
    let second: Certificate = poller.unwrap().await.unwrap().into_model().unwrap();
    assert_ne!(version(&first), version(&second));
    assert_eq!(parse(second.cer.as_ref().unwrap()).subject().to_string(), "CN=again.example");
    assert_eq!(public_key(&first.cer.unwrap()), public_key(&second.cer.unwrap()));
}

#[tokio::test]
async fn properties_are_updated() {
    let client = certificates("rust-updates");
    let issued = version(&issue(&client, "updated").await);
    let update = async |enabled, tags: &[(&str, &str)], version: Option<String>| {
        let parameters = UpdateCertificatePropertiesParameters {
            certificate_attributes: Some(CertificateAttributes { enabled: Some(enabled), ..Default::default() }),
            tags: Some(tags.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()),
            ..Default::default()
        };
        let options =
            CertificateClientUpdateCertificatePropertiesOptions { certificate_version: version, ..Default::default() };
        let answer =
            client.update_certificate_properties("updated", parameters.try_into().unwrap(), Some(options)).await;
        answer.unwrap().into_model().unwrap()
    };
    let updated = update(false, &[("a", "1"), ("b", "2")], Some(issued.clone())).await;
    assert_eq!((updated.attributes.unwrap().enabled, updated.tags.unwrap().len()), (Some(false), 2));
    update(true, &[("c", "3")], None).await;
    let now = read(&client, "updated", Some(issued)).await.unwrap();
    assert_eq!(now.attributes.unwrap().enabled, Some(true));
    assert_eq!(now.tags.unwrap(), HashMap::from([("c".into(), "3".into())]));
}

#[tokio::test]
async fn a_policy_is_read_and_updated_in_part() {
    let client = certificates("rust-updates");
    let mut chosen = policy("Self", "policy");
    let properties = chosen.x509_certificate_properties.as_mut().unwrap();
    properties.validity_in_months = Some(7);
    properties.subject_alternative_names = Some(SubjectAlternativeNames {
        dns_names: Some(vec!["a.example".into(), "b.example".into()]),
        ip_addresses: Some(vec!["192.0.2.1".into()]),
        ..Default::default()
    });
    let certificate: Certificate = begin(&client, "policy", chosen).await.unwrap().into_model().unwrap();
    let der = certificate.cer.unwrap();
    let leaf = parse(&der);
    let names = leaf.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    assert_eq!(names.len(), 3);
    assert_eq!(names[0].to_string(), "DNSName(a.example)");

    let change = CertificatePolicy {
        lifetime_actions: Some(vec![LifetimeAction {
            action: Some(LifetimeActionType { action_type: Some(CertificatePolicyAction::EmailContacts) }),
            trigger: Some(LifetimeActionTrigger { days_before_expiry: Some(9), ..Default::default() }),
        }]),
        ..Default::default()
    };
    let updated = client.update_certificate_policy("policy", change.try_into().unwrap(), None).await.unwrap();
    let now = client.get_certificate_policy("policy", None).await.unwrap();
    for policy in [updated.into_model().unwrap(), now.into_model().unwrap()] {
        let action = &policy.lifetime_actions.unwrap()[0];
        assert_eq!(action.trigger.as_ref().unwrap().days_before_expiry, Some(9));
        assert_eq!(action.action.as_ref().unwrap().action_type, Some(CertificatePolicyAction::EmailContacts));
        let properties = policy.x509_certificate_properties.unwrap();
        assert_eq!(properties.validity_in_months, Some(7));
        assert_eq!(properties.subject_alternative_names.unwrap().dns_names.unwrap(), ["a.example", "b.example"]);
        assert_eq!(policy.issuer_parameters.unwrap().name.as_deref(), Some("Self"));
        assert_eq!(policy.key_properties.unwrap().curve, Some(CurveName::P256));
    }
}

#[tokio::test]
async fn a_certificate_is_deleted_recovered_and_purged() {
    let client = certificates("rust-deleted");
    let before = issue(&client, "gone").await;
    let deleted = client.delete_certificate("gone", None).await.unwrap().into_model().unwrap();
    assert_eq!(deleted.recovery_id.unwrap(), format!("{}/deletedcertificates/gone", address("rust-deleted")));
    assert_eq!((deleted.scheduled_purge_date.unwrap() - deleted.deleted_date.unwrap()).whole_days(), 90);
    refused(read(&client, "gone", None).await, 404, "CertificateNotFound");
    let taken = refused(create(&client, "gone", policy("Self", "gone")).await, 409, "Conflict");
    assert_eq!(taken.inner_error.unwrap().code.as_deref(), Some("ObjectIsDeletedButRecoverable"));
    let seen = client.get_deleted_certificate("gone", None).await.unwrap().into_model().unwrap();
    assert_eq!((seen.id, seen.cer.as_ref()), (before.id.clone(), before.cer.as_ref()));
    let listed = client.list_deleted_certificate_properties(None).unwrap().try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(listed.iter().map(|item| item.resource_id().unwrap().name).collect::<Vec<_>>(), ["gone"]);

    let recovered = client.recover_deleted_certificate("gone", None).await.unwrap().into_model().unwrap();
    assert_eq!(recovered.id, before.id);
    assert_eq!(read(&client, "gone", None).await.unwrap().cer, before.cer);

    client.delete_certificate("gone", None).await.unwrap();
    client.purge_deleted_certificate("gone", None).await.unwrap();
    refused(client.get_deleted_certificate("gone", None).await, 404, "CertificateNotFound");
    issue(&client, "gone").await;
}

#[tokio::test]
async fn a_backup_is_restored_into_another_vault() {
    let (client, other) = (certificates("rust-backup"), certificates("rust-restored"));
    issue(&client, "kept").await;
    let newest = issue(&client, "kept").await;
    let backup = client.backup_certificate("kept", None).await.unwrap().into_model().unwrap().value.unwrap();
    let with =
        |backup: &[u8]| RestoreCertificateParameters { certificate_backup: Some(backup.to_vec()) }.try_into().unwrap();
    refused(client.restore_certificate(with(&backup), None).await, 409, "Conflict");
    let mut damaged = backup.clone();
    *damaged.last_mut().unwrap() ^= 1;
    refused(other.restore_certificate(with(&damaged), None).await, 400, "Malformed backup blob");

    let restored = other.restore_certificate(with(&backup), None).await.unwrap().into_model().unwrap();
    assert_eq!(restored.resource_id().unwrap().vault_url.trim_end_matches('/'), address("rust-restored"));
    assert_eq!((version(&restored), &restored.cer), (version(&newest), &newest.cer));
    let versions = other.list_certificate_properties_versions("kept", None).unwrap();
    assert_eq!(versions.try_collect::<Vec<_>>().await.unwrap().len(), 2);
}

#[tokio::test]
async fn contacts_are_set_read_and_deleted() {
    let client = certificates("rust-contacts");
    let contact = |email: &str, name: Option<&str>| Contact {
        email: Some(email.into()),
        name: name.map(Into::into),
        ..Default::default()
    };
    let contacts = Contacts {
        contact_list: Some(vec![contact("admin@contoso.example", Some("Admin")), contact("b@contoso.example", None)]),
        ..Default::default()
    };
    let set = client.set_contacts(contacts.try_into().unwrap(), None).await.unwrap().into_model().unwrap();
    assert_eq!(set.id.unwrap(), format!("{}/certificates/contacts", address("rust-contacts")));
    let seen = client.get_contacts(None).await.unwrap().into_model().unwrap().contact_list.unwrap();
    assert_eq!(seen[0].name.as_deref(), Some("Admin"));
    assert_eq!(seen[1].email.as_deref(), Some("b@contoso.example"));
    let deleted = client.delete_contacts(None).await.unwrap().into_model().unwrap();
    assert_eq!(deleted.contact_list.unwrap().len(), 2);
    refused(client.get_contacts(None).await, 404, "ContactsNotFound");
}

#[tokio::test]
async fn issuers_are_kept_without_their_password() {
    let client = certificates("rust-issuers");
    let parameters = SetIssuerParameters {
        provider: Some("Test".into()),
        credentials: Some(IssuerCredentials {
            account_id: Some("complete".into()),
            password: Some("never shown".into()),
        }),
        organization_details: Some(OrganizationDetails {
            id: Some("org".into()),
            admin_contacts: Some(vec![AdministratorContact { first_name: Some("A".into()), ..Default::default() }]),
        }),
        ..Default::default()
    };
    client.set_issuer("kept", parameters.try_into().unwrap(), None).await.unwrap();
    let disable = UpdateIssuerParameters {
        attributes: Some(IssuerAttributes { enabled: Some(false), ..Default::default() }),
        ..Default::default()
    };
    client.update_issuer("kept", disable.try_into().unwrap(), None).await.unwrap();
    let seen = client.get_issuer("kept", None).await.unwrap().into_model().unwrap();
    let credentials = seen.credentials.unwrap();
    assert_eq!((seen.provider.as_deref(), credentials.account_id.as_deref()), (Some("Test"), Some("complete")));
    assert!(credentials.password.is_none());
    assert_eq!(seen.attributes.unwrap().enabled, Some(false));
    let contacts = seen.organization_details.unwrap().admin_contacts.unwrap();
    assert_eq!(contacts[0].first_name.as_deref(), Some("A"));
    let listed = client.list_issuer_properties(None).unwrap().try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(listed.into_iter().map(|item| item.id).collect::<Vec<_>>(), [seen.id]);
    client.delete_issuer("kept", None).await.unwrap();
    refused(client.get_issuer("kept", None).await, 404, "CertificateIssuerNotFound");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (client, code) = (certificates("rust-nothing"), "CertificateNotFound");
    refused(read(&client, "none", None).await, 404, code);
    refused(client.get_certificate_policy("none", None).await, 404, code);
    refused(client.delete_certificate("none", None).await, 404, code);
    refused(client.backup_certificate("none", None).await, 404, code);
    refused(client.recover_deleted_certificate("none", None).await, 404, code);
    refused(client.purge_deleted_certificate("none", None).await, 404, code);
    let update = UpdateCertificatePropertiesParameters::default().try_into().unwrap();
    refused(client.update_certificate_properties("none", update, None).await, 404, code);
    let versions = client.list_certificate_properties_versions("none", None).unwrap();
    assert_eq!(versions.try_collect::<Vec<_>>().await.unwrap().len(), 0);
}

#[tokio::test]
async fn one_vault_sees_nothing_of_another() {
    issue(&certificates("rust-mine"), "mine").await;
    refused(read(&certificates("rust-yours"), "mine", None).await, 404, "CertificateNotFound");
}

#[tokio::test]
async fn the_bare_host_asks_for_the_clients_opt_out() {
    let error = bare(Some(true)).get_contacts(None).await.err().unwrap();
    assert!(format!("{error:?}").contains("doesn't match the requested domain"), "{error:?}");
    issue(&bare(Some(false)), "rust-default-vault").await;
}
