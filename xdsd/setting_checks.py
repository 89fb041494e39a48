"""What is wrong with settings that are fine one by one."""

from collections.abc import Iterator

from xdsd.registry.kubernetes import Cluster
from xdsd.settings import Address, Anonymous, Settings, TcpAddress

Conflict = tuple[tuple[str, ...], str]
"""The fields that are at odds, the likeliest to be changed first, and what is wrong."""


def conflicts(loaded: Settings) -> Iterator[Conflict]:
    """All that is at odds."""
    if loaded.settle_max < loaded.settle_quiet:
        yield (
            ("settle_max", "settle_quiet"),
            "settle-max is shorter than settle-quiet; make it at least as long",
        )
    yield from _addresses(loaded)
    yield from _sources(loaded)
    yield from _store(loaded)
    yield from _admin(loaded)
    yield from _limits(loaded)
    yield from _ca(loaded)
    yield from _accounts(loaded)


def _addresses(loaded: Settings) -> Iterator[Conflict]:
    seen: dict[Address, str] = {}
    for field in (
        "xds_address",
        "xds_tls_address",
        "xds_mtls_address",
        "peer_address",
        "admin_address",
        "admin_tls_address",
        "http_address",
    ):
        address = getattr(loaded, field)
        if address is None:
            continue
        if address in seen and not (isinstance(address, TcpAddress) and address.port == 0):
            other = seen[address]
            message = f"{address} is taken by {other.replace('_', '-')}; give each its own address"
            yield (field, other), message
        seen[address] = field


def _sources(loaded: Settings) -> Iterator[Conflict]:
    names = [each.name for each in loaded.registry]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield ("registry",), f"{name} is given twice; keep one of the two"
    for each in loaded.registry:
        secret = isinstance(each.options, Cluster) and each.options.secrets
        if secret and loaded.xds_tls_address is None and loaded.xds_mtls_address is None:
            message = (
                f"{each.name}: secrets are given over TLS alone; set xds-tls-address, or leave secrets out"
            )
            yield ("registry", "xds_tls_address"), message


def _store(loaded: Settings) -> Iterator[Conflict]:
    if not loaded.store.etcd:
        for field in ("store_ca", "store_cert", "store_key", "store_user", "store_password_file"):
            if getattr(loaded, field) is not None:
                message = "is for an etcd store, and the store is embedded; set store, or leave this out"
                yield (field,), message
        return
    yield from _pair(loaded, "store_cert", "store_key")
    yield from _pair(loaded, "store_user", "store_password_file")


def lets_in_anybody(loaded: Settings) -> bool:
    """Whether there is an admin port that ``admin_anonymous`` is of: plaintext on loopback."""
    address = loaded.admin_address
    return isinstance(address, TcpAddress) and address.is_loopback and loaded.admin_tls_cert is None


def _admin(loaded: Settings) -> Iterator[Conflict]:
    given = "admin_anonymous" in loaded.model_fields_set and loaded.admin_anonymous is not Anonymous.NONE
    if given and not lets_in_anybody(loaded):
        how = "over TLS" if isinstance(loaded.admin_address, TcpAddress) else "a socket"
        message = (
            f"is for a plaintext port on loopback, and admin-address is {loaded.admin_address}, {how}: nobody is let in "
            "there without credentials; leave it out, or set admin-address to 127.0.0.1:PORT"
        )
        yield ("admin_anonymous",), message
    yield from _pair(loaded, "admin_tls_cert", "admin_tls_key")
    address = loaded.admin_address
    if loaded.admin_tls_address is not None and loaded.admin_tls_cert is None:
        yield ("admin_tls_address",), "needs a certificate: set admin-tls-cert and admin-tls-key"
    if not isinstance(address, TcpAddress):
        for field in ("admin_tls_cert", "admin_client_ca"):
            if getattr(loaded, field) is not None and loaded.admin_tls_address is None:
                yield (field,), f"is for a TCP port, and admin-address is {address}; set admin-tls-address"
    elif loaded.admin_tls_cert is None and not address.is_loopback:
        message = (
            f"{address} can be reached from other machines, so it needs TLS: set admin-tls-cert and admin-tls-key "
            "(callers then need a token, or a certificate of admin-client-ca); or listen on 127.0.0.1 or unix:PATH"
        )
        yield ("admin_address",), message
    elif loaded.admin_tls_cert is None and loaded.admin_client_ca is not None:
        yield (
            ("admin_client_ca",),
            "takes certificates over TLS alone; set admin-tls-cert and admin-tls-key too",
        )


def _limits(loaded: Settings) -> Iterator[Conflict]:
    if loaded.rate_limit_service is not None and loaded.rate_limit_redis is not None:
        message = (
            f"is for a daemon that counts itself, and {loaded.rate_limit_service} does; leave one of both out"
        )
        yield ("rate_limit_redis", "rate_limit_service"), message
    if loaded.rate_limit_redis is None and loaded.rate_limit_redis_password_file is not None:
        yield ("rate_limit_redis_password_file",), "is for a Redis; set rate-limit-redis, or leave this out"


def _accounts(loaded: Settings) -> Iterator[Conflict]:
    yield from _pair(loaded, "kubernetes_token_keys", "kubernetes_token_issuer")
    audience = type(loaded).model_fields["kubernetes_token_audience"].default
    for field in ("kubernetes_api_token_file", "kubernetes_api_ca"):
        yield from _pair(loaded, "kubernetes_api", field)
    if loaded.kubernetes_api is not None and loaded.kubernetes_token_keys is not None:
        yield (
            ("kubernetes_api", "kubernetes_token_keys"),
            "both say whose service account tokens are; leave one out",
        )
    if (
        loaded.kubernetes_token_keys is None
        and loaded.kubernetes_api is None
        and loaded.kubernetes_token_audience != audience
    ):
        yield (
            ("kubernetes_token_audience",),
            "is of service account tokens; set kubernetes-token-keys or kubernetes-api, or leave it out",
        )


_CA = (
    "ca_cert",
    "ca_key",
    "ca_root",
    "ca_sealing_key_file",
    "peer_address",
    "kubernetes_api",
    "kubernetes_token_keys",
    "vault_address",
)
_VAULT = ("vault_mount", "vault_role", "vault_token_file", "vault_ca", "vault_namespace")


def serves_identity(loaded: Settings) -> bool:
    """Whether proxies can prove who they are, so that there is a CA."""
    return loaded.xds_tls_address is not None or loaded.xds_mtls_address is not None


def _ca(loaded: Settings) -> Iterator[Conflict]:
    yield from _pair(loaded, "ca_cert", "ca_key")
    for field in _CA:
        if getattr(loaded, field) is not None and not serves_identity(loaded):
            message = "is for the CA, which serves proxies over TLS; set xds-tls-address, or leave this out"
            yield (field,), message
    if loaded.vault_address is None:
        for field in _VAULT:
            if getattr(loaded, field) not in (None, type(loaded).model_fields[field].default):
                yield (field,), "is for a Vault that signs; set vault-address, or leave this out"
    else:
        for field in ("vault_role", "vault_token_file"):
            if getattr(loaded, field) is None:
                yield ("vault_address",), f"needs {field.replace('_', '-')} beside it"
        if loaded.ca_cert is not None:
            yield ("vault_address", "ca_cert"), "and ca-cert both say who signs; leave one of both out"
    if loaded.ca_root is not None and loaded.ca_cert is None and loaded.vault_address is None:
        yield ("ca_root",), "is for a CA that is given; set ca-cert or vault-address, or leave this out"
    made = type(loaded).model_fields["ca_key_type"].default
    if loaded.ca_key_type is not made and (loaded.ca_cert or loaded.vault_address):
        yield ("ca_key_type",), "is of a root that the daemon makes, and the CA is given; leave it out"
    if loaded.ca_sealing_key_file is not None and (loaded.ca_cert or loaded.vault_address):
        message = "seals a root that the daemon makes, and the CA is given; leave it out"
        yield ("ca_sealing_key_file",), message


def _pair(loaded: Settings, one: str, other: str) -> Iterator[Conflict]:
    for present, absent in ((one, other), (other, one)):
        if getattr(loaded, present) is not None and getattr(loaded, absent) is None:
            yield (present,), f"needs {absent.replace('_', '-')} beside it"
