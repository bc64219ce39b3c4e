"""`az keyvault secret` and `az keyvault key` on the faces of a certificate, with real cryptography."""

import base64
import hashlib
import json

import pytest
from bundles import Bundle
from conftest import Refused
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import pkcs12


@pytest.fixture(scope="module")
def bundle(az):
    bundle = Bundle("az-face")
    (az.folder / "face.pfx").write_bytes(bundle.pfx())
    az.certificate("import", "-n", "az-face", "-f", "face.pfx")
    return bundle


def test_the_secret_is_read_and_downloaded(az, bundle):
    shown, hidden, listed, versions, _ = az.together(
        ("secret", "show", "-n", "az-face"),
        ("secret", "list"),
        ("secret", "list", "--include-managed", "true"),
        ("secret", "list-versions", "-n", "az-face"),
        ("secret", "download", "-n", "az-face", "-f", "face-again.pfx", "-e", "base64"),
    )
    assert (shown["contentType"], shown["managed"]) == ("application/x-pkcs12", True)
    assert "az-face" not in {item["name"] for item in hidden}
    assert "az-face" in {item["name"] for item in listed}
    assert [version["id"] for version in versions] == [shown["id"]]
    downloaded = (az.folder / "face-again.pfx").read_bytes()
    assert downloaded == base64.b64decode(shown["value"])
    key, certificate, _ = pkcs12.load_key_and_certificates(downloaded, None)
    assert certificate == bundle.certificate
    signature = key.sign(b"message", padding.PKCS1v15(), hashes.SHA256())
    certificate.public_key().verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())
    for refused in ("set", "-n", "az-face", "--value", "x"), ("delete", "-n", "az-face"):
        with pytest.raises(Refused, match="associated with a certificate"):
            az.vault("secret", *refused)


def test_the_key_is_shown_and_downloaded(az, bundle):
    shown, listed, versions, _ = az.together(
        ("key", "show", "-n", "az-face"),
        ("key", "list", "--include-managed", "true"),
        ("key", "list-versions", "-n", "az-face"),
        ("key", "download", "-n", "az-face", "-f", "face-key.pem", "-e", "PEM"),
    )
    assert (shown["key"]["kty"], shown["managed"]) == ("RSA", True)
    assert "az-face" in {item["name"] for item in listed}
    assert [version["kid"] for version in versions] == [shown["key"]["kid"]]
    downloaded = serialization.load_pem_public_key((az.folder / "face-key.pem").read_bytes())
    assert downloaded == bundle.key.public_key()


def test_the_key_signs_verifies_encrypts_and_decrypts(az, bundle):
    digest = base64.b64encode(hashlib.sha256(b"message").digest()).decode()
    signed, encrypted = az.together(
        ("key", "sign", "-n", "az-face", "-a", "RS256", "--digest", digest),
        ("key", "encrypt", "-n", "az-face", "-a", "RSA-OAEP-256", "--data-type", "plaintext", "--value", "text"),
    )
    signature = base64.b64decode(signed["signature"])
    bundle.key.public_key().verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())
    other = base64.b64encode(hashlib.sha256(b"another message").digest()).decode()
    with pytest.raises(InvalidSignature):
        bundle.key.public_key().verify(signature, b"another message", padding.PKCS1v15(), hashes.SHA256())
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    assert bundle.key.decrypt(base64.b64decode(encrypted["result"]), oaep) == b"text"
    verify = ("key", "verify", "-n", "az-face", "-a", "RS256", "--signature", signed["signature"], "--digest")
    decrypt = ("key", "decrypt", "-n", "az-face", "-a", "RSA-OAEP-256", "--data-type", "plaintext", "--value")
    is_valid, is_not, decrypted = az.together((*verify, digest), (*verify, other), (*decrypt, encrypted["result"]))
    assert (is_valid["isValid"], is_not["isValid"]) == (True, False)
    assert decrypted["result"] == "text"


def test_a_disabled_certificate_gives_no_secret(az, bundle):
    (az.folder / "off.pem").write_bytes(Bundle("az-off", "P-256").pem())
    az.certificate("import", "-n", "az-off", "-f", "off.pem", "--disabled", "true")
    with pytest.raises(Refused, match="not allowed on a disabled secret"):
        az.vault("secret", "show", "-n", "az-off")
    assert json.loads(az.run("keyvault", "secret", "show", "--vault-name", "localhost", "-n", "az-face"))["value"]
