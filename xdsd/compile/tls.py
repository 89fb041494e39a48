"""What TLS towards callers and towards services has in common."""

from typing import Any

from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import SubjectAltNameMatcher

from xdsd.model.intent.hosts import is_address

TLS_SOCKET = "envoy.transport_sockets.tls"


def san_type(name: str) -> Any:
    """The kind of name in a certificate that a text can be: ``spiffe://…`` is a URI, ``a@b`` an email address."""
    if "://" in name:
        return SubjectAltNameMatcher.URI
    if "@" in name:
        return SubjectAltNameMatcher.EMAIL
    return SubjectAltNameMatcher.IP_ADDRESS if is_address(name) else SubjectAltNameMatcher.DNS


def set_secret(target: Any, name: str) -> None:
    """A reference to a secret that comes over ADS."""
    target.name = name
    source = target.sds_config
    source.ads.SetInParent()
    source.resource_api_version = ApiVersion.V3
    source.initial_fetch_timeout.SetInParent()
