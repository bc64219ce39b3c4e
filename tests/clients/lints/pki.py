"""What the CAs of a server sign and publish: certificates of every profile, CAs, lists and OCSP answers, as files."""

import json
import pathlib
import subprocess
import time
import urllib.request

from server import BINARY

# The profiles of docs/issuers.md, and the others that change what is signed.
PROFILES = {
    "server": "--max-validity P90D --validity P30D --dns *.corp.example --ip 10.0.0.0/8 --key EC-P256 --key RSA-2048+"
    " --eku serverAuth --max-names 100",
    "job": "--max-validity PT8H --dns *.jobs.corp.example --eku clientAuth --key-usage digitalSignature"
    " --subject cn-from-first-name",
    "staple": "--max-validity P30D --dns *.corp.example --subject empty --must-staple",
    "listed": "--max-validity P90D --dns *.corp.example --revocation crl",
    "asked": "--max-validity P90D --dns *.corp.example --revocation ocsp",
    "unpublished": "--max-validity P90D --dns *.corp.example --revocation none",
    "people": "--max-validity P90D --email @corp.example --eku emailProtection",
}
# Issuer, and the command that sets it.
ISSUERS = {
    "root": "--subject CN=Example_Root_CA,O=Example",
    "below": "--parent root --key-type RSA-3072 --subject CN=Example_Servers_CA,O=Example",
    "alone": "--key-type P-384 --subject CN=Example_Other_CA,O=Example,C=DE",
}
# Certificate, and the command that creates it.
LEAVES = {
    "self-signed": "--issuer Self --subject CN=web.corp.example --san web.corp.example",
    "self-signed-rsa": "--issuer Self --subject CN=web.corp.example --san web.corp.example --key-type rsa",
    "of-a-root": "--issuer root --subject CN=web.corp.example --san web.corp.example",
    "rsa": "--issuer root --subject CN=web.corp.example --san web.corp.example --key-type rsa --key-size 3072",
    "p384": "--issuer alone --subject CN=web.corp.example --san web.corp.example --curve P-384",
    "p521": "--issuer alone --subject CN=web.corp.example --san web.corp.example --curve P-521",
    "many-names": "--issuer root --subject CN=many,O=Ünïcode,C=DE --san many.example --san *.many.example --san 10.1.2.3"
    " --san 2001:db8::1 --san email:a@corp.example --san uri:https://corp.example/x",
    "server": "--issuer below --certificate-type server --subject CN=web.corp.example --san web.corp.example",
    "job": "--issuer below --certificate-type job --san one.jobs.corp.example",
    "staple": "--issuer below --certificate-type staple --san web.corp.example",
    "listed": "--issuer below --certificate-type listed --subject CN=web.corp.example --san web.corp.example",
    "asked": "--issuer below --certificate-type asked --subject CN=web.corp.example --san web.corp.example",
    "unpublished": "--issuer below --certificate-type unpublished --subject CN=web.corp.example --san web.corp.example",
    "people": "--issuer below --certificate-type people --san email:a@corp.example",
}


class Pki:
    def __init__(self, server, port, folder):
        self.server, self.port, self.folder = server, port, folder
        self.files = {}
        for issuer, how in ISSUERS.items():
            self.certmint("issuer", "set", issuer, "--provider", "LocalCA", *words(how))
        for profile, rules in PROFILES.items():
            self.certmint("ca", "profile", "set", profile, "--issuer", "below", *rules.split())
        for leaf, how in LEAVES.items():
            self.certmint("create", leaf, *words(how), "--wait")
            self.pem("certificate", leaf, self.certmint("get", leaf, "--pem"))
        self.roll_over()
        for authority in self.authorities():
            self.authority(authority)

    def roll_over(self):
        """The next root, whose cross certificate is published beside its own."""
        self.certmint("ca", "create", "--issuer", "alone", "--subject", "CN=Example Other CA 2,O=Example,C=DE")
        self.certmint("ca", "activate", "--issuer", "alone")
        crossed = self.certmint("ca", "export", "--issuer", "alone", "--chain", "cross")
        for number, one in enumerate(pem_blocks(crossed)):
            self.pem("certificate", f"cross-{number}", one)

    def authority(self, authority):
        """Its certificate, its list and its OCSP answers, before and after one of its certificates is revoked."""
        issuer, identifier = authority["issuer_name"], authority["authority"]
        self.der("certificate", f"ca-{identifier}", self.published(f"/ca/{identifier}.cer"))
        if issuer != "below":
            return self.der("crl", f"list-{identifier}", self.published(f"/crl/{identifier}.crl"))
        self.answer(identifier, "good")
        empty = self.published(f"/crl/{identifier}.crl")
        self.der("crl", "list-without-entries", empty)
        self.certmint("revoke", "server", "--reason", "superseded")
        self.answer(identifier, "revoked")
        return self.der("crl", "list-with-an-entry", self.other_list(f"/crl/{identifier}.crl", empty))

    def other_list(self, path, before):
        """The list that follows: it is made some seconds after the revocation."""
        deadline = time.monotonic() + 120
        while (after := self.published(path)) == before:
            assert time.monotonic() < deadline, self.server.log()
            time.sleep(0.2)
        return after

    def answer(self, identifier, state):
        """An OCSP answer, and the certificate of the responder that is in it."""
        ca, leaf = self.folder / f"ca-{identifier}.pem", self.folder / "server.pem"
        answer = self.folder / f"ocsp-{state}.der"
        url = f"http://127.0.0.1:{self.port}/ocsp/{identifier}"
        asked = ("-issuer", ca, "-cert", leaf, "-noverify", "-no_nonce", "-url", url, "-respout", answer)
        assert f": {state}" in openssl("ocsp", *asked)
        self.files[f"ocsp-{state}"] = ("ocsp", answer, answer)
        text = openssl("ocsp", "-respin", answer, "-noverify", "-resp_text")
        self.pem("certificate", f"responder-{state}", pem_blocks(text)[0])

    def authorities(self):
        return json.loads(self.certmint("ca", "list", "--output", "json"))["authorities"]

    def published(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return answer.read()

    def certmint(self, *arguments):
        environment = {**self.server.environment(), "CERTMINT_SERVER": self.server.url, "CERTMINT_TOKEN": "dev"}
        ended = subprocess.run([BINARY, *arguments], env=environment, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, f"{arguments}: {ended.stdout}{ended.stderr}\n{self.server.log()}"
        return ended.stdout

    def pem(self, kind, name, text):
        """Keeps the first certificate of the text."""
        file = self.folder / f"{name}.pem"
        file.write_text(pem_blocks(text)[0])
        der = self.folder / f"{name}.der"
        openssl("x509", "-in", file, "-outform", "DER", "-out", der)
        self.files[name] = (kind, der, file)

    def der(self, kind, name, content):
        der, pem = self.folder / f"{name}.der", self.folder / f"{name}.pem"
        der.write_bytes(content)
        openssl("x509" if kind == "certificate" else "crl", "-inform", "DER", "-in", der, "-out", pem)
        self.files[name] = (kind, der, pem)


def words(command):
    """An underscore is a space within a word."""
    return [word.replace("_", " ") for word in command.split()]


def pem_blocks(text):
    end = "-----END CERTIFICATE-----\n"
    return ["-----BEGIN" + block.split("-----BEGIN", 1)[1] + end for block in text.split(end) if "-----BEGIN" in block]


def openssl(*arguments):
    ended = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, f"{arguments}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def broken(folder: pathlib.Path):
    """A certificate that is against the standards: a CA that may not sign certificates, without key identifiers."""
    der, pem = folder / "broken.der", folder / "broken.pem"
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "broken.key")
    wrong = ("-addext", "keyUsage=keyEncipherment", "-addext", "subjectKeyIdentifier=none", "-subj", "/CN=Broken")
    openssl("req", "-x509", *made, *wrong, "-out", pem)
    openssl("x509", "-in", pem, "-outform", "DER", "-out", der)
    return der, pem
