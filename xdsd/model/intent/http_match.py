"""Conditions on requests, and changes to their headers."""

from collections.abc import Iterator

from xdsd.model.intent.base import Bool, Finding, Message, PortNumber, Str, absent, many, table, wrong
from xdsd.model.intent.hosts import GatewayName, NamespaceName
from xdsd.model.intent.values import (
    HeaderValue,
    Labels,
    OperationHeaderName,
    RegexOrStar,
    RouteHeaderName,
)


class StringMatch(Message):
    """How a text is compared: exactly one form, and the comparison minds upper and lower case."""

    at_most_one = (("exact", "prefix", "regex"),)

    exact: Str | None = absent("The whole text.", keep_empty=True)
    prefix: Str | None = absent("How the text begins.", keep_empty=True)
    regex: RegexOrStar | None = absent("RE2 expression that the whole text matches.", keep_empty=True)

    @property
    def takes_anything(self) -> bool:
        """True if any value will do: ``{}``, an empty prefix, or an expression that everything matches."""
        if self.exact is not None:
            return False
        if self.prefix is not None:
            return self.prefix == ""
        return self.regex is None or self.regex in ("*", ".*")

    def fault(self, *, empty_prefix: bool = False, star: bool = False) -> Finding | None:
        """What is wrong with it in its place: an empty prefix, or the star that only stands for "present"."""
        if self.prefix == "" and not empty_prefix:
            return wrong("is empty; leave the match out to match everything", "prefix")
        if self.regex == "*" and not star:
            return wrong("'*' is no RE2 expression; write .* for any text", "regex")
        return None


class HTTPMatchRequest(Message):
    """Conditions on a request; all of them must hold."""

    name: Str | None = absent("Name of this match, joined to the route's name in access logs.")
    uri: StringMatch | None = absent("Path of the request.")
    scheme: StringMatch | None = absent("Scheme: http or https.")
    method: StringMatch | None = absent("Method, in capitals.")
    authority: StringMatch | None = absent("The Host or :authority header.")
    headers: dict[RouteHeaderName, StringMatch] = table(
        "Headers by lower-case name; an empty match means present."
    )
    port: PortNumber | None = absent("Port that the request was sent to.")
    source_labels: Labels = table("Labels of the workload that sends.")
    gateways: tuple[GatewayName, ...] = many("Gateways this match is for; overrides the object's list.")
    query_params: dict[Str, StringMatch] = table("Query parameters by name.")
    ignore_uri_case: Bool | None = absent("Compare the path without minding case; exact and prefix only.")
    without_headers: dict[RouteHeaderName, StringMatch] = table("Headers that must not match.")
    source_namespace: NamespaceName | None = absent("Namespace of the workload that sends.")
    stat_prefix: Str | None = absent("Prefix of the statistics that Envoy keeps for this route.")

    def findings(self) -> Iterator[Finding]:
        for place, match in self._matches():
            fault = match.fault(empty_prefix=place == ("uri",), star=place[0] == "withoutHeaders")
            if fault:
                yield wrong(fault.message, *place, *fault.path)

    def _matches(self) -> Iterator[tuple[tuple[str, ...], StringMatch]]:
        single = {"uri": self.uri, "scheme": self.scheme, "method": self.method, "authority": self.authority}
        for field, match in single.items():
            if match is not None:
                yield (field,), match
        keyed = {
            "headers": self.headers,
            "queryParams": self.query_params,
            "withoutHeaders": self.without_headers,
        }
        for field, matches in keyed.items():
            for name, match in matches.items():
                yield (field, name), match


class HeaderOperations(Message):
    """Changes to headers: removed first, then added, then set."""

    set: dict[OperationHeaderName, HeaderValue] = table("Headers to overwrite.")
    add: dict[OperationHeaderName, HeaderValue] = table("Headers to append.")
    remove: tuple[OperationHeaderName, ...] = many("Headers to remove.")


class Headers(Message):
    """Header changes in both directions."""

    request: HeaderOperations | None = absent("Changes before the request is forwarded.")
    response: HeaderOperations | None = absent("Changes before the response is returned.")

    def findings(self) -> Iterator[Finding]:
        if self.request is not None:
            for index, name in enumerate(self.request.remove):
                if is_authority(name):
                    yield wrong(f"{name!r} cannot be removed", "request", "remove", index)
        if self.response is None:
            return
        for field, names in (("set", self.response.set), ("add", self.response.add)):
            for name in names:
                if is_authority(name):
                    yield wrong(f"{name!r} is no header of a response", "response", field, name)
        for index, name in enumerate(self.response.remove):
            if is_authority(name):
                yield wrong(f"{name!r} is no header of a response", "response", "remove", index)

    def authority_changes(self) -> Iterator[tuple[str, ...]]:
        """The places that change the host of a request."""
        if self.request is not None:
            for field, names in (("set", self.request.set), ("add", self.request.add)):
                yield from (("request", field, name) for name in names if is_authority(name))


def is_authority(header: str) -> bool:
    """True for the two names of the header that carries a request's host."""
    return header.lower() in ("host", ":authority")
