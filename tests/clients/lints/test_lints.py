"""What the built-in CAs sign and publish is clean under the rules of the standards."""

from pki import LEAVES, broken

# Findings that stay, with why.
ACCEPTED = {
    # A CA that may sign one level of CAs says so in its root as well: that keeps the root that follows it signable.
    "w_root_ca_basic_constraints_path_len_constraint_field_present",
    # RFC 9608: a certificate that says noRevAvail names neither lists nor OCSP.
    "e_missing_crl_distrib_point",
    "e_sub_cert_aia_missing",
    # A list is valid ten minutes before it is made, for clients whose clock is slow, and says when each revocation was.
    "e_crl_revocation_time_after_this_update",
    # RFC 5280 knows no wildcard names; RFC 9525 does.
    "pkix.invalid_domain_name_syntax",
}


def test_everything_that_is_signed_and_published_is_clean(pki, linter):
    kinds = {kind for kind, _, _ in pki.files.values()}
    assert kinds == {"certificate", "crl", "ocsp"} and len(pki.files) > len(LEAVES) + 10, sorted(pki.files)
    found = {}
    for name, (kind, der, pem) in pki.files.items():
        findings = set(linter.findings(kind, der, pem)) - ACCEPTED
        if findings:
            found[name] = sorted(findings)
    assert not found, found


def test_the_linter_finds_what_is_wrong(linter, tmp_path):
    assert linter.findings("certificate", *broken(tmp_path))
