"""What a user of each plug-in in examples/plugins sees: a certificate of a real CA, over kill -9 of the plug-in."""

import json
import subprocess
import time

from server import BINARY, free_port


def pending(server):
    return json.loads(server.done("pending", "show", "web", "--output", "json"))


def until(server, condition, what):
    deadline = time.monotonic() + 120
    while not condition(said := json.dumps(pending(server))):
        assert time.monotonic() < deadline, f"no sign of {what}: {said}\n{server.log()}"
        time.sleep(0.2)


def order(server):
    server.done("create", "web", "--subject", "CN=web.example", "--san", "web.example", "--issuer", "plugged")


def completed(server, ca):
    until(server, lambda said: "completed" in said.lower(), "the certificate")
    chain = ca.home / "issued.pem"
    chain.write_text(server.done("get", "web", "--pem"))
    verified = subprocess.run(
        ["openssl", "verify", "-CAfile", ca.root, "-verify_hostname", "web.example", chain],
        capture_output=True,
        text=True,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_plug_in_keeps_what_the_contract_promises(ca, plugin):
    tried = subprocess.run(
        [BINARY, "plugin", "test", plugin.address, *ca.options()], capture_output=True, text=True, timeout=300
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr + plugin.log.read_text()
    assert "FAIL" not in tried.stdout and "PASS  an order ends with a chain" in tried.stdout, tried.stdout


def tls_files(folder):
    """The CA of both sides, and a chain and key for localhost."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Both sides", "-days", "2")
    (folder / "leaf.cnf").write_text("subjectAltName = DNS:localhost\n")
    openssl("req", *key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=localhost")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "leaf.cnf")
    openssl("x509", "-req", "-in", "leaf.csr", *signed, "-out", "leaf.pem")
    return [folder / name for name in ("ca.pem", "leaf.pem", "leaf.key")]


def test_the_plug_in_keeps_its_promises_over_tls_with_certificates_on_both_sides(ca, tmp_path):
    files = tls_files(tmp_path)
    plugin = ca.plugin_over_tls(free_port(), files, tmp_path)
    plugin.start()
    try:
        shown = [part for pair in zip(("--tls-ca", "--tls-certificate", "--tls-key"), files) for part in pair]
        command = [BINARY, "plugin", "test", plugin.address, *map(str, shown), *ca.options()]
        tried = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert tried.returncode == 0, tried.stdout + tried.stderr + plugin.log.read_text()
        # Another CA signed what this client shows.
        (tmp_path / "other").mkdir()
        command[7], command[9] = map(str, tls_files(tmp_path / "other")[1:])
        refused = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert refused.returncode == 1 and "cannot be reached" in refused.stdout, refused.stdout + refused.stderr
    finally:
        plugin.kill()


def test_an_order_is_completed_by_a_plug_in_that_comes_back_after_kill_9(ca, plugin, server):
    server.done("issuer", "set", "plugged", "--provider", "Plugged", *ca.options())
    plugin.kill()
    order(server)
    until(server, lambda said: "The plug-in Plugged cannot be reached" in said, "the reason")
    (plugin.folder / "plugin.sock").unlink(missing_ok=True)
    plugin.start()
    completed(server, ca)


def test_a_wrong_credential_waits_with_the_reason_and_is_shown_nowhere(ca, plugin, server):
    server.done("issuer", "set", "plugged", "--provider", "Plugged", *ca.options("wrong"))
    order(server)
    until(server, lambda said: ca.wrong_credential in said.lower(), "the reason")
    server.done("issuer", "update", "plugged", *ca.options())
    completed(server, ca)
    said = server.log() + plugin.log.read_text() + json.dumps(pending(server))
    for secret in ("secret", "wrong"):
        assert (ca.home / secret).read_text() not in said


def test_a_misspelt_option_is_refused_with_the_names_of_all(ca, plugin, server):
    refused = server.certmint("issuer", "set", "plugged", "--provider", "Plugged", *ca.options(), "--option", "rol=x")
    assert refused.returncode != 0
    assert "options.rol" in refused.stderr and "url" in refused.stderr, refused.stderr
