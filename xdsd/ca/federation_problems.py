"""What is wrong with authorities that operators declare beside the mesh's own. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from cryptography import x509

from xdsd.ca.issuer import fingerprint
from xdsd.model.federation import Declared, DeclaredBundle
from xdsd.model.problem import Problem, Reason, Severity

Roots = Sequence[x509.Certificate]


def problems(
    declared: Declared,
    roots: Mapping[DeclaredBundle, Roots],
    faults: Mapping[DeclaredBundle, str],
    now: datetime,
) -> Iterator[Problem]:
    """``roots`` are known of each, and ``faults`` say why one cannot be read or asked now."""
    for place, each in enumerate(declared.bundles):
        path = f"spec.caCertificates[{place}].{'spiffeBundleUrl' if each.url else 'pem'}"
        found = roots.get(each, ())
        if fault := faults.get(each, ""):
            reason = Reason.UNAVAILABLE if each.url else Reason.INVALID_VALUE
            message = f"{_what(each)} {fault}; {_means(found)}"
            yield Problem(reason, message, declared.source, path, severity=Severity.WARNING)
        for root in found:
            if root.not_valid_after_utc <= now:
                message = (
                    f"the authority {fingerprint(root)[:16]} of {_whose(each)} expired at "
                    f"{root.not_valid_after_utc.isoformat()}, so nobody that it vouches for is let in; ask for another"
                )
                yield Problem(Reason.EXPIRES, message, declared.source, path, severity=Severity.WARNING)


def _what(each: DeclaredBundle) -> str:
    return f"the bundle of {_whose(each)} cannot be {'fetched' if each.url else 'read'}:"


def _whose(each: DeclaredBundle) -> str:
    return ", ".join(each.trust_domains) or "the mesh's own trust domain"


def _means(found: Roots) -> str:
    return "what was seen last holds" if found else "until it can, nobody that it vouches for is let in"
