"""sops keeps the data keys of files with the key of a certificate."""

import pytest

KEY = {"kty": "RSA", "key_size": 2048}


@pytest.fixture
def key(azure):
    """The address of the newest version of the key, without that version."""
    certificate = azure.certificate("sops", KEY, ["dataEncipherment", "keyEncipherment"])
    return certificate["kid"].rpartition("/")[0]


def version(azure):
    return azure.call("GET", "/keys/sops")["key"]["kid"]


def test_a_file_is_encrypted_and_decrypted_by_a_version_of_the_key(azure, program, key, tmp_path):
    sops, plain, sealed = program("sops"), tmp_path / "plain.yaml", tmp_path / "sealed.yaml"
    plain.write_text("password: secret of the test\n")
    sealed.write_text(sops("encrypt", "--azure-kv", version(azure), plain))
    assert "secret of the test" not in sealed.read_text() and azure.host in sealed.read_text()
    assert sops("decrypt", sealed) == plain.read_text()
    # After a renewal the version of the file still opens it; `rotate` makes another data key.
    old = version(azure)
    azure.certificate("sops", KEY, ["dataEncipherment", "keyEncipherment"])
    assert version(azure) != old
    assert sops("decrypt", sealed) == plain.read_text()
    sops("rotate", "--in-place", "--add-azure-kv", version(azure), "--rm-azure-kv", old, sealed)
    assert version(azure).rpartition("/")[2] in sealed.read_text() and old.rpartition("/")[2] not in sealed.read_text()
    assert sops("decrypt", sealed) == plain.read_text()


def test_the_newest_version_is_found(azure, program, key, tmp_path):
    sops, plain = program("sops"), tmp_path / "plain.json"
    plain.write_text('{"a": "b"}')
    sealed = tmp_path / "sealed.json"
    sealed.write_text(sops("encrypt", "--azure-kv", f"{key}/", plain))
    assert version(azure).rpartition("/")[2] in sealed.read_text()
    assert '"b"' in sops("decrypt", sealed)


def test_a_key_that_may_not_encrypt_is_refused_with_the_reason(azure, program, tmp_path):
    certificate = azure.certificate("sops-signs", KEY, ["digitalSignature"])
    plain = tmp_path / "plain.yaml"
    plain.write_text("a: b\n")
    told = program("sops").refused("encrypt", "--azure-kv", certificate["kid"], plain)
    assert "not permitted on this key" in told, told


def test_another_token_is_refused(azure, program, key, tmp_path):
    plain = tmp_path / "plain.yaml"
    plain.write_text("a: b\n")
    told = program("sops").refused("encrypt", "--azure-kv", version(azure), plain, IDENTITY_HEADER="another")
    assert "401" in told or "Unauthorized" in told, told
