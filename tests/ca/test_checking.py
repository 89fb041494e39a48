"""CAs that may not sign, and certificates that prove nothing."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.ca.making import DAY, DOMAIN, NOW, REVIEWS, YEAR, intermediate, issued, organisation, root
from tests.fuzz.der import parse
from xdsd.ca.checking import NotProven, check_issued, faults, prove
from xdsd.ca.issuer import Ca, Request, issue
from xdsd.ca.keys import new_key, public_der
from xdsd.model.identity import SpiffeID


def found(ca: Ca, *, roots: tuple[x509.Certificate, ...] = (), domain: str = DOMAIN) -> list[str]:
    """The faults of a CA whose last certificate is trusted, unless roots are given."""
    return list(faults(ca, roots or ca.chain[-1:], domain, NOW))


def test_good_cas_have_no_faults() -> None:
    """A root of ours, and an intermediate below an organisation's root, may sign."""
    assert found(root()) == []
    assert found(intermediate(organisation())) == []
    below = intermediate(intermediate(organisation(), constraints=x509.BasicConstraints(True, 1)))
    assert found(below) == []


def test_an_intermediate_may_stand_without_its_root() -> None:
    """A chain need not hold the root, where the root is trusted."""
    top = organisation()
    ca = intermediate(top)
    assert found(replace(ca, chain=ca.chain[:1]), roots=top.chain) == []


@pytest.mark.parametrize(
    ("ca", "fault"),
    [
        (replace(intermediate(organisation()), key=new_key()), "the key is of another certificate"),
        (intermediate(organisation(), constraints=None), "is no CA's"),
        (intermediate(organisation(), constraints=x509.BasicConstraints(False, None)), "is no CA's"),
        (intermediate(organisation(), usage=False), "lacks keyCertSign"),
        (
            intermediate(organisation(path_length=0), constraints=x509.BasicConstraints(True, None)),
            r"pathlen",
        ),
        (intermediate(root()), "allows 0 CAs below it \\(pathlen\\), and there are 1"),
        (intermediate(organisation(), begins=NOW - YEAR, ends=NOW - DAY), "expired at 2026-11-20"),
        (intermediate(organisation(), begins=NOW + DAY), "is valid from 2026-11-22"),
        (root(domain="other.example"), "is of the trust domain 'spiffe://other.example'"),
        (
            intermediate(
                organisation(),
                others=(x509.NameConstraints([x509.UniformResourceIdentifier("b.example")], None),),
            ),
            "may only name hosts in 'b.example'",
        ),
    ],
    ids=[
        "key",
        "no constraints",
        "no CA",
        "usage",
        "root allows none below",
        "below a root of ours",
        "expired",
        "not yet",
        "domain",
        "names",
    ],
)
def test_what_is_wrong_with_a_ca_is_said(ca: Ca, fault: str) -> None:
    """Each fault of a CA is one sentence; a CA whose only fault stands above it is refused as well."""
    said = found(ca)
    assert len(said) == 1, said
    assert re.search(fault, said[0])


def test_a_chain_in_the_wrong_order_is_refused() -> None:
    """Certificates that do not sign each other are no chain, and the message tells the order."""
    ca = intermediate(organisation())
    said = found(replace(ca, chain=(ca.chain[0], root().certificate)))
    assert any("write the certificate that signs first" in each for each in said)


def test_an_untrusted_chain_is_refused() -> None:
    """A CA that no trusted root signed may not sign."""
    said = found(intermediate(organisation()), roots=(root().certificate,))
    assert [each for each in said if "not signed by any root" in each]


def test_a_certificate_proves_its_identity() -> None:
    """What the issuer made proves the identity, with its serial and its times."""
    svid = issued(root(), serial=77)
    proof = prove(svid.certificate, DOMAIN, NOW)
    assert (proof.identity, proof.serial, proof.expires) == (REVIEWS, 77, NOW + DAY)


def unusual(
    *extensions: x509.ExtensionType, begins: Any = NOW - DAY, ends: Any = NOW + DAY
) -> x509.Certificate:
    """A certificate with just these extensions."""
    key = new_key()
    builder = x509.CertificateBuilder().issuer_name(x509.Name([])).subject_name(x509.Name([]))
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(begins).not_valid_after(ends)
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    return builder.sign(key, hashes.SHA256())


def named(*names: str) -> x509.SubjectAlternativeName:
    """URI names."""
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(each) for each in names])


SIGNS = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
SIGNS_OTHERS = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
ENCIPHERS = x509.KeyUsage(False, False, True, False, False, False, False, False, False)


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        (unusual(SIGNS), "has 0 URI names"),
        (unusual(SIGNS, named()), "has 0 URI names"),
        (unusual(SIGNS, named(str(REVIEWS), str(REVIEWS))), "has 2 URI names"),
        (unusual(SIGNS, named("https://a/b")), "is no identity"),
        (unusual(SIGNS, named(f"{REVIEWS}/x")), "is no identity"),
        (unusual(SIGNS, named("spiffe://b.example/ns/default/sa/reviews")), "trust domain b.example"),
        (unusual(SIGNS, named(str(REVIEWS)), x509.BasicConstraints(True, None)), "is a CA's"),
        (unusual(named(str(REVIEWS))), "key usage"),
        (unusual(named(str(REVIEWS)), ENCIPHERS), "key usage"),
        (unusual(named(str(REVIEWS)), SIGNS_OTHERS), "key usage"),
        (
            unusual(named(str(REVIEWS)), SIGNS, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
            "lacks clientAuth",
        ),
        (unusual(named(str(REVIEWS)), SIGNS, ends=NOW), "expired at"),
        (unusual(named(str(REVIEWS)), SIGNS, begins=NOW + timedelta(seconds=1)), "check the clocks"),
    ],
)
def test_what_proves_nothing_is_refused(certificate: x509.Certificate, why: str) -> None:
    """A certificate of another form, domain, usage or time proves nobody's identity."""
    with pytest.raises(NotProven, match=why):
        prove(certificate, DOMAIN, NOW)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("serial", [b"\0", b"\xff"])
def test_a_serial_that_nobody_could_revoke_is_refused(serial: bytes) -> None:
    """A certificate whose serial is zero or negative proves nothing."""
    whole = parse(unusual(SIGNS, named(str(REVIEWS))).public_bytes(Encoding.DER))
    assert whole.values is not None
    assert whole.values[0].values is not None
    whole.values[0].values[1].content = serial
    with pytest.raises(NotProven, match="serial"):
        prove(x509.load_der_x509_certificate(whole.encoded()), DOMAIN, NOW)


def test_what_another_signer_sends_is_what_was_asked() -> None:
    """A chain of another signer's is taken if it is of the identity and the key, and of a trusted root."""
    top = organisation()
    ca, key = intermediate(top), new_key()
    svid = issue(ca, Request(key.public_key(), REVIEWS, DAY, NOW, 5))
    chain = x509.load_pem_x509_certificates(svid.chain)
    asked = public_der(key.public_key())
    assert check_issued(chain, top.chain, asked, REVIEWS, NOW).chain == svid.chain
    with pytest.raises(NotProven, match="was asked for"):
        check_issued(chain, top.chain, asked, SpiffeID(DOMAIN, "default", "ratings"), NOW)
    with pytest.raises(NotProven, match="another key"):
        check_issued(chain, top.chain, public_der(new_key().public_key()), REVIEWS, NOW)
    with pytest.raises(NotProven, match="no root that is trusted"):
        check_issued(chain, root().chain, asked, REVIEWS, NOW)
    with pytest.raises(NotProven, match="no chain"):
        check_issued([chain[0], root().certificate], top.chain, asked, REVIEWS, NOW)
    with pytest.raises(NotProven, match="no certificate"):
        check_issued([], top.chain, asked, REVIEWS, NOW)
