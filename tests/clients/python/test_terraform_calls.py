"""The calls of Terraform's azurerm provider for a key vault certificate, in the order in which it makes them.

Known from its public source (internal/services/keyvault of hashicorp/terraform-provider-azurerm) and from that of its
client (sdk/keyvault/7.4 of tombuildsstuff/kermit, over go-autorest). The client learns the tenant and the resource anew
for each request: it sends it first without its body and its token. An empty version is a slash at the end of the path.
"""

import base64
import hashlib
import re

import pytest
from authority import Authority
from bundles import Bundle
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from wire import Wire

USER_AGENT = "Go/go1.24 (amd64-linux) go-autorest/v14.2.1 kermit/v0.20250117.1161143 keyvault/7.4"
VERSIONED = re.compile(r"/certificates/[0-9a-zA-Z-]+/[0-9a-f]{32}$")


class Terraform:
    def __init__(self, server):
        self.url = server.url
        self.wire = Wire(server, "7.4", User_Agent=USER_AGENT, Accept_Encoding="gzip")

    def call(self, method, path, body=None):
        json_type = {"Content-Type": "application/json; charset=utf-8"} if body is not None else {}
        challenged = self.wire.raw(method, self.wire.target(path), None, {**self.wire.headers, **json_type})
        assert challenged.status == 401, challenged.body
        scheme, parameters = challenged.headers["WWW-Authenticate"].split(" ", 1)
        values = dict(pair.strip().split("=") for pair in parameters.split(","))
        assert scheme == "Bearer" and values["authorization"].strip('"').count("/") >= 3
        assert values["resource"].strip('"').startswith("https://")
        return self.wire.send(method, path, body)

    def must(self, status, method, path, body=None):
        answer = self.call(method, path, body)
        assert answer.status == status, answer.body
        return answer.json if answer.body else None

    def create(self, name, body):
        """Creates and waits as the provider does; an operation that awaits a merge counts as ready."""
        answer = self.call("POST", f"/certificates/{name}/create", body)
        if answer.status != 202:
            return answer, None
        while True:
            operation = self.must(200, "GET", f"/certificates/{name}/pending")
            unknown = operation["issuer"]["name"].lower() == "unknown"
            if operation["status"].lower() == "completed" or (operation["status"] == "inProgress" and unknown):
                return answer, self.read(name)
            assert operation["status"] == "inProgress", operation

    def read(self, name):
        """The newest version; the provider crashes where one of these members is missing."""
        bundle = self.must(200, "GET", f"/certificates/{name}/")
        assert VERSIONED.search(bundle["id"]), bundle["id"]
        policy = bundle["policy"]
        assert policy["issuer"]["name"] and policy["secret_props"]["contentType"]
        assert all(member in policy["key_props"] for member in ("exportable", "key_size", "reuse_key"))
        assert all(member in policy["x509_props"] for member in ("key_usage", "validity_months"))
        return bundle


@pytest.fixture
def terraform(server):
    terraform = Terraform(server)
    yield terraform
    terraform.wire.close()


def body(issuer, content_type="application/x-pkcs12", tags=None):
    """What the provider makes of a resource with each member that it asks for."""
    kind = "EmailContacts" if issuer == "Unknown" else "AutoRenew"
    action = {"trigger": {"days_before_expiry": 30}, "action": {"action_type": kind}}
    usage = ["cRLSign", "dataEncipherment", "digitalSignature", "keyAgreement", "keyCertSign", "keyEncipherment"]
    names = {"subject": "CN=hello-world", "sans": {"dns_names": ["internal.contoso.com"]}}
    purposes = {"ekus": ["1.3.6.1.5.5.7.3.1"], "key_usage": usage}
    return {
        "policy": {
            "key_props": {"exportable": True, "kty": "RSA", "key_size": 2048, "reuse_key": True},
            "secret_props": {"contentType": content_type},
            "x509_props": {**names, **purposes, "validity_months": 12},
            "lifetime_actions": [action],
            "issuer": {"name": issuer},
        },
        "tags": tags or {},
    }


def test_a_resource_is_created_read_and_its_data_fetched(terraform):
    assert terraform.call("GET", "/certificates/tf-self/").status == 404
    _, created = terraform.create("tf-self", body("Self", tags={"environment": "test"}))
    certificate = x509.load_der_x509_certificate(base64.b64decode(created["cer"]))
    thumbprint = base64.urlsafe_b64decode(created["x5t"] + "=" * (-len(created["x5t"]) % 4))
    assert thumbprint == hashlib.sha1(base64.b64decode(created["cer"])).digest()
    assert created["tags"] == {"environment": "test"}
    assert created["policy"]["x509_props"]["sans"] == {"dns_names": ["internal.contoso.com"]}
    # The data source reads the version, then the secret of that version.
    version = created["id"].rsplit("/", 1)[1]
    by_version = terraform.must(200, "GET", f"/certificates/tf-self/{version}")
    assert by_version["attributes"]["exp"] > by_version["attributes"]["nbf"]
    secret = terraform.must(200, "GET", f"/secrets/tf-self/{version}")
    assert created["sid"] == secret["id"] and secret["contentType"] == "application/x-pkcs12"
    key, found, _ = pkcs12.load_key_and_certificates(base64.b64decode(secret["value"]), None)
    assert found == certificate and key.public_key() == certificate.public_key()


def test_the_secret_of_a_pem_resource_holds_pkcs8_and_certificates(terraform):
    _, created = terraform.create("tf-pem", body("Self", "application/x-pem-file"))
    secret = terraform.must(200, "GET", f"/secrets/tf-pem/{created['id'].rsplit('/', 1)[1]}")
    assert secret["value"].startswith("-----BEGIN PRIVATE KEY-----\n")
    key = serialization.load_pem_private_key(secret["value"].encode(), None)
    (found,) = x509.load_pem_x509_certificates(secret["value"].encode())
    assert found.public_key() == key.public_key()


def test_an_operation_that_awaits_a_merge_is_a_finished_resource(terraform):
    _, created = terraform.create("tf-unknown", body("Unknown"))
    assert created["attributes"]["enabled"] is False and "cer" not in created
    version = created["id"].rsplit("/", 1)[1]
    assert terraform.must(200, "GET", f"/certificates/tf-unknown/{version}")["id"] == created["id"]
    assert terraform.read("tf-unknown")["id"] == created["id"]
    # Somebody else merges; the state of Terraform keeps the version, so it has to stay the same.
    csr = terraform.must(200, "GET", "/certificates/tf-unknown/pending")["csr"]
    chain = [base64.b64encode(der).decode() for der in Authority().chain(base64.b64decode(csr))]
    terraform.must(201, "POST", "/certificates/tf-unknown/pending/merge", {"x5c": chain})
    merged = terraform.read("tf-unknown")
    assert (merged["id"], merged["cer"]) == (created["id"], chain[0])


def test_lifetime_actions_and_tags_are_changed_without_a_version(terraform):
    _, created = terraform.create("tf-patch", body("Self", tags={"a": "1"}))
    actions = [{"trigger": {"lifetime_percentage": 60}, "action": {"action_type": "EmailContacts"}}]
    change = {"policy": {"lifetime_actions": actions}, "tags": {"b": "2"}}
    terraform.must(200, "PATCH", "/certificates/tf-patch/", change)
    read = terraform.read("tf-patch")
    assert (read["id"], read["tags"], read["policy"]["lifetime_actions"]) == (created["id"], {"b": "2"}, actions)
    assert read["policy"]["x509_props"] == created["policy"]["x509_props"]
    # Where all tags are taken away it sends nothing at all, and nothing changes.
    assert terraform.must(200, "PATCH", "/certificates/tf-patch/", {})["tags"] == {"b": "2"}


def test_a_changed_policy_makes_a_new_version(terraform):
    _, first = terraform.create("tf-again", body("Self"))
    _, second = terraform.create("tf-again", body("Self", tags={"a": "1"}))
    assert second["id"] != first["id"]
    keys = [x509.load_der_x509_certificate(base64.b64decode(bundle["cer"])).public_key() for bundle in (first, second)]
    assert keys[0] == keys[1], "the policy asks to reuse the key"


def destroy(terraform, name, purge):
    terraform.must(200, "DELETE", f"/certificates/{name}")
    assert [terraform.call("GET", f"/certificates/{name}/").status for _ in range(3)] == [404, 404, 404]
    if purge:
        assert terraform.must(204, "DELETE", f"/deletedcertificates/{name}") is None
        assert [terraform.call("GET", f"/deletedcertificates/{name}").status for _ in range(3)] == [404, 404, 404]


def recover(terraform, name):
    """On any conflict. It waits until the identifier answers whatever, without a token."""
    recovered = terraform.must(200, "POST", f"/deletedcertificates/{name}/recover")
    path = recovered["id"].removeprefix(terraform.url)
    assert terraform.wire.raw("GET", path, None, {}).status == 401


def test_a_deleted_name_is_a_conflict_then_recovered_then_created_anew(terraform):
    _, before = terraform.create("tf-gone", body("Self"))
    destroy(terraform, "tf-gone", purge=False)
    refused, _ = terraform.create("tf-gone", body("Self"))
    assert (refused.status, refused.error["innererror"]["code"]) == (409, "ObjectIsDeletedButRecoverable")
    recover(terraform, "tf-gone")
    _, after = terraform.create("tf-gone", body("Self"))
    assert after["id"] != before["id"]


def test_an_import_after_a_deletion_is_a_conflict_then_recovered_then_imported(terraform):
    bundle = Bundle("tf-import")
    value = base64.b64encode(bundle.pfx("secret")).decode()
    wanted = {"value": value, "pwd": "secret", "tags": {"a": "1"}}
    imported = terraform.must(200, "POST", "/certificates/tf-import/import", wanted)
    assert base64.b64decode(imported["cer"]) == bundle.der()
    terraform.read("tf-import")
    destroy(terraform, "tf-import", purge=False)
    assert terraform.call("POST", "/certificates/tf-import/import", wanted).status == 409
    recover(terraform, "tf-import")
    # A changed file is imported again, without policy and tags.
    other = Bundle("tf-import-2", "P-256")
    changed = {"value": other.pem().decode(), "pwd": ""}
    imported = terraform.must(200, "POST", "/certificates/tf-import/import", changed)
    assert base64.b64decode(imported["cer"]) == other.der()
    assert terraform.read("tf-import")["id"] == imported["id"]


def test_a_destroyed_resource_is_purged_and_its_name_free(terraform):
    terraform.create("tf-purged", body("Self"))
    destroy(terraform, "tf-purged", purge=True)
    answer, _ = terraform.create("tf-purged", body("Self"))
    assert answer.status == 202


def test_a_conflict_with_an_operation_in_progress_is_not_mended_by_recovering(terraform):
    terraform.create("tf-busy", body("Unknown"))
    refused, _ = terraform.create("tf-busy", body("Unknown"))
    assert refused.status == 409
    missing = terraform.call("POST", "/deletedcertificates/tf-busy/recover")
    assert (missing.status, missing.error["code"]) == (404, "CertificateNotFound")
