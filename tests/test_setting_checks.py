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


TLS = {"xds_tls_address": "0.0.0.0:15012"}
VAULT = {"vault_address": "https://v:1", "vault_role": "r", "vault_token_file": "/t"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"ca_cert": "/c", "ca_key": "/k"}, "--ca-cert: is for the CA, which serves proxies over TLS"),
        (VAULT, "--vault-address: is for the CA"),
        ({**TLS, "ca_cert": "/c"}, "--ca-cert: needs ca-key beside it"),
        ({**TLS, "vault_role": "r"}, "--vault-role: is for a Vault that signs; set vault-address"),
        (
            {**TLS, "vault_address": "https://v:1", "vault_role": "r"},
            "--vault-address: needs vault-token-file",
        ),
        (
            {**TLS, **VAULT, "ca_cert": "/c", "ca_key": "/k"},
            "--vault-address: and ca-cert both say who signs",
        ),
        (
            {"kubernetes_token_keys": "/k", "kubernetes_token_issuer": "i"},
            "--kubernetes-token-keys: is for the CA",
        ),
        (
            {**TLS, "kubernetes_api": "https://k:6443"},
            "--kubernetes-api: needs kubernetes-api-token-file beside it",
        ),
        (
            {
                **TLS,
                **{f"kubernetes_{name}": f"/{name}" for name in ("api_token_file", "api_ca", "token_keys")},
                "kubernetes_api": "https://k:6443",
                "kubernetes_token_issuer": "i",
            },
            "--kubernetes-api: both say whose service account tokens are; leave one out",
        ),
        (
            {**TLS, "kubernetes_token_keys": "/k"},
            "--kubernetes-token-keys: needs kubernetes-token-issuer beside it",
        ),
        (
            {**TLS, "kubernetes_token_audience": "a"},
            "--kubernetes-token-audience: is of service account tokens",
        ),
        ({**TLS, "ca_root": "/r"}, "--ca-root: is for a CA that is given"),
        ({**TLS, **VAULT, "ca_sealing_key_file": "/s"}, "--ca-sealing-key-file: seals a root"),
        ({**TLS, "vault_mount": "mesh"}, "--vault-mount: is for a Vault that signs"),
        ({**TLS, **VAULT, "ca_key_type": "rsa-2048"}, "--ca-key-type: is of a root that the daemon makes"),
        ({**TLS, "xds_mtls_address": "0.0.0.0:15012"}, "--xds-mtls-address: 0.0.0.0:15012 is taken by"),
    ],
)
def test_settings_of_the_ca_fit_together(flags: dict[str, object], said: str) -> None:
    """A setting of the CA that would have no effect, or lacks another, is refused."""
    with pytest.raises(ConfigError) as caught:
        load(None, {}, {"state_dir": "/s", **flags}, uid=1)
    assert any(str(problem).startswith(said) for problem in caught.value.problems)


def test_one_ca_at_a_time_is_fine() -> None:
    """A root of its own, an intermediate from files, and Vault are each taken alone."""
    for flags in (
        {},
        {"ca_cert": "/c", "ca_key": "/k", "ca_root": "/r"},
        VAULT,
        {"ca_sealing_key_file": "/s"},
    ):
        assert load(None, {}, {"state_dir": "/s", **TLS, **flags}, uid=1)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://vault.example/", "https://vault.example:8200"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("http://localhost:8200", "http://localhost:8200"),
    ],
)
def test_vaults_are_written_as_urls(written: str, meant: str) -> None:
    """The port may be left out; plaintext is taken on this machine alone."""
    flags = {**TLS, **VAULT, "vault_address": written, "state_dir": "/s"}
    assert load(None, {}, flags, uid=1).vault_address == meant


def test_the_sealing_key_is_no_setting() -> None:
    """The environment's key is for the daemon alone: no setting has it, so nothing that prints settings does."""
    loaded = load(None, {"XDSD_CA_SEALING_KEY": "hidden"}, {"state_dir": "/s", **TLS}, uid=1)
    assert "hidden" not in dump(loaded) + repr(loaded)
