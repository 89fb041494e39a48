"""Services outside of proxies that are asked for a decision: what CUSTOM policies name as their provider."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from xdsd.model.intent.base import (
    Bool,
    Finding,
    Message,
    PortNumber,
    Str,
    UInt32,
    absent,
    invalid,
    many,
    missing,
    needed,
    shown,
    table,
    wrong,
)
from xdsd.model.intent.durations import Duration
from xdsd.model.intent.hosts import is_label, name_fault
from xdsd.model.intent.values import HeaderName, HeaderValue

DEFAULT_TIMEOUT = 600
"""Seconds that a provider has to answer unless told otherwise, as published."""

_STATUSES = frozenset({*range(400, 418), *range(421, 425), 426, 428, 429, 431, *range(500, 509), 510, 511})


def _service(text: str) -> str:
    namespace, slash, host = text.rpartition("/")
    fault = name_fault(host, wildcard=False)
    if fault or (slash and not is_label(namespace)) or "/" in namespace:
        raise invalid(f"{shown(text)} is no service; write HOST or NAMESPACE/HOST")
    return text


def _status(text: str) -> str:
    if not text.isdecimal() or int(text) not in _STATUSES:
        raise invalid(f"{shown(text)} is no status of an error, such as '403'")
    return text


def _path_prefix(text: str) -> str:
    if not text.startswith("/") or not text.isprintable() or " " in text:
        raise invalid(f"{shown(text)} is no path: begin it with /")
    return text


ServiceName = Annotated[Str, AfterValidator(_service)]
StatusText = Annotated[Str, AfterValidator(_status)]
PathPrefix = Annotated[Str, AfterValidator(_path_prefix)]


class IncludeRequestBodyInCheck(Message):
    """How much of a request's body the provider sees."""

    max_request_bytes: UInt32 = needed(
        "Bytes that are held and sent; longer requests are answered with 413.", ge=1
    )
    allow_partial_message: Bool | None = absent(
        "Send what there is of a longer body, and let the provider decide."
    )
    pack_as_bytes: Bool | None = absent("Send it as bytes, over gRPC; else as text.")


class ExtAuthzProvider(Message):
    """What both kinds of providers have."""

    service: ServiceName = needed("Service that decides: HOST or NAMESPACE/HOST.")
    port: PortNumber = needed("Port of the service.")
    timeout: Duration | None = absent("How long it has to answer; 600s if left out.")
    fail_open: Bool | None = absent(
        "Let requests pass while it cannot be asked; they are refused if left out."
    )
    clear_route_cache: Bool | None = absent("Choose the route again once it has changed the request.")
    status_on_error: StatusText | None = absent("Status while it cannot be asked; 403 if left out.")
    include_request_body_in_check: IncludeRequestBodyInCheck | None = absent(
        "Bodies that it sees; none if left out."
    )


class EnvoyExternalAuthorizationHttpProvider(ExtAuthzProvider):
    """A provider that is asked by the request's head, over HTTP: 200 lets the request pass."""

    path_prefix: PathPrefix | None = absent("What is put before the path of the request.")
    include_request_headers_in_check: tuple[HeaderName, ...] = many(
        "Headers of the request that it sees, beside Host, Method, Path, Content-Length and Authorization."
    )
    include_additional_headers_in_check: dict[HeaderName, HeaderValue] = table(
        "Headers that it is sent beside."
    )
    headers_to_upstream_on_allow: tuple[HeaderName, ...] = many(
        "Headers of its answer that are put into the request."
    )
    headers_to_downstream_on_deny: tuple[HeaderName, ...] = many(
        "Headers of its answer that refused clients see."
    )
    headers_to_downstream_on_allow: tuple[HeaderName, ...] = many("Headers of its answer that others see.")


class EnvoyExternalAuthorizationGrpcProvider(ExtAuthzProvider):
    """A provider that speaks Envoy's protocol for this, over gRPC."""


class MeshExtensionProvider(Message):
    """A provider, by the name that policies call it by."""

    at_most_one = (("envoyExtAuthzHttp", "envoyExtAuthzGrpc"),)

    name: Str = needed("Name of the provider.", min_length=1, max_length=128)
    envoy_ext_authz_http: EnvoyExternalAuthorizationHttpProvider | None = absent(
        "One that is asked over HTTP."
    )
    envoy_ext_authz_grpc: EnvoyExternalAuthorizationGrpcProvider | None = absent(
        "One that is asked over gRPC."
    )

    @property
    def settings(self) -> ExtAuthzProvider | None:
        """What both kinds have."""
        return self.envoy_ext_authz_http or self.envoy_ext_authz_grpc

    def findings(self) -> Iterator[Finding]:
        if self.settings is None:
            yield missing("is empty; give envoyExtAuthzHttp or envoyExtAuthzGrpc")
        if not self.name.isprintable() or any(char in self.name for char in " |[]"):
            yield wrong(f"{shown(self.name)} holds a blank, a bar or a bracket", "name")


def provider_findings(providers: tuple[MeshExtensionProvider, ...], field: str) -> Iterator[Finding]:
    """Providers that share a name."""
    seen: set[str] = set()
    for index, provider in enumerate(providers):
        if provider.name in seen:
            yield wrong(f"{shown(provider.name)} is the name of another provider", field, index, "name")
        seen.add(provider.name)
