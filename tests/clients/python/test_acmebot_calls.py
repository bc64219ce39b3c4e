"""The calls of acmebot, which renews certificates of ACME authorities in a vault, in the order in which it makes them.

Known from its public source (polymind-inc/acmebot) and from that of its client, the Azure SDK for .NET. That client
sends the first request without its body and its token, and `Content-Type` with every request.
"""

import base64
import json
import subprocess
import uuid

import pytest
from authority import Authority
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from wire import Wire

TAG = "Acmebot"


class Acmebot:
    def __init__(self, server):
        agent = "azsdk-net-Security.KeyVault.Certificates/4.8.0 (.NET 10.0.0; Debian GNU/Linux 12)"
        both = {"Accept": "application/json", "Content_Type": "application/json"}
        self.wire = Wire(server, "7.6", User_Agent=agent, x_ms_return_client_request_id="true", **both)
        self.url = server.url
        challenged = self.wire.raw("GET", self.wire.target("/certificates"), None, self.wire.headers)
        assert challenged.status == 401 and challenged.headers["WWW-Authenticate"].startswith("Bearer authorization=")

    def call(self, method, path, body=None):
        self.wire.headers["x-ms-client-request-id"] = identity = str(uuid.uuid4())
        answer = self.wire.send(method, path, body)
        assert answer.headers["x-ms-client-request-id"] == identity
        return answer

    def must(self, status, method, path, body=None):
        answer = self.call(method, path, body)
        assert answer.status == status, answer.body
        return answer.json

    def list(self, include_pending=False):
        items, link = [], f"/certificates?includePending={str(include_pending).lower()}"
        page = self.must(200, "GET", link)
        while True:
            items += page["value"]
            if not page["nextLink"]:
                return items
            # The client takes the link as it is, its version too.
            headers = {**self.wire.headers, "Authorization": "Bearer any"}
            answer = self.wire.raw("GET", page["nextLink"].removeprefix(self.url), None, headers)
            assert answer.status == 200, answer.body
            page = answer.json

    def csr(self, name, reuse_key=False):
        """Creates, or after a conflict takes up what another try has begun."""
        answer = self.call("POST", f"/certificates/{name}/create", order(name, reuse_key))
        if answer.status == 409:
            return answer.status, self.must(200, "GET", f"/certificates/{name}/pending")["csr"]
        assert answer.status == 202, answer.body
        return answer.status, answer.json["csr"]

    def merge(self, name, blob):
        """Merges one blob, and adds the certificate's identifier to the tag, for the renewal information of ACME."""
        body = {"x5c": [base64.b64encode(blob).decode()]}
        merged = self.must(201, "POST", f"/certificates/{name}/pending/merge", body)
        metadata = {**json.loads(merged["tags"][TAG]), "certificateId": "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"}
        tags = {TAG: json.dumps(metadata)}
        change = {"attributes": {"enabled": merged["attributes"]["enabled"]}, "tags": tags}
        updated = self.must(200, "PATCH", merged["id"].removeprefix(self.url), change)
        assert (updated["id"], updated["tags"], updated["cer"]) == (merged["id"], tags, merged["cer"])
        return updated


def order(name, reuse_key):
    x509_props = {"subject": f"CN={name}.example", "sans": {"dns_names": [f"{name}.example", f"www.{name}.example"]}}
    keys = {"kty": "EC", "reuse_key": reuse_key, "crv": "P-256", "key_size": 256}
    metadata = {"endpoint": "acme-v02.api.letsencrypt.org", "dnsProvider": "Azure DNS"}
    return {
        "policy": {
            "key_props": keys,
            "x509_props": {**x509_props, "ekus": ["1.3.6.1.5.5.7.3.1"]},
            "issuer": {"name": "Unknown"},
        },
        "tags": {TAG: json.dumps(metadata)},
    }


@pytest.fixture
def acmebot(server):
    acmebot = Acmebot(server)
    yield acmebot
    acmebot.wire.close()


def parsed(chain):
    return [x509.load_der_x509_certificate(der) for der in chain]


def as_pem(chain):
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in parsed(chain))


def plain(chain):
    """One PKCS#12 file that is neither encrypted nor sealed."""
    leaf, *rest = parsed(chain)
    return pkcs12.serialize_key_and_certificates(None, None, leaf, rest, serialization.NoEncryption())


def sealed(chain):
    """One PKCS#12 file under the empty password, in the old algorithms that .NET writes; the leaf comes last."""
    command = ["openssl", "pkcs12", "-export", "-nokeys", "-certpbe", "PBE-SHA1-3DES", "-macalg", "SHA1"]
    done = subprocess.run([*command, "-passout", "pass:"], input=as_pem(chain[::-1]), capture_output=True, check=True)
    return done.stdout


@pytest.mark.parametrize("form", [plain, sealed, as_pem])
def test_a_chain_in_one_blob_is_merged_and_its_tags_are_kept(acmebot, form):
    name = f"acme-{form.__name__.replace('_', '-')}"
    status, csr = acmebot.csr(name)
    assert status == 202
    chain = Authority().chain(base64.b64decode(csr))
    merged = acmebot.merge(name, form(chain))
    assert base64.b64decode(merged["cer"]) == chain[0]
    # What its list shows of each: the names of the policy, dates, the thumbprint.
    bundle = acmebot.must(200, "GET", f"/certificates/{name}")
    assert bundle["policy"]["x509_props"]["sans"]["dns_names"] == [f"{name}.example", f"www.{name}.example"]
    assert bundle["x5t"] and bundle["attributes"]["exp"] > bundle["attributes"]["created"]
    secret = acmebot.must(200, "GET", bundle["sid"].removeprefix(acmebot.url))
    _, leaf, others = pkcs12.load_key_and_certificates(base64.b64decode(secret["value"]), None)
    assert [item.public_bytes(serialization.Encoding.DER) for item in (leaf, *others)] == chain


def test_a_second_try_meets_the_conflict_and_takes_up_the_same_request(acmebot):
    first, csr = acmebot.csr("acme-again")
    second, same = acmebot.csr("acme-again")
    assert (first, second, same) == (202, 409, csr)
    request = x509.load_der_x509_csr(base64.b64decode(same))
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["acme-again.example", "www.acme-again.example"]
    acmebot.merge("acme-again", plain(Authority().chain(base64.b64decode(same))))


def test_its_certificates_are_found_by_their_tags(acmebot):
    _, csr = acmebot.csr("acme-listed")
    acmebot.csr("acme-waiting")
    acmebot.merge("acme-listed", plain(Authority().chain(base64.b64decode(csr))))

    def ours(items):
        tagged = [item for item in items if TAG in item.get("tags", {})]
        return {item["id"].rsplit("/", 1)[1]: json.loads(item["tags"][TAG]) for item in tagged}

    found = ours(acmebot.list())
    assert found["acme-listed"]["endpoint"] == "acme-v02.api.letsencrypt.org"
    assert "certificateId" in found["acme-listed"] and "acme-waiting" not in found
    assert "acme-waiting" in ours(acmebot.list(include_pending=True))


@pytest.mark.parametrize("reuse_key", [False, True])
def test_a_renewal_is_a_new_version_and_the_old_one_serves_meanwhile(acmebot, reuse_key):
    name = f"acme-renewed-{str(reuse_key).lower()}"
    first = acmebot.merge(name, plain(Authority().chain(base64.b64decode(acmebot.csr(name, reuse_key)[1]))))
    status, csr = acmebot.csr(name, reuse_key)
    assert status == 202
    meanwhile = acmebot.must(200, "GET", f"/certificates/{name}")
    assert (meanwhile["id"], meanwhile["attributes"]["enabled"]) == (first["id"], True)
    assert acmebot.must(200, "GET", f"/secrets/{name}")["id"] == first["sid"]
    second = acmebot.merge(name, plain(Authority().chain(base64.b64decode(csr))))
    assert second["id"] != first["id"]
    assert acmebot.must(200, "GET", f"/certificates/{name}")["id"] == second["id"]
    keys = [x509.load_der_x509_certificate(base64.b64decode(bundle["cer"])).public_key() for bundle in (first, second)]
    assert (keys[0] == keys[1]) is reuse_key


def test_a_chain_for_another_key_is_refused_and_the_request_stays(acmebot):
    _, csr = acmebot.csr("acme-mixed")
    _, other = acmebot.csr("acme-mixed-other")
    blob = base64.b64encode(plain(Authority().chain(base64.b64decode(other)))).decode()
    refused = acmebot.call("POST", "/certificates/acme-mixed/pending/merge", {"x5c": [blob]})
    assert (refused.status, refused.error["code"]) == (400, "BadParameter")
    assert acmebot.csr("acme-mixed") == (409, csr)
