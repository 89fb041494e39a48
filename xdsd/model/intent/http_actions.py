"""What happens to a request on its way: redirect, rewrite, retry, fault, CORS, mirror, fixed answer."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum

from xdsd.model.intent.base import (
    Bool,
    Finding,
    Int32,
    Message,
    Percent32,
    PortNumber,
    Str,
    UInt32,
    absent,
    many,
    missing,
    needed,
    shown,
    wrong,
)
from xdsd.model.intent.durations import Duration
from xdsd.model.intent.http_match import StringMatch
from xdsd.model.intent.selector import Destination, Percent
from xdsd.model.intent.values import (
    AnswerStatus,
    Authority,
    Base64,
    GrpcStatus,
    HeaderName,
    HttpStatus,
    Method,
    PathText,
    Regex,
    RetryOn,
)
from xdsd.model.problem import Reason


class RedirectPortSelection(StrEnum):
    """Where a redirect's port comes from when none is written."""

    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


REDIRECT_CODES = (301, 302, 303, 307, 308)


class HTTPRedirect(Message):
    """Answer with a redirect instead of forwarding."""

    at_most_one = (("port", "derivePort"), ("uri", "prefixRewrite"))

    uri: PathText | None = absent("Path (with query) of the new location.")
    prefix_rewrite: PathText | None = absent("Replacement of the matched prefix in the new location.")
    authority: Authority | None = absent("Host of the new location.")
    port: PortNumber | None = absent("Port of the new location.")
    derive_port: RedirectPortSelection | None = absent("How to choose the port of the new location.")
    scheme: Str | None = absent("Scheme of the new location: http or https.")
    redirect_code: UInt32 | None = absent("Status of the answer: 301, 302, 303, 307 or 308; 301 if left out.")

    def findings(self) -> Iterator[Finding]:
        given = ("uri", "prefix_rewrite", "authority", "port", "derive_port", "scheme", "redirect_code")
        if not any(self.is_set(field) for field in given):
            yield missing(
                "is empty; give uri, prefixRewrite, authority, port, derivePort, scheme or redirectCode"
            )
        if self.redirect_code is not None and self.redirect_code not in REDIRECT_CODES:
            codes = ", ".join(str(code) for code in REDIRECT_CODES)
            yield wrong(f"{self.redirect_code} is no redirect status; it is one of {codes}", "redirectCode")
        if self.scheme is not None and self.scheme not in ("http", "https"):
            yield wrong(f"{shown(self.scheme)} is no scheme; write http or https", "scheme")


class RegexRewrite(Message):
    """Rewrites the part of a path that an expression matches."""

    match: Regex | None = absent("RE2 expression.")
    rewrite: Str | None = absent("Replacement; \\1 to \\9 stand for groups.")

    def findings(self) -> Iterator[Finding]:
        for field, value in (("match", self.match), ("rewrite", self.rewrite)):
            if not value:
                yield missing("is missing; a rewrite needs match and rewrite", field)


class HTTPRewrite(Message):
    """Changes path or host before forwarding."""

    at_most_one = (("uri", "uriRegexRewrite"),)

    uri: PathText | None = absent("Replacement of the path, or of its matched prefix.")
    authority: Authority | None = absent("Replacement of the Host or :authority header.")
    uri_regex_rewrite: RegexRewrite | None = absent("Rewrite of the path by expression.")

    def findings(self) -> Iterator[Finding]:
        if not (self.uri or self.authority or self.uri_regex_rewrite):
            yield missing("is empty; give uri, uriRegexRewrite or authority")


class HTTPRetry(Message):
    """How often and when a failed request is tried again."""

    attempts: Int32 | None = absent("Retries; 0 switches them off.", ge=0)
    per_try_timeout: Duration | None = absent("Time limit of each try; the route's timeout if left out.")
    retry_on: RetryOn | None = absent("Comma-separated conditions or status codes.")
    retry_remote_localities: Bool | None = absent(
        "Whether a retry may go to another locality.", nullable=True
    )
    retry_ignore_previous_hosts: Bool | None = absent(
        "Whether a retry avoids hosts that failed.", nullable=True
    )
    backoff: Duration | None = absent("Least pause between tries; 25ms if left out.")

    def findings(self) -> Iterator[Finding]:
        if not self.attempts:
            rest = set(type(self).model_fields) - {"attempts"}
            if any(self.is_set(field) for field in rest):
                yield missing("is 0, which switches retries off; give the number of retries", "attempts")


class Delay(Message):
    """Holds requests back before they are forwarded."""

    at_most_one = (("fixedDelay", "exponentialDelay"), ("percentage", "percent"))

    percent: Percent32 | None = absent(
        "Share of requests to delay, in whole percent; percentage is preferred."
    )
    fixed_delay: Duration | None = absent("How long a request is held.")
    exponential_delay: Duration | None = absent("Mean of exponentially spread delays.")
    percentage: Percent | None = absent("Share of requests to delay.")

    def findings(self) -> Iterator[Finding]:
        if self.fixed_delay is None and self.exponential_delay is None:
            yield missing("is missing; say how long requests are held", "fixedDelay")


class Abort(Message):
    """Answers requests with an error instead of forwarding them."""

    at_most_one = (("httpStatus", "grpcStatus", "http2Error"),)

    http_status: HttpStatus | None = absent("HTTP status of the answer.")
    grpc_status: GrpcStatus | None = absent("gRPC status of the answer, by name.")
    http2_error: Str | None = absent("HTTP/2 error of the answer.")
    percentage: Percent | None = absent("Share of requests to abort.")

    def findings(self) -> Iterator[Finding]:
        if self.http_status is None and self.grpc_status is None and self.http2_error is None:
            yield missing("is missing; give httpStatus or grpcStatus", "httpStatus")


class HTTPFaultInjection(Message):
    """Faults on purpose, to see how callers take them."""

    delay: Delay | None = absent("Delay before forwarding.")
    abort: Abort | None = absent("Error instead of forwarding.")

    def findings(self) -> Iterator[Finding]:
        if self.delay is None and self.abort is None:
            yield missing("is empty; give delay or abort")


class UnmatchedPreflights(StrEnum):
    """What happens to a preflight request from an origin that is not allowed."""

    UNSPECIFIED = "UNSPECIFIED"
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


class CorsPolicy(Message):
    """Which other origins a browser may call from."""

    at_most_one = (("allowOrigins", "allowOrigin"),)

    allow_origin: tuple[Str, ...] = many("Origins, compared exactly; allowOrigins is preferred.")
    allow_origins: tuple[StringMatch, ...] = many("Origins that may call.")
    allow_methods: tuple[Method, ...] = many("Methods that may be used.")
    allow_headers: tuple[HeaderName, ...] = many("Request headers that may be sent.")
    expose_headers: tuple[HeaderName, ...] = many("Response headers that a script may read.")
    max_age: Duration | None = absent("How long a preflight answer may be cached.")
    allow_credentials: Bool | None = absent("Whether credentials may be sent.", nullable=True)
    unmatched_preflights: UnmatchedPreflights | None = absent("What happens to other origins' preflights.")

    def findings(self) -> Iterator[Finding]:
        for index, origin in enumerate(self.allow_origins):
            fault = origin.fault()
            if fault:
                yield wrong(fault.message, "allowOrigins", index, *fault.path)
            elif not (origin.exact or origin.prefix or origin.regex):
                yield missing("is empty; give exact, prefix or regex", "allowOrigins", index)
        if self.max_age is not None and self.max_age % timedelta(seconds=1):
            yield wrong("is not a whole number of seconds", "maxAge")


class HTTPMirrorPolicy(Message):
    """A destination that gets copies; its answers are dropped."""

    destination: Destination = needed("Where copies go.")
    percentage: Percent | None = absent("Share of requests to copy; all if left out.")


class HTTPBody(Message):
    """The body of a fixed answer."""

    at_most_one = (("string", "bytes"),)

    string: Str | None = absent("Body as text.", keep_empty=True)
    bytes: Base64 | None = absent("Body as base64.", keep_empty=True)

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.bytes or b"") + len((self.string or "").encode("utf-8", "replace"))


MAX_BODY = 1024 * 1024


class HTTPDirectResponse(Message):
    """A fixed answer instead of forwarding."""

    status: AnswerStatus = needed("HTTP status of the answer.")
    body: HTTPBody | None = absent("Body of the answer.")

    def findings(self) -> Iterator[Finding]:
        size = self.body.size if self.body else 0
        if size > MAX_BODY:
            yield wrong(f"is {size} bytes long, which is above {MAX_BODY}", "body", reason=Reason.TOO_LARGE)
