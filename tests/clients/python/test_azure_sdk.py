"""The unmodified Azure SDK for Python against the server: the scenarios that its client can express."""

import time

import pytest
from authority import Authority
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.certificates import (
    CertificateClient,
    CertificateContentType,
    CertificatePolicy,
    KeyCurveName,
    KeyType,
    WellKnownIssuerNames,
)
from cryptography import x509


class Token:
    def get_token(self, *scopes, **kwargs):
        return AccessToken("any", int(time.time()) + 3600)


@pytest.fixture(scope="module")
def client(server):
    with CertificateClient(
        server.url, Token(), verify_challenge_resource=False, connection_verify=server.ca
    ) as client:
        yield client


def policy(issuer, name, **more):
    return CertificatePolicy(
        issuer_name=issuer, subject=f"CN={name}.example", key_type=KeyType.ec, key_curve_name=KeyCurveName.p_256, **more
    )


def create(client, name, chosen, **more):
    return client.begin_create_certificate(name, chosen, _polling_interval=0, **more)


def wait_for(client, name, status):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        operation = client.get_certificate_operation(name)
        if operation.status == status:
            return operation
        time.sleep(0.05)
    raise AssertionError(f"{name} is {operation.status}, not {status}")


def test_a_self_signed_certificate_is_issued(client):
    certificate = create(
        client, "py-self", policy("Self", "self", san_dns_names=["a.example", "b.example"], validity_in_months=3), tags={"a": "b"}
    ).result()
    parsed = x509.load_der_x509_certificate(bytes(certificate.cer))
    assert parsed.subject.rfc4514_string() == "CN=self.example"
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example", "b.example"]
    parsed.verify_directly_issued_by(parsed)
    assert certificate.properties.tags == {"a": "b"}
    assert certificate.policy.validity_in_months == 3
    assert client.get_certificate_operation("py-self").status == "completed"


def test_an_rsa_certificate_from_a_local_ca(client):
    client.create_issuer("py-ca", "LocalCA", organization_id="Python Root")
    chosen = CertificatePolicy(issuer_name="py-ca", subject="CN=rsa.example", content_type=CertificateContentType.pem)
    certificate = create(client, "py-rsa", chosen).result()
    parsed = x509.load_der_x509_certificate(bytes(certificate.cer))
    assert parsed.issuer.rfc4514_string() == "CN=Python Root"
    assert parsed.public_key().key_size == 2048


def test_a_manual_certificate_is_merged(client):
    authority = Authority()
    operation = create(client, "py-manual", policy(WellKnownIssuerNames.unknown, "manual")).result()
    assert operation.status == "inProgress"
    merged = client.merge_certificate("py-manual", authority.chain(bytes(operation.csr)))
    assert x509.load_der_x509_certificate(bytes(merged.cer)).issuer.rfc4514_string() == "CN=Test Root"
    assert client.get_certificate("py-manual").properties.version == merged.properties.version
    assert client.get_certificate_version("py-manual", merged.properties.version).cer == merged.cer


def test_a_second_create_while_in_progress_is_a_conflict(client):
    create(client, "py-conflict", policy("Unknown", "conflict")).result()
    with pytest.raises(ResourceExistsError) as refused:
        create(client, "py-conflict", policy("Unknown", "other"))
    assert refused.value.error.code == "Forbidden"
    assert "can not be created or imported while a pending" in refused.value.message


def test_a_failed_operation_says_why_and_whose_fault_it_was(client):
    client.create_issuer("py-fails", "Test", account_id="fail")
    client.create_issuer("py-rejects", "Test", account_id="reject")
    for issuer, code in [("py-fails", "Certificate issuer error"), ("py-rejects", "Request rejected")]:
        operation = create(client, issuer, policy(issuer, issuer)).result()
        assert (operation.status, operation.error.code) == ("failed", code)
        assert operation.status_details == ""


def test_cancel_merge_and_delete_of_an_issuers_operation(client):
    client.create_issuer("py-holds", "Test", account_id="hold")
    poller = client.begin_create_certificate("py-held", policy("py-holds", "held"))
    csr = bytes(client.get_certificate_operation("py-held").csr)
    with pytest.raises(HttpResponseError) as refused:
        client.merge_certificate("py-held", Authority().chain(csr))
    assert refused.value.status_code == 403
    assert "issuer : py-holds while it is in progess." in refused.value.message
    asked = client.cancel_certificate_operation("py-held")
    assert (asked.status, asked.cancellation_requested) == ("inProgress", True)
    wait_for(client, "py-held", "cancelled")
    assert poller.result().status == "cancelled"
    with pytest.raises(HttpResponseError) as refused:
        client.cancel_certificate_operation("py-held")
    assert refused.value.status_code == 400
    merged = client.merge_certificate("py-held", Authority().chain(csr))
    assert merged.properties.enabled
    assert client.delete_certificate_operation("py-held").status == "completed"
    with pytest.raises(ResourceNotFoundError) as missing:
        client.get_certificate_operation("py-held")
    assert missing.value.error.code == "PendingCertificateNotFound"


def test_an_operation_that_is_deleted_meanwhile_ends_the_poller_as_not_found(client):
    client.create_issuer("py-waits", "Test", account_id="hold")
    poller = client.begin_create_certificate("py-meanwhile", policy("py-waits", "meanwhile"), _polling_interval=1)
    client.delete_certificate_operation("py-meanwhile")
    with pytest.raises(ResourceNotFoundError) as missing:
        poller.result()
    assert missing.value.error.code == "PendingCertificateNotFound"


def test_issuers_are_kept_without_their_password(client):
    client.create_issuer("py-kept", "Test", account_id="complete", password="never shown")
    issuer = client.get_issuer("py-kept")
    assert (issuer.provider, issuer.account_id, issuer.password) == ("Test", "complete", None)
    client.update_issuer("py-kept", enabled=False)
    assert client.get_issuer("py-kept").enabled is False
    assert "py-kept" in [item.name for item in client.list_properties_of_issuers()]
    client.delete_issuer("py-kept")
    with pytest.raises(ResourceNotFoundError):
        client.get_issuer("py-kept")


def test_what_was_acknowledged_is_there_after_kill_9(client, server):
    operation = create(client, "py-kill", policy("Unknown", "kill")).result()
    server.kill()
    server.start()
    again = client.get_certificate_operation("py-kill")
    assert (again.status, again.csr) == ("inProgress", operation.csr)
    client.merge_certificate("py-kill", Authority().chain(bytes(again.csr)))
    assert client.get_certificate_operation("py-kill").status == "completed"
