"""relic signs files of Windows with the key of a certificate."""

import pytest

# The key, and the digest: relic takes the signature algorithm from the digest, and that of an EC key has to be as long as
# its curve.
KEYS = {
    "p256": ({"kty": "EC", "crv": "P-256"}, "SHA-256"),
    "p384": ({"kty": "EC", "crv": "P-384"}, "SHA-384"),
    "rsa": ({"kty": "RSA", "key_size": 2048}, "SHA-256"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_script_is_signed_and_verified(azure, program, tmp_path, kind):
    (key, digest), name, relic = KEYS[kind], f"relic-{kind}", program("relic")
    made = azure.certificate(name, key, ["digitalSignature"], ekus=["1.3.6.1.5.5.7.3.3"])
    settings, script, signed, root = (tmp_path / file for file in ("relic.yml", "script.ps1", "signed.ps1", "root.pem"))
    settings.write_text(
        f"tokens:\n  vault:\n    type: azure\nkeys:\n  code:\n    token: vault\n    id: {made['id'].rpartition('/')[0]}\n"
    )
    script.write_bytes(b"Write-Output signed\r\n")
    relic("sign", "--config", settings, "--key", "code", "--digest", digest, "--file", script, "--output", signed)
    root.write_text(f"-----BEGIN CERTIFICATE-----\n{made['cer']}\n-----END CERTIFICATE-----\n")
    assert "OK" in relic("verify", "--cert", root, signed)
    signed.write_bytes(signed.read_bytes().replace(b"Write-Output signed", b"Write-Output broken"))
    relic.refused("verify", "--cert", root, signed)
