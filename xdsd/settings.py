"""What the daemon can be told: every setting, its default and its bounds.

What a later version brings is refused here by name, so that nobody believes to have what they have not.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from xdsd.model.key_type import KeyType
from xdsd.model.mesh import SYSTEM_CA
from xdsd.model.virtual_addresses import IPV4_RANGE
from xdsd.setting_registries import RegistrySource, parse_registry
from xdsd.setting_values import (
    Address,
    Anonymous,
    Http3,
    LogFormat,
    LogLevel,
    OutboundPolicy,
    RedisLocation,
    StoreAddress,
    TcpAddress,
    UnixAddress,
    VirtualHosts,
    format_duration,
    parse_address,
    parse_api,
    parse_choice,
    parse_duration,
    parse_foreign_prefix,
    parse_limiter,
    parse_name,
    parse_network,
    parse_path,
    parse_plaintext,
    parse_redis,
    parse_resolver,
    parse_size,
    parse_store,
    parse_tcp,
    parse_trust_domain,
    parse_vault,
    parse_virtual,
    split_list,
)

__all__ = [
    "PREFIX",
    "Address",
    "Anonymous",
    "Http3",
    "LogFormat",
    "LogLevel",
    "OutboundPolicy",
    "RegistrySource",
    "Setting",
    "Settings",
    "StoreAddress",
    "TcpAddress",
    "UnixAddress",
    "VirtualHosts",
    "format_duration",
    "parse_address",
    "parse_duration",
    "settings",
]

PREFIX = "XDSD_"


def _given(parse: Callable[[object], object]) -> Callable[[object], object]:
    """The same for a setting that may be left out."""
    return lambda value: value if value is None else parse(value)


_File = Annotated[Path | None, BeforeValidator(lambda value: value if value is None else parse_path(value))]
_Prefix = Annotated[str, BeforeValidator(parse_foreign_prefix)]
_Plaintext = Annotated[Address, BeforeValidator(parse_plaintext)]
_Resolver = Annotated[str, BeforeValidator(parse_resolver)]
_Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(parse_network)]
_Registry = Annotated[RegistrySource, BeforeValidator(parse_registry)]
_Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
_Size = Annotated[int, BeforeValidator(parse_size)]
_DNS_LABELS = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"


class Settings(BaseModel):
    """All settings, valid in themselves and together. The descriptions are the help of the flags."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    state_dir: Annotated[Path, BeforeValidator(parse_path)] = Field(
        description="Folder that holds all state."
    )
    name: Annotated[str, BeforeValidator(parse_name)] = Field(
        default_factory=lambda: parse_name(platform.node().partition(".")[0] or "xdsd"),
        description="The daemon's name among those that share its store; by default the host's.",
    )
    store: Annotated[StoreAddress, BeforeValidator(parse_store)] = Field(
        StoreAddress(),
        description="Where objects are kept: embedded (one file in the state dir), or etcd://HOST:PORT,… .",
    )
    store_ca: _File = Field(
        None, description="File of CA certificates (PEM) for etcd; by default the system's."
    )
    store_cert: _File = Field(None, description="File of the client certificate (PEM) for etcd.")
    store_key: _File = Field(None, description="File of the client certificate's key (PEM) for etcd.")
    store_user: str | None = Field(None, min_length=1, description="The user's name for etcd.")
    store_password_file: _File = Field(None, description="File that holds the user's password for etcd.")
    xds_address: _Plaintext = Field(
        TcpAddress("127.0.0.1", 15010), description="Plaintext xDS, on loopback or unix:PATH alone."
    )
    xds_tls_address: Annotated[TcpAddress | None, BeforeValidator(parse_tcp)] = Field(
        None,
        description="xDS over TLS for proxies with a join token, and where these get certificates: HOST:PORT, "
        "such as 0.0.0.0:15012; by default there is none.",
    )
    xds_mtls_address: Annotated[TcpAddress | None, BeforeValidator(parse_tcp)] = Field(
        None,
        description="xDS over TLS for proxies with a certificate of the mesh, which they renew there: HOST:PORT, "
        "such as 0.0.0.0:15013; by default there is none.",
    )
    peer_address: Annotated[TcpAddress | None, BeforeValidator(parse_tcp)] = Field(
        None,
        description="Where daemons of other meshes are told what their Peers offer, by mutual TLS: HOST:PORT, such as "
        "0.0.0.0:15016; by default there is none.",
    )
    mesh_name: Annotated[str, BeforeValidator(parse_name)] = Field(
        "mesh", description="What the mesh is called among its peers: the name of the Peer there."
    )
    trust_domain: Annotated[str, BeforeValidator(parse_trust_domain)] = Field(
        "cluster.local",
        description="Identities are spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT.",
    )
    workload_cert_lifetime: _Duration = Field(
        timedelta(hours=24),
        ge=timedelta(minutes=1),
        le=timedelta(days=397),
        description="How long certificates of workloads hold, such as 24h; they are renewed well before.",
    )
    ca_cert: _File = Field(
        None,
        description="File of an intermediate CA's certificate chain (PEM); by default the daemon makes a root.",
    )
    ca_key: _File = Field(None, description="File of the intermediate CA's key (PEM).")
    ca_root: _File = Field(
        None, description="File of the roots to trust (PEM); by default the end of the CA's chain."
    )
    ca_key_type: Annotated[KeyType, BeforeValidator(parse_choice)] = Field(
        KeyType.ECDSA_P256, description="The key of a root that the daemon makes."
    )
    ca_sealing_key_file: _File = Field(
        None, description="File of the key that seals the root's key in the store: 32 bytes in base64."
    )
    kubernetes_token_keys: _File = Field(
        None,
        description="File of a Kubernetes cluster's public keys (PEM or JWKS), whose service account tokens then prove "
        "who a proxy is.",
    )
    kubernetes_token_issuer: str | None = Field(
        None,
        min_length=1,
        description="The issuer that these tokens name, such as https://kubernetes.default.svc.",
    )
    kubernetes_api: Annotated[str | None, BeforeValidator(_given(parse_api))] = Field(
        None,
        description="A Kubernetes API that says by TokenReview whose service account tokens are, instead of "
        "kubernetes-token-keys: https://HOST:PORT.",
    )
    kubernetes_api_token_file: _File = Field(
        None, description="File of the daemon's own token for that API, read at each use."
    )
    kubernetes_api_ca: _File = Field(None, description="File of CA certificates (PEM) for that API.")
    kubernetes_token_audience: str = Field(
        "istio-ca", min_length=1, description="The audience that these tokens must be for."
    )
    vault_address: Annotated[str | None, BeforeValidator(_given(parse_vault))] = Field(
        None, description="A Vault whose PKI engine signs instead: https://HOST:PORT."
    )
    vault_mount: str = Field(
        "pki",
        pattern=r"^[A-Za-z0-9_][-A-Za-z0-9_./]*$",
        description="Where the PKI engine is mounted in Vault.",
    )
    vault_role: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_][-A-Za-z0-9_.]*$", description="The PKI engine's role that signs."
    )
    vault_token_file: _File = Field(
        None, description="File that holds the token for Vault, read at each use: an agent may replace it."
    )
    vault_ca: _File = Field(
        None, description="File of CA certificates (PEM) for Vault; by default the system's."
    )
    vault_namespace: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_][-A-Za-z0-9_./]*$", description="The namespace in Vault."
    )
    admin_address: Annotated[Address, BeforeValidator(parse_address)] = Field(
        description="The admin API; by default unix:STATE_DIR/admin.sock."
    )
    admin_tls_address: Annotated[TcpAddress | None, BeforeValidator(parse_tcp)] = Field(
        None, description="The admin API over TLS, HOST:PORT, beside the other address."
    )
    admin_tls_cert: _File = Field(
        None, description="File of the admin API's certificate chain (PEM); needed off loopback."
    )
    admin_tls_key: _File = Field(None, description="File of the admin API's key (PEM).")
    admin_client_ca: _File = Field(
        None, description="File of CA certificates (PEM) whose client certificates the admin API takes."
    )
    admin_anonymous: Annotated[Anonymous, BeforeValidator(parse_choice)] = Field(
        Anonymous.ADMIN,
        description="What callers without credentials may do on a plaintext loopback admin port.",
    )
    foreign_keys: Annotated[tuple[_Prefix, ...], BeforeValidator(split_list)] = Field(
        (),
        description="A prefix of keys, beside /xdsd/, that etcd clients may use; may be given several times.",
    )
    history_retention: _Duration = Field(
        timedelta(days=30),
        ge=timedelta(minutes=1),
        description="How long audit records are kept, such as 720h.",
    )
    http_address: _Plaintext = Field(
        TcpAddress("127.0.0.1", 15014),
        description="Metrics and health over HTTP, on loopback or unix:PATH alone.",
    )
    registry: Annotated[tuple[_Registry, ...], BeforeValidator(split_list)] = Field(
        (),
        description="A source of services, machines:PATH, consul:URL or kubernetes[:KUBECONFIG], the last two with "
        "[?OPTION=VALUE&…]; may be given several times.",
    )
    registry_wait: Annotated[timedelta | None, BeforeValidator(_given(parse_duration))] = Field(
        None,
        ge=timedelta(),
        description="How long registries are waited for after the start, before the rest is served without those that have "
        "not reported; by default as long as it takes.",
    )
    settle_quiet: _Duration = Field(
        timedelta(milliseconds=10),
        ge=timedelta(),
        description="Publish once nothing has changed for this long…",
    )
    settle_max: _Duration = Field(
        timedelta(milliseconds=100),
        ge=timedelta(),
        description="…but at most this long after the first change.",
    )
    outbound_traffic_policy: Annotated[OutboundPolicy, BeforeValidator(parse_choice)] = Field(
        OutboundPolicy.ALLOW_ANY,
        description="Traffic to unknown destinations, where neither a Sidecar nor the MeshConfig says otherwise.",
    )
    virtual_hosts: Annotated[VirtualHosts, BeforeValidator(parse_choice)] = Field(
        VirtualHosts.INLINE,
        description="Whether sidecars get virtual hosts inside route configurations, or discover each by itself.",
    )
    gateway_http3: Annotated[Http3, BeforeValidator(parse_choice)] = Field(
        Http3.OFF,
        description="Whether servers of gateways with protocol HTTPS and mode SIMPLE speak HTTP/3 too, on UDP.",
    )
    mesh_domain: str = Field(
        "cluster.local",
        pattern=_DNS_LABELS,
        description="reviews in namespace n is reviews.n.svc.MESH_DOMAIN.",
    )
    root_namespace: str = Field(
        "istio-system", pattern=_DNS_LABELS, description="Objects in this namespace hold for the whole mesh."
    )
    system_ca: str = Field(
        SYSTEM_CA,
        pattern=r"^/",
        description="File, on the proxies' machines, of the authorities that vouch where a rule's tls names none.",
    )
    dns_resolvers: Annotated[tuple[_Resolver, ...], BeforeValidator(split_list)] = Field(
        (),
        description="IP[:PORT] of a DNS server that sidecars ask for names that the mesh does not have; may be "
        "given several times; by default those of their own machines.",
    )
    virtual_addresses: Annotated[IPv4Network, BeforeValidator(parse_virtual)] = Field(
        IPV4_RANGE,
        description="From where services without addresses get some; the same for all daemons on one store.",
    )
    machine_grace: _Duration = Field(
        timedelta(minutes=1),
        ge=timedelta(seconds=2),
        le=timedelta(days=1),
        description="How long the entry of a machine that registered itself stays after it disconnected, in whole seconds.",
    )
    machine_limit: int = Field(
        100, ge=1, description="Machines that may register themselves with one token or certificate."
    )
    machine_networks: Annotated[tuple[_Network, ...], BeforeValidator(split_list)] = Field(
        (),
        description="Networks (10.0.0.0/8) of which machines may claim addresses that their connections do not come from.",
    )
    jwks_networks: Annotated[tuple[_Network, ...], BeforeValidator(split_list)] = Field(
        (),
        description="Networks (10.0.0.0/8) whose addresses may be asked for the public keys of tokens' issuers; public "
        "addresses always may.",
    )
    rate_limit_service: Annotated[TcpAddress | None, BeforeValidator(_given(parse_limiter))] = Field(
        None,
        description="Who counts global rate limits, as proxies reach it: HOST:PORT; by default the daemon itself.",
    )
    rate_limit_redis: Annotated[RedisLocation | None, BeforeValidator(_given(parse_redis))] = Field(
        None,
        description="Where the daemon keeps what it counts, to share it with others: redis://HOST:PORT; by default "
        "in its memory.",
    )
    rate_limit_redis_password_file: _File = Field(None, description="File that holds the password for Redis.")
    log_format: Annotated[LogFormat, BeforeValidator(parse_choice)] = Field(
        LogFormat.AUTO, description="How log lines look; auto is console on a terminal, else json."
    )
    log_level: Annotated[LogLevel, BeforeValidator(parse_choice)] = Field(
        LogLevel.INFO, description="The least severe log lines to write."
    )
    max_message_size: _Size = Field(
        64 << 20,
        ge=1 << 16,
        le=1 << 30,
        description="The largest request taken from a client, such as 64MiB.",
    )
    max_streams: int = Field(10_000, ge=1, description="xDS streams served at once; more are turned away.")
    max_streams_per_proxy: int = Field(
        64, ge=1, description="xDS streams that one proxy may have open; more are turned away."
    )
    max_streams_per_identity: int = Field(
        2_000,
        ge=1,
        description="xDS streams that all proxies of one proven identity may have open; more are turned away.",
    )
    max_subscriptions: int = Field(
        100_000, ge=1, description="Resource names that one xDS stream may ask for; it is ended beyond them."
    )
    max_subscriptions_per_identity: int = Field(
        2_000_000,
        ge=1,
        description="Resource names that one identity may ask for on all of its xDS streams; the stream that goes beyond "
        "is ended.",
    )
    max_request_rate: int = Field(
        100,
        ge=1,
        description="xDS requests a second that one identity may send for each of its streams, beside answers to what it "
        "was sent; ten seconds' worth may come at once.",
    )
    max_descriptions_per_identity: int = Field(
        5_000,
        ge=1,
        description="Different descriptions (node id, labels, all that its node says) that proxies of one identity may give "
        "of themselves within ten minutes, for each of which config is compiled; streams beyond them are turned away.",
    )
    max_certificate_rate: int = Field(
        20,
        ge=1,
        description="Certificates a second that one identity may ask for; ten seconds' worth may be asked for at once.",
    )
    max_counted_rate: int = Field(
        2_000,
        ge=1,
        description="Requests a second that one identity may have counted for rate limits; ten seconds' worth "
        "may come at once.",
    )
    ack_wait: _Duration = Field(
        timedelta(seconds=20),
        ge=timedelta(),
        description="How long a removal waits for a proxy to accept what precedes it.",
    )
    drain_time: _Duration = Field(
        timedelta(seconds=5),
        ge=timedelta(),
        description="How long streams have to end when the daemon stops.",
    )


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting's names, and what its flag needs to know."""

    field: str
    help: str
    repeatable: bool
    choices: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.field.replace("_", "-")

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        return PREFIX + self.field.upper()


def settings() -> tuple[Setting, ...]:
    """Every setting, in the order of ``Settings``: the daemon's flags are made from it."""
    return tuple(
        Setting(
            field=name,
            help=info.description or "",
            repeatable=name
            in {"registry", "foreign_keys", "dns_resolvers", "jwks_networks", "machine_networks"},
            choices=tuple(info.annotation) if isinstance(info.annotation, type(StrEnum)) else (),
        )
        for name, info in Settings.model_fields.items()
    )
