"""Policies as `az` reads them: its own spelling, in JSON."""

import json


def policy(issuer, subject, *, key_type="EC", content_type="application/x-pkcs12", names=()):
    keys = {"EC": {"keyType": "EC", "curve": "P-256"}, "RSA": {"keyType": "RSA", "keySize": 2048}}
    x509 = {"subject": f"CN={subject}", "validityInMonths": 6}
    if names:
        x509["subjectAlternativeNames"] = {"dnsNames": list(names)}
    return json.dumps(
        {
            "issuerParameters": {"name": issuer},
            "keyProperties": {"exportable": True, "reuseKey": False, **keys[key_type]},
            "secretProperties": {"contentType": content_type},
            "x509CertificateProperties": x509,
        }
    )
