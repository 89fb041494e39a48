"""AuthorizationPolicy: who may do what at which workloads.

A rule holds where one of its sources, one of its operations and all of its conditions do; in a source and an operation
all fields must hold, in a field one value. A field without a counterpart in a request (a path on a TCP port) is judged by
``xdsd.authorization`` and ``xdsd.compile.authorization``.
"""

from collections.abc import Iterator
from enum import StrEnum

from xdsd.model.intent.authorization_values import (
    CLAIMS,
    IP_KEYS,
    PORT_KEY,
    TOKEN_KEYS,
    Account,
    AddressRange,
    ConditionKey,
    ConditionValue,
    MethodPattern,
    PathPattern,
    Pattern,
    PortText,
    PrincipalPattern,
    TokenPrincipal,
    map_key,
)
from xdsd.model.intent.base import (
    Finding,
    Message,
    Str,
    absent,
    many,
    missing,
    needed,
    published_name,
    shown,
    wrong,
)
from xdsd.model.intent.hosts import subnet_fault
from xdsd.model.intent.policy_target import PolicyTargetReference, target_findings
from xdsd.model.intent.selector import LabelSelector
from xdsd.model.problem import Reason

DRY_RUN = "istio.io/dry-run"
"""The annotation of policies that only count."""

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def dry_run(text: str | None) -> bool | None:
    """What the annotation's text says; None for a text that is neither."""
    if text is None or text in _FALSE:
        return False
    return True if text in _TRUE else None


class Action(StrEnum):
    """What happens to requests that a policy matches."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    AUDIT = "AUDIT"
    CUSTOM = "CUSTOM"


def _empty_lists(message: Message) -> Iterator[Finding]:
    """Lists that are written and hold nothing: their author means something by them, and they mean nothing."""
    for name in sorted(message.model_fields_set):
        if getattr(message, name) == ():
            yield wrong("is empty; name a value, or leave it out", published_name(name))


class Source(Message):
    """Whom a request comes from."""

    principals: tuple[PrincipalPattern, ...] = many(
        "Identities that certificates prove: DOMAIN/ns/NAMESPACE/sa/ACCOUNT."
    )
    not_principals: tuple[PrincipalPattern, ...] = many("Identities that it is not for.")
    request_principals: tuple[TokenPrincipal, ...] = many(
        "Identities that tokens (JWT) prove: ISSUER/SUBJECT."
    )
    not_request_principals: tuple[TokenPrincipal, ...] = many("Identities of tokens that it is not for.")
    namespaces: tuple[Pattern, ...] = many("Namespaces of identities that certificates prove.")
    not_namespaces: tuple[Pattern, ...] = many("Namespaces that it is not for.")
    service_accounts: tuple[Account, ...] = many(
        "Service accounts, as ACCOUNT (of the policy's namespace) or NAMESPACE/ACCOUNT.", max_length=16
    )
    not_service_accounts: tuple[Account, ...] = many("Service accounts that it is not for.", max_length=16)
    trust_domains: tuple[Pattern, ...] = many("Trust domains of identities that certificates prove.")
    not_trust_domains: tuple[Pattern, ...] = many("Trust domains that it is not for.")
    ip_blocks: tuple[AddressRange, ...] = many("Addresses from which connections come.")
    not_ip_blocks: tuple[AddressRange, ...] = many("Addresses of connections that it is not for.")
    remote_ip_blocks: tuple[AddressRange, ...] = many(
        "Addresses of clients: as x-forwarded-for says, as far as it is trusted."
    )
    not_remote_ip_blocks: tuple[AddressRange, ...] = many("Addresses of clients that it is not for.")

    def findings(self) -> Iterator[Finding]:
        yield from _empty_lists(self)
        if not any(self.is_set(field) for field in type(self).model_fields):
            yield missing("is empty; name whom it is for, or leave from out")
        if self.service_accounts or self.not_service_accounts:
            for field in ("principals", "not_principals", "namespaces", "not_namespaces"):
                if getattr(self, field):
                    yield wrong(
                        "cannot stand beside serviceAccounts; write one of them", published_name(field)
                    )


class From(Message):
    """One possible source."""

    source: Source = needed("Whom a request comes from.")


class Operation(Message):
    """What is asked for."""

    hosts: tuple[Pattern, ...] = many("Hosts, as requests name them; with the port where they name one.")
    not_hosts: tuple[Pattern, ...] = many("Hosts that it is not for.")
    ports: tuple[PortText, ...] = many("Ports at which the workload is served, in quotes.")
    not_ports: tuple[PortText, ...] = many("Ports that it is not for.")
    methods: tuple[MethodPattern, ...] = many("Methods.")
    not_methods: tuple[MethodPattern, ...] = many("Methods that it is not for.")
    paths: tuple[PathPattern, ...] = many(
        "Paths without query, after normalization; {*} stands for a segment, {**} for any number of them."
    )
    not_paths: tuple[PathPattern, ...] = many("Paths that it is not for.")

    def findings(self) -> Iterator[Finding]:
        yield from _empty_lists(self)
        if not any(self.is_set(field) for field in type(self).model_fields):
            yield missing("is empty; name what it is for, or leave to out")


class To(Message):
    """One possible operation."""

    operation: Operation = needed("What is asked for.")


class Condition(Message):
    """A condition on a property of the request or connection."""

    key: ConditionKey = needed("Name of the property, such as request.headers[X-User].")
    values: tuple[ConditionValue, ...] = many("Values, one of which it has.")
    not_values: tuple[ConditionValue, ...] = many("Values, none of which it has.")

    def findings(self) -> Iterator[Finding]:
        yield from _empty_lists(self)
        if not self.values and not self.not_values:
            yield missing("is empty; give values or notValues", "values")
        for field in ("values", "not_values"):
            for index, value in enumerate(getattr(self, field)):
                fault = value_fault(self.key, value)
                if fault:
                    yield wrong(f"{shown(value)} {fault}", published_name(field), index)


def value_fault(key: str, value: str) -> str | None:
    """Says why ``value`` is no value of a condition, to follow its text, or None."""
    if key in IP_KEYS:
        return subnet_fault(value)
    if key == PORT_KEY:
        valid = value.isascii() and value.isdecimal() and len(value) <= 5 and 1 <= int(value) <= 65535
        return None if valid else "is no port between 1 and 65535"
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if "*" in bare[1:-1] or (len(bare) > 1 and bare[0] == "*" == bare[-1]):
        return "is no pattern: a wildcard may stand at one end only: abc*, *abc or *"
    return None


class Rule(Message):
    """Requests, by who asks, for what, and under which conditions. An empty rule is all of them."""

    from_: tuple[From, ...] = many("Sources, one of which it is; any if left out.", max_length=512)
    to: tuple[To, ...] = many("Operations, one of which it is; any if left out.")
    when: tuple[Condition, ...] = many("Conditions, all of which hold.")

    def findings(self) -> Iterator[Finding]:
        yield from _empty_lists(self)


class ExtensionProvider(Message):
    """An authorizer outside of the mesh, declared in the mesh's config."""

    name: Str = needed("Name of the provider.", min_length=1)


class AuthorizationPolicy(Message):
    """Who may do what at some workloads."""

    at_most_one = (("selector", "targetRef", "targetRefs"),)

    selector: LabelSelector | None = absent("Workloads it is for; all of the namespace if left out.")
    target_ref: PolicyTargetReference | None = absent("Gateway it is for.")
    target_refs: tuple[PolicyTargetReference, ...] = many("Gateways it is for.", max_length=16)
    action: Action | None = absent("What happens to requests that a rule matches; ALLOW if left out.")
    provider: ExtensionProvider | None = absent("Who decides, for action CUSTOM.")
    rules: tuple[Rule, ...] = many("Rules; requests of none of them are not matched.", max_length=512)

    @property
    def targets(self) -> tuple[PolicyTargetReference, ...]:
        """All targets, whichever field names them."""
        return (self.target_ref, *self.target_refs) if self.target_ref else self.target_refs

    @property
    def effect(self) -> Action:
        """The action, also where it is left out."""
        return self.action or Action.ALLOW

    def findings(self) -> Iterator[Finding]:
        yield from target_findings(self.target_ref, self.target_refs)
        if self.effect is Action.CUSTOM:
            yield from self._custom_findings()
        elif self.provider is not None:
            yield wrong(f"is for action CUSTOM, and the action is {self.effect}", "provider")
        if not self.rules and self.effect is not Action.ALLOW:
            yield missing(
                f"is empty, so {self.effect} never happens; write [{{}}] for every request", "rules"
            )

    def _custom_findings(self) -> Iterator[Finding]:
        if self.provider is None:
            yield missing("is missing; name who decides", "provider")
        # The provider is asked before tokens are proven, as in the published order of filters.
        message = "is unknown when the provider is asked; tokens are proven after that"
        for at, rule in enumerate(self.rules):
            for index, each in enumerate(rule.from_):
                for field in ("request_principals", "not_request_principals"):
                    if getattr(each.source, field):
                        path = ("rules", at, "from", index, "source", published_name(field))
                        yield wrong(message, *path, reason=Reason.NOT_SUPPORTED)
            for index, condition in enumerate(rule.when):
                if condition.key in TOKEN_KEYS or map_key(condition.key)[0] == CLAIMS:
                    told = f"{condition.key} {message}"
                    yield wrong(told, "rules", at, "when", index, "key", reason=Reason.NOT_SUPPORTED)
