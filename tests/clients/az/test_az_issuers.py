"""`az keyvault certificate issuer` and `contact` as they are published: issuers, their ends, and whom to tell."""

import base64
import concurrent.futures
import time

import pytest
from bundles import Bundle
from conftest import Refused
from cryptography import x509
from policies import policy
from wire import Wire


def issuer(az, *arguments):
    return az.certificate("issuer", *arguments)


def test_an_issuer_is_made_changed_listed_and_deleted(az):
    credentials = ["--account-id", "complete", "--password", "never shown"]
    made = issuer(az, "create", "--issuer-name", "az-kept", "--provider-name", "Test", *credentials)
    assert (made["provider"], made["credentials"]["accountId"]) == ("Test", "complete")
    assert made["credentials"]["password"] is None
    organization = ["--organization-id", "Contoso", "--enabled", "false"]
    changed = issuer(az, "update", "--issuer-name", "az-kept", *organization)
    assert (changed["organizationDetails"]["id"], changed["attributes"]["enabled"]) == ("Contoso", False)
    shown, listed = az.together(
        ("certificate", "issuer", "show", "--issuer-name", "az-kept"), ("certificate", "issuer", "list")
    )
    assert shown["credentials"]["accountId"] == "complete"
    assert "az-kept" in {item["id"].rsplit("/", 1)[1] for item in listed}
    assert issuer(az, "delete", "--issuer-name", "az-kept")["provider"] == "Test"
    with pytest.raises(Refused, match="CertificateIssuerNotFound"):
        issuer(az, "show", "--issuer-name", "az-kept")


def test_administrators_of_an_issuer(az):
    named = ["--issuer-name", "az-admins"]
    issuer(az, "create", *named, "--provider-name", "Test", "--organization-id", "Contoso")
    person = ["--first-name", "Ada", "--last-name", "Lovelace", "--phone", "1"]
    addresses = lambda: [admin["emailAddress"] for admin in issuer(az, "admin", "list", *named)]
    assert issuer(az, "admin", "add", *named, "--email", "ada@contoso.com", *person)["firstName"] == "Ada"
    issuer(az, "admin", "add", *named, "--email", "b@contoso.com")
    assert addresses() == ["ada@contoso.com", "b@contoso.com"]
    issuer(az, "admin", "delete", *named, "--email", "ada@contoso.com")
    assert addresses() == ["b@contoso.com"]
    assert issuer(az, "show", *named)["organizationDetails"]["id"] == "Contoso"


@pytest.fixture(scope="module")
def issuers(az):
    """One for each end, named after what it does."""
    kinds = {"az-ca": ("LocalCA", "intermediate"), "az-fails": ("Test", "fail"), "az-holds": ("Test", "hold")}
    made = ("certificate", "issuer", "create", "--issuer-name")
    more = ("--provider-name", "--account-id")
    az.together(*((*made, name, more[0], kinds[name][0], more[1], kinds[name][1]) for name in kinds))


def create(name, issuer):
    return ("certificate", "create", "-n", name, "-p", policy(issuer, name))


def ended(az, command):
    """What a creation came to: the answer, or what it was refused with."""
    try:
        return az.vault(*command)
    except Refused as refused:
        return str(refused)


def until(wire, name, reached):
    """Waits for the operation `name` to be there, or to be what is asked for."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = wire.send("GET", f"/certificates/{name}/pending")
        if answer.status == 200 and reached(answer.json):
            return answer.json
        time.sleep(0.1)
    raise AssertionError(f"{name}: {answer.body}")


def test_each_end_of_an_operation_ends_the_command(az, server, issuers):
    wire = Wire(server, "7.4")
    (az.folder / "any.pem").write_bytes(Bundle("any", "P-256").pem())
    commands = [create("az-signed", "az-ca"), create("az-failed", "az-fails")]
    commands += [create("az-cancelled", "az-holds"), create("az-deleted", "az-holds")]
    with concurrent.futures.ThreadPoolExecutor(len(commands)) as pool:
        signed, failed, cancelled, deleted = [pool.submit(ended, az, command) for command in commands]
        # `az` has no command to cancel, so another client does.
        until(wire, "az-cancelled", lambda operation: True)
        wire.send("PATCH", "/certificates/az-cancelled/pending", {"cancellation_requested": True})
        until(wire, "az-deleted", lambda operation: True)
        with pytest.raises(Refused, match=r"(?s)Forbidden.*issuer : az-holds while it is in progess\."):
            az.certificate("pending", "merge", "-n", "az-deleted", "-f", "any.pem")
        wire.send("DELETE", "/certificates/az-deleted/pending")
        assert signed.result()["status"] == "completed"
        assert (cancelled.result()["status"], cancelled.result()["error"]) == ("cancelled", None)
        assert "PendingCertificateNotFound" in deleted.result()
        # A known fault of this version: its azure-keyvault-certificates 4.7.0 reads the `innererror` of an `innererror`
        # until there is none, and then reads that too. So no failed operation of any server can be shown.
        assert "'NoneType' object has no attribute 'code'" in failed.result()
    operation = until(wire, "az-failed", lambda operation: operation["status"] != "inProgress")
    assert (operation["status"], operation["error"]["code"]) == ("failed", "Certificate issuer error")
    wire.close()
    shown, placeholder = az.together(
        ("certificate", "show", "-n", "az-signed"), ("certificate", "show", "-n", "az-failed")
    )
    certificate = x509.load_der_x509_certificate(base64.b64decode(shown["cer"]))
    assert certificate.issuer != certificate.subject
    assert (placeholder["attributes"]["enabled"], placeholder["cer"]) == (False, None)


def test_contacts_are_added_listed_and_deleted(az):
    with pytest.raises(Refused, match="ContactsNotFound"):
        az.certificate("contact", "list")
    az.certificate("contact", "add", "--email", "a@contoso.com", "--name", "Ada", "--phone", "1")
    az.certificate("contact", "add", "--email", "b@contoso.com")
    listed = az.certificate("contact", "list")
    assert listed["id"].endswith("/certificates/contacts")
    assert [contact["emailAddress"] for contact in listed["contactList"]] == ["a@contoso.com", "b@contoso.com"]
    az.certificate("contact", "delete", "--email", "a@contoso.com")
    az.certificate("contact", "delete", "--email", "b@contoso.com")
    with pytest.raises(Refused, match="ContactsNotFound"):
        az.certificate("contact", "list")
