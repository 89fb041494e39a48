"""Answers that a proxy gives itself: redirects, fixed responses, and that its program was not reached."""

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import DirectResponseAction, RedirectAction
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    ResponseMapper,
)

from xdsd.compile.retries import LOST, UNREACHED
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


def unreached() -> ResponseMapper:
    """Marks a sidecar's answer to a request that was never sent to its program, as that took no connection."""
    return _marked("UF", UNREACHED)


def lost() -> ResponseMapper:
    """Marks a sidecar's answer to a request with which its program died, or closed the connection."""
    return _marked("UC", LOST)


def _marked(flag: str, name: str) -> ResponseMapper:
    made = ResponseMapper()
    made.filter.response_flag_filter.flags.append(flag)
    header = made.headers_to_add.add(append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD).header
    header.key, header.value = name, "1"
    return made
