"""Answers that a proxy gives itself: redirects and fixed responses."""

from envoy.config.route.v3.route_components_pb2 import DirectResponseAction, RedirectAction

from xdsd.model.intent import HTTPDirectResponse, HTTPRedirect

_CODES = {
    301: RedirectAction.MOVED_PERMANENTLY,
    302: RedirectAction.FOUND,
    303: RedirectAction.SEE_OTHER,
    307: RedirectAction.TEMPORARY_REDIRECT,
    308: RedirectAction.PERMANENT_REDIRECT,
}

_DEFAULT_PORTS = {"http": 80, "https": 443}


def redirect(settings: HTTPRedirect, listener_port: int) -> RedirectAction:
    """Where a request is sent instead.

    The port of the request is the listener's. A scheme's own port is left out of the location.
    """
    code = _CODES[settings.redirect_code or 301]
    out = RedirectAction(host_redirect=settings.authority or "", response_code=code)
    if settings.prefix_rewrite:
        out.prefix_rewrite = settings.prefix_rewrite
    elif settings.uri:
        out.path_redirect = settings.uri
    if settings.scheme:
        out.scheme_redirect = settings.scheme
    port = listener_port if settings.derive_port == "FROM_REQUEST_PORT" else settings.port or 0
    if port != _DEFAULT_PORTS.get(settings.scheme or "http"):
        out.port_redirect = port
    return out


def direct_response(settings: HTTPDirectResponse) -> DirectResponseAction:
    """A fixed status and, maybe, a body."""
    out = DirectResponseAction(status=settings.status)
    if settings.body is not None and settings.body.string:
        out.body.inline_string = settings.body.string
    elif settings.body is not None and settings.body.bytes:
        out.body.inline_bytes = settings.body.bytes
    return out
