"""A server as it is run for others: with a certificate of its own, and callers that have to show a token."""

import datetime
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from server import BINARY, Server


class Guarded(Server):
    tokens = {"good": "a-token-of-the-test", "bad": "another-one"}

    def __init__(self, folder, more="", base_domain="localhost", port=None, access=""):
        super().__init__(folder)
        self.port = port or self.port
        self.url = f"https://localhost:{self.port}"
        key, certificate = self_signed(*dict.fromkeys(["localhost", base_domain, f"*.{base_domain}"]))
        self.file("ca.pem", certificate)
        self.file("key.pem", key)
        self.file("tokens", f"example {hashlib.sha256(self.tokens['good'].encode()).hexdigest()}\n".encode())
        settings = f"""
            data_dir = "{folder}/data"
            listen = "127.0.0.1:{self.port}"
            base_domain = "{base_domain}"
            hosts = ["localhost"]
            [admin]
            listen = "off"
            [tls]
            certificate = "{folder}/ca.pem"
            key = "{folder}/key.pem"
            [auth]
            tokens_file = "{folder}/tokens"
            [access]
            administrators = ["token:example"]
            {access}
            [shutdown]
            delay = "1ms"
            {more}
        """
        self.file("certmint.toml", settings.encode())

    def command(self):
        return [BINARY, "serve", "--config", str(self.folder / "certmint.toml")]

    def file(self, name, content):
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)


def self_signed(*names):
    """A key and a certificate for these host names that is its own root, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return (
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        certificate.public_bytes(pem),
    )
