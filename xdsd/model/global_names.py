"""Names that mean the same service in all meshes: ``NAME.NAMESPACE.global``."""

SUFFIX = ".global"


def global_host(namespace: str, name: str) -> str:
    """The host of a service."""
    return f"{name}.{namespace}{SUFFIX}"


def is_global(hostname: str) -> bool:
    """True for such a name: three words, of which the last is ``global``."""
    return hostname.endswith(SUFFIX) and hostname.count(".") == 2
