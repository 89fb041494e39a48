"""Whether the credentials that objects name are there, as queries. Nothing that a rotation changes is known here, so one
compiles nothing.
"""

from collections.abc import Iterable, Set
from typing import cast

from xdsd.compile.credential_names import (
    rule_credentials,
    selects_workloads,
    uses_credential,
)
from xdsd.compile.downstream_tls import authorities_of, credentials_of
from xdsd.compile.graph import Graph
from xdsd.compile.resolve import Client, Home
from xdsd.compile.world import read_object, read_refs, read_spec
from xdsd.model.credential import AUTHORITIES, CredentialName, CredentialParts, credential_name
from xdsd.model.intent import ClientTLSMode, ClientTLSSettings, DestinationRule, ServerTLSSettings
from xdsd.model.problem import ObjectRef


def lacks_own(graph: Graph, home: Home, name: str) -> str:
    """Why proxies cannot have a credential's certificate and key; empty where they can."""
    parts = _parts(graph, home, name)
    if parts is None or not parts.own:
        return f"there is no secret {home.namespace}/{name} with a certificate and its key; {_remedy(home, name)}"
    return _refusal(home, name, parts)


def lacks_authorities(graph: Graph, home: Home, name: str) -> str:
    """Why proxies cannot have a credential's authorities; empty where they can."""
    bare = name.removesuffix(AUTHORITIES)
    found = {each: _parts(graph, home, each) for each in (f"{bare}{AUTHORITIES}", bare)}
    refusals = [
        _refusal(home, each, parts)
        for each, parts in found.items()
        if parts is not None and parts.authorities
    ]
    if "" in refusals:
        return ""
    return next(iter(refusals), "") or (
        f"no secret {home.namespace}/{bare} or {home.namespace}/{bare}{AUTHORITIES} has authorities (ca.crt); "
        f"{_remedy(home, bare)}"
    )


def server_lacks(graph: Graph, home: Home, settings: ServerTLSSettings, *, mutual: bool) -> str:
    """Why a server's TLS cannot be; empty where it can. ``mutual``: the proxy proved whose it is."""
    names, authorities = credentials_of(settings), authorities_of(settings)
    if (names or authorities) and not mutual:
        return (
            "it needs a secret, and the proxy proved no identity: let it connect to a TLS port of the daemon"
        )
    for name in names:
        if why := lacks_own(graph, home, name):
            return why
    return lacks_authorities(graph, home, authorities) if authorities else ""


def misnamed(graph: Graph, home: Home, settings: ServerTLSSettings, hosts: Iterable[str]) -> str:
    """The first host of a server that none of its certificates is for; empty where there is none, or it cannot be known."""
    found = [_parts(graph, home, name) for name in credentials_of(settings)]
    names = {name for parts in found if parts is not None for name in parts.names}
    return next((host for host in hosts if not _is_for(names, host)), "") if names else ""


def _is_for(names: Set[str], host: str) -> bool:
    """A wildcard of a certificate stands for one label; a host with a wildcard wants the very same."""
    label, _, rest = host.partition(".")
    return host in names or (label != "*" and f"*.{rest}" in names)


def client_lacks(graph: Graph, client: Client, settings: ClientTLSSettings | None, *, selected: bool) -> str:
    """Why connections cannot have the credential that a rule names; empty where they can. ``selected``: the rule says for
    which workloads it is.
    """
    if settings is None or not uses_credential(settings) or client.home is None:
        return ""
    name = credential_name(settings.credential_name or "")
    if not client.mutual:
        return (
            "it needs a secret, and the proxy proved no identity: let it connect to a TLS port of the daemon"
        )
    if not client.gateway and not selected:
        return "sidecars are given a secret only by a rule with a workloadSelector"
    if settings.mode is ClientTLSMode.MUTUAL and (why := lacks_own(graph, client.home, name)):
        return why
    return "" if settings.insecure_skip_verify else lacks_authorities(graph, client.home, name)


def used_credentials(graph: Graph) -> frozenset[CredentialName]:
    """What sidecars are told to use, by the names that rules write."""
    found: set[CredentialName] = set()
    for ref in read_refs(graph, "credential-rules"):
        rule = cast("DestinationRule", read_spec(graph, ref))
        if selects_workloads(rule):
            found.update(CredentialName(ref.namespace, name) for name in rule_credentials(rule))
    return frozenset(found)


def rule_uses(graph: Graph, refs: tuple[ObjectRef, ...]) -> bool:
    """True if one of these DestinationRules names a credential."""
    objects = (read_object(graph, ref) for ref in refs)
    return any(any(rule_credentials(obj.spec)) for obj in objects if obj is not None)


def _parts(graph: Graph, home: Home, name: str) -> CredentialParts | None:
    return cast("CredentialParts | None", graph.read(("credential", CredentialName(home.namespace, name))))


def _refusal(home: Home, name: str, parts: CredentialParts) -> str:
    if not parts.accounts or home.account in parts.accounts:
        return ""
    return (
        f"the secret {home.namespace}/{name} is not for the service account {home.account or 'of the proxy'}, only for "
        f"{', '.join(parts.accounts)}"
    )


def _remedy(home: Home, name: str) -> str:
    return f"make one: xdsctl secret create tls {name} -n {home.namespace} --cert FILE --key FILE"
