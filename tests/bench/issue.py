"""Certificates a second, beside ``cryptography`` alone making the same certificates in the same run."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.bench.summary import figure
from xdsd.ca.issuer import CLOCK_SKEW, Ca, Request, issue, make_root
from xdsd.ca.keys import new_key
from xdsd.model.identity import SpiffeID

_SERIALS = count(1)
_DAY = timedelta(days=1)


def issue_bench(certificates: int = 1000, repetitions: int = 5) -> dict[str, Any]:
    """P-256 throughout; rates of certificates, and how many times as long ours take."""
    now = datetime.now(UTC).replace(microsecond=0)
    ca = make_root(new_key(), "cluster.local", _DAY, now, 1)
    key = new_key().public_key()
    identity = SpiffeID("cluster.local", "default", "reviews")
    bare = _bare(ca, key, now, str(identity))

    def ours() -> None:
        issue(ca, Request(key, identity, _DAY, now, next(_SERIALS)))

    def signature() -> None:
        ca.key.sign(b"x" * 400, ec.ECDSA(hashes.SHA256()))  # type: ignore[call-arg,arg-type]  # a key of that kind

    def with_key() -> None:
        issue(ca, Request(new_key().public_key(), identity, _DAY, now, next(_SERIALS)))

    found: dict[str, list[float]] = {"issued": [], "bare": [], "signatures": [], "issued_with_a_new_key": []}
    works = {"issued": ours, "bare": bare, "signatures": signature, "issued_with_a_new_key": with_key}
    for _ in range(repetitions):
        for name, work in works.items():
            found[name].append(_seconds(work, certificates))
    ratios = [one / other for one, other in zip(found["issued"], found["bare"], strict=True)]
    rates = {name: figure([certificates / each for each in times], 0) for name, times in found.items()}
    return {"a_second": rates, "times_bare": figure(ratios, 2)}


def _seconds(work: Callable[[], None], times: int) -> float:
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - begun


def _bare(ca: Ca, key: Any, now: datetime, name: str) -> Callable[[], None]:
    """The same certificate from the same library, with nothing of ours around it. Any: a public key of any kind."""
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    above = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)

    def made() -> None:
        certificate = (
            x509.CertificateBuilder()
            .issuer_name(ca.certificate.subject)
            .subject_name(x509.Name([]))
            .public_key(key)
            .serial_number(next(_SERIALS))
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(now + _DAY)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)]), True)
            .add_extension(usage, True)
            .add_extension(x509.ExtendedKeyUsage(uses), False)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above), False)
            .sign(ca.key, hashes.SHA256())
        )
        certificate.public_bytes(Encoding.PEM)

    return made
