"""Certificates as the issuer makes them, checked by openssl and by cryptography's own verifier."""

import subprocess
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from tests.ca.making import DAY, DOMAIN, NOW, REVIEWS, YEAR, intermediate, issued, organisation, root
from xdsd.ca.crl import Revoked, make_crl
from xdsd.ca.issuer import CLOCK_SKEW, CannotIssue, Request, bundle, fingerprint, issue, pem, serial_of
from xdsd.ca.keys import new_key
from xdsd.model.key_type import KeyType


def openssl(folder: Path, *words: str) -> str:
    """What openssl says; it must succeed."""
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_certificate_is_an_svid() -> None:
    """A workload's certificate has one critical URI name, an empty subject, and the usages of client and server."""
    found = issued(root()).certificate
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert [*names.value] == [x509.UniformResourceIdentifier(str(REVIEWS))]
    assert not list(found.subject)
    usage = found.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert not usage.value.crl_sign
    uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(uses) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    constraints = found.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca


def test_key_identifiers_lead_to_the_issuer() -> None:
    """A certificate names its own key and the key that signed it, as the issuer names that itself."""
    ca = root()
    found = issued(ca).certificate
    above = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == above
    own = found.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert own == x509.SubjectKeyIdentifier.from_public_key(found.public_key())


@pytest.mark.parametrize("kind", KeyType)
def test_openssl_takes_every_kind_of_key(kind: KeyType, tmp_path: Path) -> None:
    """What a CA of each kind of key signs is what openssl verifies, for clients and servers."""
    key = new_key(kind)
    ca = root(key)
    (tmp_path / "root.pem").write_bytes(bundle(ca.chain))
    (tmp_path / "leaf.pem").write_bytes(issued(ca, key=key).chain)
    for purpose in ("sslclient", "sslserver"):
        verify = ("verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), "-purpose", purpose)
        assert "leaf.pem: OK" in openssl(tmp_path, *verify, "-CAfile", "root.pem", "leaf.pem")


def test_a_strict_verifier_follows_the_chain_over_an_intermediate() -> None:
    """The chain that a certificate carries leads to the root, which it does not carry itself."""
    top = organisation()
    ca = intermediate(top)
    svid = issued(ca)
    carried = x509.load_pem_x509_certificates(svid.chain)
    assert carried == [svid.certificate, ca.certificate]
    verifier = PolicyBuilder().store(Store(list(top.chain))).time(NOW).build_client_verifier()
    assert verifier.verify(carried[0], carried[1:]).subjects == [x509.UniformResourceIdentifier(str(REVIEWS))]


def test_a_clock_an_hour_behind_takes_a_new_certificate() -> None:
    """Certificates and roots begin more than an hour before they are made."""
    ca = root()
    for each in (ca.certificate, issued(ca).certificate):
        assert each.not_valid_before_utc == NOW - CLOCK_SKEW < NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("ahead", "taken"), [(-1, True), (0, True), (1, True), (23, True), (25, False), (-2, False)]
)
def test_openssl_takes_certificates_by_clocks_that_are_off(ahead: int, taken: bool, tmp_path: Path) -> None:
    """A verifier whose clock is off by so many hours takes a certificate of a day, or not, as its times say."""
    ca = root()
    (tmp_path / "root.pem").write_bytes(bundle(ca.chain))
    (tmp_path / "leaf.pem").write_bytes(issued(ca).chain)
    when = str(int((NOW + timedelta(hours=ahead)).timestamp()))
    verify = ["openssl", "verify", "-attime", when, "-CAfile", "root.pem", "leaf.pem"]
    done = subprocess.run(verify, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is taken, done.stderr


def test_a_certificate_does_not_outlive_its_ca() -> None:
    """Nothing is valid for longer than what it was signed by."""
    ca = root(lifetime=timedelta(hours=3))
    assert issued(ca, lifetime=DAY).expires == NOW + timedelta(hours=3)


def test_an_expired_ca_signs_nothing() -> None:
    """A CA whose certificate, or one above it, is over refuses, and says when it ended."""
    with pytest.raises(CannotIssue, match="expired at 2026-11-21T12:00:00"):
        issued(root(now=NOW - DAY, lifetime=DAY))
    below = intermediate(root(now=NOW - YEAR, lifetime=timedelta(days=1)), ends=NOW + YEAR)
    with pytest.raises(CannotIssue, match="expired"):
        issued(below)


def test_nothing_lives_for_less_than_a_minute() -> None:
    """A lifetime of a minute is the shortest."""
    assert issued(root(), lifetime=timedelta(minutes=1)).expires == NOW + timedelta(minutes=1)
    with pytest.raises(CannotIssue, match="a minute at least"):
        issued(root(), lifetime=timedelta(seconds=59))


def test_servers_have_names_beside_their_identity() -> None:
    """A server's certificate has DNS names and addresses beside its SPIFFE id."""
    wanted = Request(
        new_key().public_key(), REVIEWS, DAY, NOW, 7, names=("xdsd",), addresses=(ip_address("10.0.0.1"),)
    )
    names = issue(root(), wanted).certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["xdsd"]
    assert names.value.get_values_for_type(x509.IPAddress) == [ip_address("10.0.0.1")]
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [str(REVIEWS)]


def test_a_root_is_its_trust_domains() -> None:
    """A root signs itself and workloads alone, and has the trust domain as its SPIFFE id."""
    found = root().certificate
    assert found.issuer == found.subject
    found.verify_directly_issued_by(found)
    constraints = found.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints == x509.BasicConstraints(ca=True, path_length=0)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"spiffe://{DOMAIN}"]


def test_roots_with_equal_domains_have_names_of_their_own() -> None:
    """Two roots of one trust domain differ in their names, so that a verifier finds the right one by name."""
    assert root().certificate.subject != root().certificate.subject


@pytest.mark.parametrize("randomness", [b"\0" * 20, b"\xff" * 20, b"\x80" + b"\0" * 19])
def test_serials_fit_the_standard(randomness: bytes) -> None:
    """Any 20 bytes make a positive serial of at most 159 bits."""
    assert 0 < serial_of(randomness) < 1 << 159


def test_a_bundle_holds_each_root_once() -> None:
    """A bundle is PEM of each certificate once, in order."""
    one, other = root().certificate, root().certificate
    assert bundle([one, other, one]) == pem(one) + pem(other)


def test_a_key_is_in_no_representation() -> None:
    """A CA's representation has nothing of its key."""
    ca = root()
    assert "key" not in repr(ca).lower().replace("keyidentifier", "")


def test_the_fingerprint_is_openssls(tmp_path: Path) -> None:
    """A fingerprint is what openssl prints, without the colons."""
    ca = root()
    (tmp_path / "root.pem").write_bytes(bundle(ca.chain))
    said = openssl(tmp_path, "x509", "-in", "root.pem", "-noout", "-fingerprint", "-sha256")
    assert said.strip().partition("=")[2].replace(":", "").lower() == fingerprint(ca.certificate)


def test_openssl_refuses_what_the_list_revokes(tmp_path: Path) -> None:
    """A CRL of ours makes openssl refuse the revoked certificate, and take others of the same CA."""
    ca = root()
    bad, good = issued(ca), issued(ca)
    revoked = make_crl(ca, [Revoked(bad.certificate.serial_number, NOW)], 1, NOW, DAY)
    for name, content in (
        ("root", bundle(ca.chain)),
        ("bad", bad.chain),
        ("good", good.chain),
        ("crl", revoked),
    ):
        (tmp_path / f"{name}.pem").write_bytes(content)
    verify = ["openssl", "verify", "-attime", str(int(NOW.timestamp())), "-crl_check", "-CRLfile", "crl.pem"]
    verify += ["-CAfile", "root.pem", "bad.pem", "good.pem"]
    done = subprocess.run(verify, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "good.pem: OK" in done.stdout
    assert "certificate revoked" in done.stderr
