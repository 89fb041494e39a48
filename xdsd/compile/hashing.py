"""Hash policies: which part of a request decides its host under consistent hashing."""

from envoy.config.route.v3.route_components_pb2 import RouteAction

from xdsd.model.intent import ConsistentHashLB


def hash_policy(settings: ConsistentHashLB | None) -> "RouteAction.HashPolicy | None":
    """Envoy's hash policy for a load balancer's hash key, or None if there is no key."""
    if settings is None:
        return None
    out = RouteAction.HashPolicy()
    if settings.http_header_name:
        out.header.header_name = settings.http_header_name
    elif settings.http_query_parameter_name:
        out.query_parameter.name = settings.http_query_parameter_name
    elif settings.use_source_ip:
        out.connection_properties.source_ip = True
    elif settings.http_cookie is not None:
        cookie = settings.http_cookie
        out.cookie.name = cookie.name
        out.cookie.path = cookie.path or ""
        if cookie.ttl is not None:
            out.cookie.ttl.FromTimedelta(cookie.ttl)
        for attribute in cookie.attributes:
            out.cookie.attributes.add(name=attribute.name, value=attribute.value or "")
    return out if out.WhichOneof("policy_specifier") else None
