"""The linters: each tells what it finds in a file, from a notice upwards."""

import json
import pathlib
import shutil
import subprocess
import sys

# Rules of the standards. Those of browsers (CA/Browser Forum, Mozilla, Apple) want policies of public CAs.
STANDARDS = "RFC3279,RFC5280,RFC5480,RFC5891,RFC6962,RFC8813,Community"


def said(*command):
    """The standard output. Linters end with the count of their findings, so the exit code says nothing."""
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


class Pkilint:
    """One command for each kind of file."""

    FOLDER = pathlib.Path(sys.executable).parent
    COMMANDS = {
        "certificate": ("lint_pkix_cert", "lint"),
        "crl": ("lint_crl", "lint", "-t", "CRL", "-p", "PKIX"),
        "ocsp": ("lint_ocsp_response", "lint"),
    }

    @classmethod
    def missing(cls):
        return None if (cls.FOLDER / "lint_pkix_cert").exists() else "pkilint is not installed"

    def findings(self, kind, der, pem):
        command, *arguments = self.COMMANDS[kind]
        ended = said(self.FOLDER / command, *arguments, "-s", "NOTICE", "-f", "JSON", der)
        assert ended.stdout, ended.stderr
        results = json.loads(ended.stdout)["results"]
        return [finding["code"] for result in results for finding in result["finding_descriptions"]]


class Zlint:
    """It reads certificates and lists, as PEM."""

    @classmethod
    def missing(cls):
        return None if shutil.which("zlint") else "zlint is not installed: it is built with Go"

    def findings(self, kind, der, pem):
        if kind == "ocsp":
            return []
        ended = said("zlint", "-includeSources", STANDARDS, pem)
        assert ended.stdout, ended.stderr
        results = json.loads(ended.stdout)
        assert len(results) > 10, f"so few rules cannot be all: {ended.stdout}"
        good = ("pass", "NA", "NE", "info")
        return [rule for rule, found in results.items() if found["result"] not in good]
