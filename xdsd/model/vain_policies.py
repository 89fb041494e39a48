"""What AuthorizationPolicies compare requests with in vain: values that no request, certificate or token has.

Such a policy is valid and applied, and it lets in or refuses less than its author meant.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from xdsd.model.intent import (
    AuthorizationPolicy,
    Condition,
    Operation,
    PathNormalizationType,
    ProxyPathNormalization,
    Source,
)
from xdsd.model.intent.authorization_values import ANY_PATH, ANY_SEGMENT, is_template
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.request_paths import normalized

LOCAL = "cluster.local"
"""Stands for the mesh's own trust domain in principals, whatever that is called."""

_FORM = "DOMAIN/ns/NAMESPACE/sa/ACCOUNT"
_PLAIN = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?\*?")
"""Most paths, which proxies leave as they are; of many thousands each is looked at."""

_IDENTITY = re.compile(r"ns/[^/]+/sa/[^/]+")
_BEGINNING = re.compile(r"n?|ns|ns/[^/]*|ns/[^/]+/s?|ns/[^/]+/sa(/[^/]*)?")


@dataclass(frozen=True, slots=True)
class Compared:
    """What requests are known by: ``own`` are the mesh's trust domain and its aliases, ``believed`` those and all others
    whose peers are let in (none: it is not known), ``paths`` how proxies normalize paths.
    """

    own: tuple[str, ...]
    believed: tuple[str, ...]
    paths: PathNormalizationType = PathNormalizationType.DECODE_AND_MERGE_SLASHES


def path_normalization(given: ProxyPathNormalization | None) -> PathNormalizationType:
    """How proxies normalize the paths of what they take in, as the mesh says, or as they do where it does not."""
    said = given.normalization if given else None
    if said is None or said is PathNormalizationType.DEFAULT:
        return PathNormalizationType.DECODE_AND_MERGE_SLASHES
    return said


def vain_values(spec: AuthorizationPolicy, ref: ObjectRef, compared: Compared) -> Iterator[Problem]:
    """A warning for each value that nothing has, in the order of rules."""
    for index, rule in enumerate(spec.rules):
        place = f"spec.rules[{index}]"
        found = [
            *(
                each
                for at, one in enumerate(rule.from_)
                for each in _source(one.source, f"{place}.from[{at}].source", compared)
            ),
            *(
                each
                for at, one in enumerate(rule.to)
                for each in _operation(one.operation, f"{place}.to[{at}].operation", compared.paths)
            ),
            *(
                each
                for at, one in enumerate(rule.when)
                for each in _condition(one, f"{place}.when[{at}]", compared)
            ),
        ]
        for path, why in found:
            yield Problem(Reason.UNREACHABLE_RULE, why, ref, path, severity=Severity.WARNING)


def _source(source: Source, place: str, compared: Compared) -> Iterator[tuple[str, str]]:
    for name, values in (("principals", source.principals), ("notPrincipals", source.not_principals)):
        yield from _each(f"{place}.{name}", values, lambda text: _principal_fault(text, compared))
    for name, values in (
        ("requestPrincipals", source.request_principals),
        ("notRequestPrincipals", source.not_request_principals),
    ):
        yield from _each(f"{place}.{name}", values, _token_fault)
    for name, values in (
        ("trustDomains", source.trust_domains),
        ("notTrustDomains", source.not_trust_domains),
    ):
        yield from _each(f"{place}.{name}", values, lambda text: _domain_fault(text, compared.believed))


def _operation(operation: Operation, place: str, paths: PathNormalizationType) -> Iterator[tuple[str, str]]:
    for name, values in (("paths", operation.paths), ("notPaths", operation.not_paths)):
        yield from _each(f"{place}.{name}", values, lambda text: _path_fault(text, paths))


def _condition(condition: Condition, place: str, compared: Compared) -> Iterator[tuple[str, str]]:
    for name, values in (("values", condition.values), ("notValues", condition.not_values)):
        if condition.key == "source.principal":
            yield from _each(f"{place}.{name}", values, lambda text: _principal_fault(text, compared))
        elif condition.key == "request.auth.principal":
            yield from _each(f"{place}.{name}", values, _token_fault)


def _each(place: str, values: Iterable[str], fault: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    for index, value in enumerate(values):
        why = fault(value)
        if why:
            yield f"{place}[{index}]", f"{value!r} {why}"


def _path_fault(text: str, how: PathNormalizationType) -> str:
    """Tries a path that fits: what proxies make of it must fit as well."""
    if _PLAIN.fullmatch(text):
        return ""
    if is_template(text):
        tried = text.replace(ANY_PATH, "x/y").replace(ANY_SEGMENT, "x")
        made = normalized(tried, how)
        fits = made == tried
    elif text.startswith("*"):
        tried = f"/x{text[1:]}"
        made = normalized(tried, how)
        fits = made is not None and made.endswith(text[1:])
    else:
        tried = f"{text[:-1]}x" if text.endswith("*") else text
        made = normalized(tried, how)
        fits = made == tried
    if fits:
        return ""
    return f"is the path of no request: {_instead(text, made)}"


def _instead(text: str, made: str | None) -> str:
    if made is None:
        return "proxies refuse such requests with 400"
    if text.startswith("*") or is_template(text):
        return "paths are compared after proxies brought them into one form, and this is not of it"
    shown = f"{made[:-1]}*" if text.endswith("*") else made
    return f"paths are compared after proxies brought them into one form; write {shown}"


def _principal_fault(text: str, compared: Compared) -> str:
    if text.startswith("*"):
        return ""
    domain, slash, rest = text.removesuffix("*").partition("/")
    if text.endswith("*") and not slash:
        known = not compared.believed or any(each.startswith(domain) for each in (LOCAL, *compared.believed))
        return "" if known else f"is of no trust domain whose peers are let in ({_told(compared.believed)})"
    if not slash:
        return (
            f"names no trust domain: write {_FORM}, such as {(*compared.own, LOCAL)[0]}/ns/default/sa/{text}"
        )
    if domain != LOCAL and compared.believed and domain not in compared.believed:
        return f"is of the trust domain {domain!r}, whose peers nobody lets in; known are {_told(compared.believed)}"
    shaped = _BEGINNING if text.endswith("*") else _IDENTITY
    if (domain == LOCAL or domain in compared.own) and not shaped.fullmatch(rest):
        return f"is no identity of the mesh: write {_FORM}"
    return ""


def _domain_fault(text: str, believed: tuple[str, ...]) -> str:
    bare = text.strip("*")
    fits = str.endswith if text.startswith("*") else str.startswith
    known = not believed or any(fits(each, bare) if "*" in text else each == text for each in believed)
    return "" if known else f"is no trust domain whose peers are let in; known are {_told(believed)}"


def _told(domains: tuple[str, ...]) -> str:
    return ", ".join(domains)


def _token_fault(text: str) -> str:
    issuer, slash, subject = text.rpartition("/")
    if slash and not (issuer and subject):
        return "is the identity of no token: write ISSUER/SUBJECT, or ISSUER/* for all of an issuer's"
    return ""
