"""vals puts secrets in the place of references."""


def test_the_newest_secret_is_read_by_the_name_of_the_vault(azure, program):
    exportable, pem = {"kty": "EC", "crv": "P-256", "exportable": True}, "application/x-pem-file"
    azure.certificate("vals", exportable, ["digitalSignature"], pem)
    secret = azure.call("GET", "/secrets/vals")["value"]
    assert "BEGIN PRIVATE KEY" in secret
    assert program("vals")("get", "ref+azurekeyvault://default/vals").strip() == secret.strip()
    assert program("vals")("get", f"ref+azurekeyvault://{azure.host}/vals").strip() == secret.strip()


def test_a_secret_that_is_not_there_is_refused_with_the_reason(program):
    told = program("vals").refused("get", "ref+azurekeyvault://default/vals-none")
    assert "SecretNotFound" in told, told
