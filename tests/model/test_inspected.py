"""Whose TLS is read, and for which hosts a certificate stands."""

import pytest

from xdsd.model.inspected import Inspected, names_for, stands_for


def test_a_sidecar_stands_for_the_hosts_of_all_that_concern_its_account() -> None:
    """Those of its namespace and account, and those of everybody, each once and in order."""
    inspected = (
        Inspected(("b.example.com", "a.example.com"), ("shop",), ("till",)),
        Inspected(("c.example.com", "a.example.com")),
        Inspected(("d.example.com",), ("bank",)),
    )
    assert names_for(inspected, "shop", "till") == ("a.example.com", "b.example.com", "c.example.com")
    assert names_for(inspected, "shop", "other") == ("a.example.com", "c.example.com")


def test_an_account_that_nobody_proved_may_be_any() -> None:
    """So that whoever proves nothing does not go unread; but its namespace is known."""
    one = Inspected(("a.example.com",), ("shop",), ("till",))
    assert one.concerns("shop", None)
    assert not one.concerns("bank", None)


@pytest.mark.parametrize(
    ("pattern", "host", "stands"),
    [
        ("a.example.com", "a.example.com", True),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "*.example.com", True),
        ("*.example.com", "b.a.example.com", False),
        ("*.example.com", "example.com", False),
        ("*.example.com", "*.a.example.com", False),
        ("a.example.com", "*.example.com", False),
    ],
)
def test_a_wildcard_stands_for_one_label(pattern: str, host: str, stands: bool) -> None:
    """As those who look at certificates compare names."""
    assert stands_for(pattern, host) is stands
