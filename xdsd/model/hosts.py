"""Host names as objects write them, and the fully qualified names that they mean."""

DEFAULT_DOMAIN = "cluster.local"


def resolve_host(host: str, namespace: str, domain: str = DEFAULT_DOMAIN) -> str:
    """The fully qualified form of a host written in an object of ``namespace``.

    A host without a dot is short: ``reviews`` means ``reviews.<namespace>.svc.<domain>``. The wildcard ``*``
    and IPv6 addresses have no dot either and stay as they are.
    """
    if "." in host or ":" in host or host in {"", "*"}:
        return host
    return f"{host}.{namespace}.svc.{domain}"


def short_name(hostname: str, domain: str = DEFAULT_DOMAIN) -> str:
    """What people call a service: the first word of ``name.namespace.svc.domain``, or any other host
    whole.
    """
    if hostname.endswith(f".svc.{domain}"):
        return hostname.partition(".")[0]
    return hostname
