"""What kind of address an endpoint has."""

import pytest

from xdsd.registry.addresses import is_unix


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("unix:///run/cart", True),
        ("unix://@cart", True),
        ("unix:///" + "a" * 106, True),
        ("unix:///" + "a" * 107, False),
        ("unix://@" + "a" * 107, False),
        ("unix:///a\0b", False),
        ("unix:///", False),
        ("unix://cart", False),
        ("10.0.0.1", False),
    ],
)
def test_a_unix_socket_has_a_path_that_the_kernel_takes(address: str, expected: bool) -> None:
    """107 bytes at most, and none that is zero; Envoy refuses all endpoints for one that is not so."""
    assert is_unix(address) is expected
