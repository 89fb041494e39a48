"""Secrets on streams of their own, as Envoys ask for them that have no other business with the daemon."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.village import Village, account, identity_in, over_tls, peer_of, village
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports

pytestmark = pytest.mark.e2e

TYPES = ("GRPC", "DELTA_GRPC")
_TYPE = "type.googleapis.com/envoy.extensions."


def bootstrap(xds: int, ports: dict[str, int]) -> dict[str, Any]:
    """A listener for each variant of the protocol, which ends TLS with the proxy's own secret and trusts the roots."""
    return {
        "node": {"id": "sidecar~127.0.0.1~alone.default~default.svc.cluster.local", "cluster": "alone"},
        # What ``over_tls`` puts a token in; nothing is asked for there.
        "dynamicResources": {"adsConfig": {"apiType": "GRPC", "grpcServices": []}},
        "staticResources": {
            "listeners": [_listener(kind, port) for kind, port in ports.items()],
            "clusters": [
                {
                    "name": "xds",
                    "type": "STATIC",
                    "connectTimeout": "2s",
                    "typedExtensionProtocolOptions": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                            "@type": f"{_TYPE}upstreams.http.v3.HttpProtocolOptions",
                            "explicitHttpConfig": {"http2ProtocolOptions": {}},
                        }
                    },
                    "loadAssignment": {
                        "clusterName": "xds",
                        "endpoints": [{"lbEndpoints": [{"endpoint": {"address": _address(xds)}}]}],
                    },
                }
            ],
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socketAddress": {"address": "127.0.0.1", "portValue": port}}


def _secret(name: str, kind: str) -> dict[str, Any]:
    service = {"envoyGrpc": {"clusterName": "xds"}, "initialMetadata": []}
    source = {"apiType": kind, "transportApiVersion": "V3", "grpcServices": [service]}
    return {"name": name, "sdsConfig": {"apiConfigSource": source, "resourceApiVersion": "V3"}}


def _listener(kind: str, port: int) -> dict[str, Any]:
    tls = {
        "@type": f"{_TYPE}transport_sockets.tls.v3.DownstreamTlsContext",
        "requireClientCertificate": True,
        "commonTlsContext": {
            "tlsCertificateSdsSecretConfigs": [_secret("default", kind)],
            "validationContextSdsSecretConfig": _secret("ROOTCA", kind),
        },
    }
    manager = {
        "@type": f"{_TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "statPrefix": kind,
        "httpFilters": [
            {
                "name": "envoy.filters.http.router",
                "typedConfig": {"@type": f"{_TYPE}filters.http.router.v3.Router"},
            }
        ],
        "routeConfig": {
            "virtualHosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "directResponse": {"status": 200}}],
                }
            ]
        },
    }
    chain = {
        "transportSocket": {"name": "envoy.transport_sockets.tls", "typedConfig": tls},
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typedConfig": manager}],
    }
    return {"name": kind, "address": _address(port), "filterChains": [chain]}


def with_token(config: dict[str, Any], token: str) -> dict[str, Any]:
    """The bootstrap with a token on each stream."""
    header = {"key": "authorization", "value": f"Bearer {token}"}
    for listener in config["staticResources"]["listeners"]:
        tls = listener["filterChains"][0]["transportSocket"]["typedConfig"]["commonTlsContext"]
        secrets = (*tls["tlsCertificateSdsSecretConfigs"], tls["validationContextSdsSecretConfig"])
        for secret in secrets:
            secret["sdsConfig"]["apiConfigSource"]["grpcServices"][0]["initialMetadata"].append(header)
    del config["dynamicResources"]
    return config


async def shown(made: Village, port: int) -> tuple[list[str], int]:
    """The identity that a listener shows, and the serial number of its certificate."""
    found = await peer_of("127.0.0.1", port, await made.client("probe"))
    return identity_in(found), found.serial_number


async def test_secrets_come_on_streams_of_their_own(tmp_path: Path) -> None:
    """In both variants: the account's own certificate and the roots, and another certificate when it is renewed."""
    ports = dict(zip(TYPES, free_ports(len(TYPES)), strict=True))
    async with village(tmp_path, lifetime=timedelta(minutes=1), pace=lambda _life, _chance: 2.0) as made:
        token, _ = await made.tokens.create(account("alone"), datetime.now(UTC), timedelta(hours=1))
        plain = over_tls(bootstrap(made.port, ports), token, made.authority.bundle)
        async with Envoy(with_token(plain, token), tmp_path, name="alone"):
            first = {}
            for kind, port in ports.items():

                async def served(port: int = port) -> tuple[list[str], int]:
                    return await shown(made, port)

                first[kind] = await eventually(served, f"{kind}: the listener has its secrets")
                assert first[kind][0] == [str(account("alone"))]
            for kind, port in ports.items():

                async def renewed(port: int = port, before: int = first[kind][1]) -> bool:
                    return (await shown(made, port))[1] != before

                await eventually(renewed, f"{kind}: another certificate")
