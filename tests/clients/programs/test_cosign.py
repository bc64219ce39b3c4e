"""cosign signs with the key of a certificate."""

import pytest

KEYS = {
    "p256": {"kty": "EC", "crv": "P-256"},
    "p384": {"kty": "EC", "crv": "P-384"},
    "rsa": {"kty": "RSA", "key_size": 2048},
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_file_is_signed_and_verified(azure, program, tmp_path, kind):
    name, cosign = f"cosign-{kind}", program("cosign")
    azure.certificate(name, KEYS[kind], ["digitalSignature"])
    key = f"azurekms://{azure.host}/{name}"
    blob, public, signature = tmp_path / "blob", tmp_path / "cosign.pub", tmp_path / "blob.sig"
    blob.write_text("what is signed")
    public.write_text(cosign("public-key", "--key", key))
    assert public.read_text().startswith("-----BEGIN PUBLIC KEY-----")
    cosign("sign-blob", "--yes", "--key", key, "--tlog-upload=false", "--output-signature", signature, blob)
    verify = ["verify-blob", "--insecure-ignore-tlog=true", "--signature", signature, "--key"]
    cosign(*verify, key, blob)
    blob.write_text("what is not signed")
    cosign.refused(*verify, key, blob)


def test_a_key_is_made_as_a_certificate(azure, program):
    key = f"azurekms://{azure.host}/cosign-new"
    told = program("cosign").refused("generate-key-pair", "--kms", key, IDENTITY_HEADER=azure.token)
    assert "create or import a certificate named" in told, told
