"""`az keyvault certificate` as it is published, against the server: making, managing and moving certificates."""

import base64
import json
import pathlib

import pytest
from authority import Authority
from bundles import Bundle
from conftest import Refused
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID
from policies import policy


def create(az, name, issuer, *more, **chosen):
    return az.certificate("create", "-n", name, "-p", policy(issuer, name, **chosen), *more)


def pem(chain):
    return "".join(
        x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM).decode() for der in chain
    )


def names_of(listed):
    return {item["name"] for item in listed}


def test_a_token_is_asked_for_the_resource_of_the_challenge(az, place, server):
    az.certificate("list")
    assert place.resources[-1] == f"https://localhost:{server.port}"


@pytest.fixture(scope="module")
def issued(az):
    """The operations of certificates that sign themselves. `az` looks every five seconds: all wait at the same time."""
    default = az.run("keyvault", "certificate", "get-default-policy")
    web = policy("Self", "az-web", names=["a.example", "b.example"])
    wanted = {"az-web": web, "az-gone": policy("Self", "az-gone")}
    with_default = ("certificate", "create", "-n", "az-default", "-p", default, "--validity", 24, "--tags", "a=b")
    made = az.together(with_default, *(("certificate", "create", "-n", name, "-p", wanted[name]) for name in wanted))
    return default, made


def test_a_self_signed_certificate_with_the_default_policy_of_az(az, issued):
    default, made = issued
    assert [(operation["status"], operation["error"]) for operation in made] == [("completed", None)] * 3
    shown = az.certificate("show", "-n", "az-default")
    assert shown["tags"] == {"a": "b"}
    assert shown["policy"]["x509CertificateProperties"]["validityInMonths"] == 24
    certificate = x509.load_der_x509_certificate(base64.b64decode(shown["cer"]))
    common_name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    assert common_name == json.loads(default)["x509CertificateProperties"]["subject"].removeprefix("CN=")
    certificate.verify_directly_issued_by(certificate)


def test_versions_attributes_and_policy(az, issued):
    first = az.certificate("show", "-n", "az-web")
    create(az, "az-web", "Self", names=["a.example", "b.example"])
    versions, listed, by_version, one = az.together(
        ("certificate", "list-versions", "-n", "az-web"),
        ("certificate", "list"),
        ("certificate", "show", "-n", "az-web", "-v", first["id"].rsplit("/", 1)[1]),
        ("certificate", "list-versions", "-n", "az-web", "--maxresults", 1),
    )
    assert len(versions) == 2 and len(one) == 1
    assert first["id"] in {version["id"] for version in versions}
    assert "az-web" in names_of(listed)
    assert by_version["cer"] == first["cer"]
    changed = az.certificate("set-attributes", "-n", "az-web", "--enabled", "false", "--tags", "b=2")
    assert (changed["attributes"]["enabled"], changed["tags"]) == (False, {"b": "2"})
    az.certificate("set-attributes", "-n", "az-web", "-p", policy("Self", "other", names=["c.example"]))
    shown = az.certificate("show", "-n", "az-web")
    assert shown["policy"]["x509CertificateProperties"]["subject"] == "CN=other"
    # A certificate is also reached by its identifier alone.
    assert json.loads(az.run("keyvault", "certificate", "show", "--id", first["id"]))["cer"] == first["cer"]


def test_a_manual_certificate_is_merged(az):
    operation = create(az, "az-manual", "Unknown")
    assert operation["status"] == "inProgress"
    assert operation["statusDetails"] == "Pending certificate created. Please Perform Merge to complete the request."
    listed, with_pending, shown = az.together(
        ("certificate", "list"),
        ("certificate", "list", "--include-pending", "true"),
        ("certificate", "pending", "show", "-n", "az-manual"),
    )
    assert "az-manual" not in names_of(listed) and "az-manual" in names_of(with_pending)
    assert (shown["csr"], shown["requestId"]) == (operation["csr"], operation["requestId"])
    with pytest.raises(Refused, match="(?s)Forbidden.*while a pending key vault certificate's status is inProgress"):
        create(az, "az-manual", "Self")
    csr = x509.load_der_x509_csr(base64.b64decode(operation["csr"]))
    chain = az.folder / "chain.pem"
    stranger = az.folder / "stranger.pem"
    chain.write_text(pem(Authority().chain(base64.b64decode(operation["csr"]))))
    stranger.write_bytes(Bundle("stranger", "P-256").certificate.public_bytes(serialization.Encoding.PEM))
    with pytest.raises(Refused, match="does not match the public part of the specified private key"):
        az.certificate("pending", "merge", "-n", "az-manual", "-f", stranger)
    merged = az.certificate("pending", "merge", "-n", "az-manual", "-f", chain, "--tags", "merged=yes")
    certificate = x509.load_der_x509_certificate(base64.b64decode(merged["cer"]))
    assert certificate.public_key() == csr.public_key()
    assert merged["tags"] == {"merged": "yes"}
    assert az.certificate("pending", "show", "-n", "az-manual")["status"] == "completed"


def test_a_pending_operation_is_deleted(az):
    create(az, "az-given-up", "Unknown")
    assert az.certificate("pending", "delete", "-n", "az-given-up")["status"] == "inProgress"
    with pytest.raises(Refused, match="PendingCertificateNotFound"):
        az.certificate("pending", "show", "-n", "az-given-up")


def test_pfx_and_pem_are_imported_and_downloaded(az):
    rsa, ec = Bundle("az-pfx"), Bundle("az-pem", "P-256")
    (az.folder / "in.pfx").write_bytes(rsa.pfx("secret"))
    (az.folder / "in.pem").write_bytes(ec.pem())
    pfx, from_pem = az.together(
        ("certificate", "import", "-n", "az-pfx", "-f", "in.pfx", "--password", "secret", "--tags", "a=b"),
        ("certificate", "import", "-n", "az-pem", "-f", "in.pem", "-p", policy("Unknown", "az-pem"), "--disabled"),
    )
    assert base64.b64decode(pfx["cer"]) == rsa.der() and pfx["tags"] == {"a": "b"}
    assert base64.b64decode(from_pem["cer"]) == ec.der() and from_pem["attributes"]["enabled"] is False
    az.together(
        ("certificate", "download", "-n", "az-pfx", "-f", "out.der", "-e", "DER"),
        ("certificate", "download", "-n", "az-pem", "-f", "out.pem"),
    )
    assert (az.folder / "out.der").read_bytes() == rsa.der()
    assert x509.load_pem_x509_certificate((az.folder / "out.pem").read_bytes()) == ec.certificate
    with pytest.raises(Refused, match="(?s)BadParameter.*The password is wrong"):
        az.certificate("import", "-n", "az-wrong", "-f", "in.pfx", "--password", "other")


def test_a_certificate_is_backed_up_deleted_recovered_purged_and_restored(az, issued):
    before = az.certificate("show", "-n", "az-gone")
    az.certificate("backup", "-n", "az-gone", "-f", "gone.backup")
    deleted = az.certificate("delete", "-n", "az-gone")
    assert deleted["recoveryId"].endswith("/deletedcertificates/az-gone")
    listed, shown = az.together(
        ("certificate", "list-deleted"), ("certificate", "show-deleted", "-n", "az-gone")
    )
    assert "az-gone" in {item["id"].split("/")[4] for item in listed}
    assert shown["id"] == before["id"] and shown["scheduledPurgeDate"]
    with pytest.raises(Refused, match="ObjectIsDeletedButRecoverable"):
        create(az, "az-gone", "Self")
    assert az.certificate("recover", "-n", "az-gone")["id"] == before["id"]
    with pytest.raises(Refused, match="Conflict"):
        az.certificate("restore", "-f", "gone.backup")
    az.certificate("delete", "-n", "az-gone")
    assert az.certificate("purge", "-n", "az-gone") is None
    with pytest.raises(Refused, match="CertificateNotFound"):
        az.certificate("show-deleted", "-n", "az-gone")
    assert az.certificate("restore", "-f", "gone.backup")["cer"] == before["cer"]
    damaged = pathlib.Path(az.folder / "gone.backup")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(Refused, match="Malformed backup blob"):
        az.certificate("restore", "-f", "gone.backup")


def test_errors_are_shown_with_code_and_message(az):
    with pytest.raises(Refused, match=r"\(CertificateNotFound\) A certificate with \(name/id\) az-none was not found"):
        az.certificate("show", "-n", "az-none")
    with pytest.raises(Refused, match=r"\(BadParameter\) .*invalid name"):
        az.certificate("show", "-n", "az_none")
