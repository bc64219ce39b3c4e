"""A certificate authority for merges, made for one test run."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test Root")])
        self.certificate = self._sign(self.name, self.key.public_key(), ca=True)

    def _sign(self, subject, public_key, ca):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def chain(self, csr_der):
        """The certificate for a request, and the root, in DER."""
        csr = x509.load_der_x509_csr(csr_der)
        assert csr.is_signature_valid
        leaf = self._sign(csr.subject, csr.public_key(), ca=False)
        return [certificate.public_bytes(serialization.Encoding.DER) for certificate in (leaf, self.certificate)]
