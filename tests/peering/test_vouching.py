"""Which trust domain's daemon shows a certificate."""

from datetime import timedelta

import pytest

from tests.ca.making import DAY, NOW, intermediate, issued, organisation, root
from xdsd.ca.checking import NotProven
from xdsd.ca.issuer import pem
from xdsd.ca.proving import identity_of_server
from xdsd.model.identity import SpiffeID
from xdsd.peering.vouching import MAX_CHAIN, read_chain, vouched

DAEMON = identity_of_server("east.example", "istio-system")
ROOT = root(domain="east.example")


def test_the_root_of_its_domain_vouches_for_a_daemon() -> None:
    """Directly, or by authorities that stand between and are shown."""
    vouched(read_chain(issued(ROOT, DAEMON).chain), [ROOT.certificate], DAEMON, NOW)
    top = organisation()
    below = intermediate(top)
    vouched(read_chain(issued(below, DAEMON).chain), [top.certificate], DAEMON, NOW)


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (SpiffeID("west.example", "istio-system", "xdsd"), "of the trust domain west.example"),
        (SpiffeID("east.example", "istio-system", "shop"), "the peer's daemon is"),
        (SpiffeID("east.example", "shop", "xdsd"), "the peer's daemon is"),
    ],
)
def test_others_are_no_daemons(identity: SpiffeID, why: str) -> None:
    """Neither of another domain, nor of another account or namespace, though the right root signed."""
    with pytest.raises(NotProven, match=why):
        vouched(read_chain(issued(ROOT, identity).chain), [ROOT.certificate], DAEMON, NOW)


def test_another_authority_vouches_for_nobody_here() -> None:
    """What it signs of this domain is refused, also where it shows the right root behind."""
    other = root(domain="east.example")
    chain = issued(other, DAEMON).chain
    for shown in (chain, chain + pem(ROOT.certificate), chain + pem(other.certificate)):
        with pytest.raises(NotProven, match=r"no authority of east\.example that is known signed"):
            vouched(read_chain(shown), [ROOT.certificate], DAEMON, NOW)


def test_a_workload_cannot_vouch() -> None:
    """Its certificate is no authority's, whatever its key signs."""
    leaf = issued(ROOT, DAEMON)
    chain = issued(root(domain="east.example"), DAEMON).chain + leaf.chain
    with pytest.raises(NotProven, match="no authority"):
        vouched(read_chain(chain), [ROOT.certificate], DAEMON, NOW)


def test_what_expired_proves_nothing() -> None:
    """Its authority may go on."""
    chain = read_chain(issued(ROOT, DAEMON, lifetime=DAY).chain)
    with pytest.raises(NotProven, match="expired"):
        vouched(chain, [ROOT.certificate], DAEMON, NOW + 2 * DAY)


@pytest.mark.parametrize(
    "shown", [b"", b"nothing", b"x" * (1 << 20), pem(ROOT.certificate) * (MAX_CHAIN + 1)]
)
def test_what_is_no_chain_is_refused(shown: bytes) -> None:
    """Before anything is looked at."""
    with pytest.raises(NotProven):
        read_chain(shown)


@pytest.mark.parametrize(("ahead", "believed"), [(timedelta(minutes=50), True), (timedelta(hours=2), False)])
def test_clocks_may_differ_by_an_hour(ahead: timedelta, believed: bool) -> None:
    """A certificate holds from an hour before it was made, so that who is behind believes it; and no more than that."""
    chain = read_chain(issued(ROOT, DAEMON).chain)
    if believed:
        vouched(chain, [ROOT.certificate], DAEMON, NOW - ahead)
        return
    with pytest.raises(NotProven, match="check the clocks"):
        vouched(chain, [ROOT.certificate], DAEMON, NOW - ahead)
