"""Settings that are fine one by one, and wrong together."""

import pytest

from xdsd.config import ConfigError, dump, load
from xdsd.settings import Anonymous


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({}, "admin-address is unix:/s/admin.sock, a socket"),
        (
            {"admin_address": "127.0.0.1:1", "admin_tls_cert": "/c", "admin_tls_key": "/k"},
            "admin-address is 127.0.0.1:1, over TLS",
        ),
        (
            {"admin_address": "192.0.2.1:1", "admin_tls_cert": "/c", "admin_tls_key": "/k"},
            "admin-address is 192.0.2.1:1, over TLS",
        ),
    ],
    ids=["socket", "tls", "elsewhere"],
)
def test_nobody_is_let_in_where_there_are_credentials(flags: dict[str, object], why: str) -> None:
    """What strangers may do is said of a plaintext port on loopback alone; to say that it is nothing is right everywhere."""
    for role in ("admin", "viewer"):
        with pytest.raises(ConfigError) as caught:
            load(None, {}, {"state_dir": "/s", "admin_anonymous": role, **flags}, uid=1)
        (said,) = map(str, caught.value.problems)
        assert said.startswith(f"--admin-anonymous: is for a plaintext port on loopback, and {why}: ")
    strict = load(None, {}, {"state_dir": "/s", "admin_anonymous": "none", **flags}, uid=1)
    assert strict.admin_anonymous is Anonymous.NONE
    assert "admin-anonymous" not in dump(strict)
    open_port = load(None, {}, {"admin_address": "127.0.0.1:1", "admin_anonymous": "viewer"}, uid=0)
    assert "admin-anonymous: viewer" in dump(open_port)
