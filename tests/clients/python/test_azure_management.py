"""The unmodified Azure SDK for Python against the server: managing certificates."""

import time

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.certificates import (
    CertificateClient,
    CertificateContact,
    CertificatePolicyAction,
    LifetimeAction,
    WellKnownIssuerNames,
)
from test_azure_sdk import Token, create, policy


def connect(server, host="localhost"):
    url = f"https://{host}:{server.port}"
    return CertificateClient(url, Token(), verify_challenge_resource=False, connection_verify=server.ca)


@pytest.fixture(scope="module")
def client(server):
    with connect(server) as client:
        yield client


def issue(client, name, **more):
    return create(client, name, policy(WellKnownIssuerNames.self, name), **more).result()


def test_certificates_are_listed_in_pages(client):
    for number in range(5):
        issue(client, f"py-list-{number}")
    create(client, "py-list-pending", policy(WellKnownIssuerNames.unknown, "pending"))
    pages = client.list_properties_of_certificates(max_page_size=2).by_page()
    sizes, names = [], []
    for page in pages:
        items = list(page)
        sizes.append(len(items))
        names += [item.name for item in items if item.name.startswith("py-list-")]
    assert names == [f"py-list-{number}" for number in range(5)]
    assert max(sizes) == 2
    with_pending = {item.name for item in client.list_properties_of_certificates(include_pending=True)}
    assert "py-list-pending" in with_pending
    assert all(repr(item) for item in client.list_properties_of_certificates())


def test_versions_are_listed(client):
    versions = {issue(client, "py-versions").properties.version for _ in range(3)}
    listed = list(client.list_properties_of_certificate_versions("py-versions"))
    assert {item.version for item in listed} == versions
    assert all(item.x509_thumbprint and item.enabled for item in listed)


def test_properties_are_updated(client):
    certificate = issue(client, "py-update", tags={"a": "1"})
    version = certificate.properties.version
    updated = client.update_certificate_properties("py-update", version, enabled=False, tags={"b": "2"})
    assert (updated.properties.enabled, updated.properties.tags) == (False, {"b": "2"})
    read = client.get_certificate_version("py-update", version)
    assert (read.properties.enabled, read.properties.tags) == (False, {"b": "2"})
    updated = client.update_certificate_properties("py-update", enabled=True)
    assert (updated.properties.enabled, updated.properties.tags) == (True, {"b": "2"})


def test_a_policy_is_updated_and_its_alternative_names_survive(client):
    chosen = policy(WellKnownIssuerNames.self, "policy", san_dns_names=["a.example"])
    create(client, "py-policy", chosen).result()
    stored = client.get_certificate_policy("py-policy")
    assert stored.san_dns_names == ["a.example"]
    stored._san_dns_names = None
    stored.lifetime_actions.clear()
    stored.lifetime_actions.append(LifetimeAction(CertificatePolicyAction.email_contacts, days_before_expiry=7))
    updated = client.update_certificate_policy("py-policy", stored)
    assert updated.lifetime_actions[0].days_before_expiry == 7
    assert client.get_certificate_policy("py-policy").san_dns_names == ["a.example"]


def test_a_certificate_is_deleted_recovered_and_purged(client):
    before = issue(client, "py-deleted")
    deleted = client.begin_delete_certificate("py-deleted", _polling_interval=0).result()
    assert deleted.recovery_id.endswith("/deletedcertificates/py-deleted")
    assert (deleted.scheduled_purge_date - deleted.deleted_on).days == 90
    with pytest.raises(ResourceNotFoundError):
        client.get_certificate("py-deleted")
    with pytest.raises(ResourceExistsError) as taken:
        create(client, "py-deleted", policy(WellKnownIssuerNames.self, "x"))
    assert taken.value.error.innererror["code"] == "ObjectIsDeletedButRecoverable"
    assert client.get_deleted_certificate("py-deleted").id == before.id
    assert "py-deleted" in {item.name for item in client.list_deleted_certificates()}
    recovered = client.begin_recover_deleted_certificate("py-deleted", _polling_interval=0).result()
    assert recovered.id == before.id
    assert client.get_certificate("py-deleted").properties.x509_thumbprint == before.properties.x509_thumbprint
    client.begin_delete_certificate("py-deleted", _polling_interval=0).wait()
    client.purge_deleted_certificate("py-deleted")
    with pytest.raises(ResourceNotFoundError):
        client.get_deleted_certificate("py-deleted")
    issue(client, "py-deleted")


def test_a_backup_is_restored_into_another_vault(server, client):
    issue(client, "py-backup")
    newest = issue(client, "py-backup")
    backup = client.backup_certificate("py-backup")
    with pytest.raises(ResourceExistsError):
        client.restore_certificate_backup(backup)
    with pytest.raises(HttpResponseError) as damaged:
        client.restore_certificate_backup(backup[:-1] + bytes([backup[-1] ^ 1]))
    assert damaged.value.error.code == "Malformed backup blob"
    with connect(server, "127.0.0.1") as same_vault:
        assert same_vault.get_certificate("py-backup").properties.version == newest.properties.version
    client.begin_delete_certificate("py-backup", _polling_interval=0).wait()
    client.purge_deleted_certificate("py-backup")
    restored = client.restore_certificate_backup(backup)
    assert (restored.properties.version, bytes(restored.cer)) == (newest.properties.version, bytes(newest.cer))
    assert len(list(client.list_properties_of_certificate_versions("py-backup"))) == 2


def test_contacts_are_set_read_and_deleted(client):
    contacts = [CertificateContact("admin@contoso.com", name="Admin", phone="1"), CertificateContact("b@contoso.com")]
    assert [contact.email for contact in client.set_contacts(contacts)] == ["admin@contoso.com", "b@contoso.com"]
    assert client.get_contacts()[0].name == "Admin"
    assert len(client.delete_contacts()) == 2
    with pytest.raises(ResourceNotFoundError):
        client.get_contacts()


def test_what_is_not_there_is_not_found(client):
    for call in (
        lambda: client.get_certificate_policy("py-none"),
        lambda: client.begin_delete_certificate("py-none"),
        lambda: client.backup_certificate("py-none"),
        lambda: client.begin_recover_deleted_certificate("py-none"),
        lambda: client.purge_deleted_certificate("py-none"),
        lambda: client.update_certificate_properties("py-none", enabled=True),
    ):
        with pytest.raises(ResourceNotFoundError):
            call()
    assert list(client.list_properties_of_certificate_versions("py-none")) == []
