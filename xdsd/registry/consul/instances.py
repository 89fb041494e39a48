"""Instances of Consul's as endpoints of the mesh. Pure."""

from collections.abc import Iterator, Mapping

from xdsd.model.catalog import Endpoint, Health
from xdsd.registry.addresses import is_host, is_ip, is_unix
from xdsd.registry.consul.answers import Instance, Mistake, Place
from xdsd.registry.consul.options import Addressing, ConsulOptions, Warned

TLS_MODE_LABEL = "security.istio.io/tlsMode"
SET = "true"
"""What the label of a tag without a separator says."""

TLS_MODE = "tls-mode"
ACCOUNT = "service-account"
NETWORK = "network"
_PLACES = ("region", "zone", "subzone")


def labels_of(instance: Instance, separators: str) -> dict[str, str]:
    """Tags ``version=v1`` and ``version:v1`` by their first separator, others as true; meta wins over tags.

    Keys of meta have no dots and slashes in Consul, so ``tls-mode`` stands for the label that proxies know.
    """
    found = dict(_label(tag, separators) for tag in instance.tags if tag)
    found.update(instance.meta)
    if TLS_MODE in found:
        found.setdefault(TLS_MODE_LABEL, found[TLS_MODE])
    return found


def _label(tag: str, separators: str) -> tuple[str, str]:
    at = min((index for each in separators if (index := tag.find(each)) > 0), default=-1)
    return (tag[:at], tag[at + 1 :]) if at > 0 else (tag, SET)


def endpoint_of(instance: Instance, port_name: str, options: ConsulOptions) -> Endpoint | None:
    """Where an instance is and how it is; None where it has no port. Raises Mistake.

    ``port_name`` is that of its service's port, for which each instance says where it listens itself.
    """
    place = _place(instance, options)
    if place.port == 0:
        return None
    labels = labels_of(instance, options.tag_separators)
    health, weight = _health(instance, options.warning)
    return Endpoint(
        address=place.address,
        ports={port_name: place.port},
        labels=labels,
        locality=_locality(instance),
        weight=weight,
        network=instance.meta.get(NETWORK) or instance.node_meta.get(NETWORK) or options.network,
        service_account=labels.get(ACCOUNT, ""),
        health=health,
    )


def port_of(instance: Instance, options: ConsulOptions) -> int:
    """The port that an instance listens on, at the address that is used of it; 0 if it has none."""
    try:
        return _place(instance, options).port
    except Mistake:
        return instance.place.port


def remarks_on(instance: Instance) -> Iterator[Mistake]:
    """What is odd about an instance that is served nevertheless."""
    for word in instance.checks.other:
        yield Mistake("Checks", f"a check says {word!r}, which is none of passing, warning and critical")
    for source, path in ((instance.meta, "Service.Meta"), (instance.node_meta, "Node.Meta")):
        for name in _PLACES:
            if "/" in source.get(name, ""):
                yield Mistake(
                    f"{path}.{name}", f"{source[name]!r} has a slash, so it is left out: write a plain name"
                )


def _place(instance: Instance, options: ConsulOptions) -> Place:
    """The first address that there is, in the order of the options."""
    for word in options.address:
        found = _named(instance, word)
        if not found.address:
            continue
        if not (is_ip(found.address) or is_host(found.address) or is_unix(found.address)):
            path = "Node.Address" if word == Addressing.NODE else "Service.Address"
            raise Mistake(path, f"{found.address!r} is no IP address and no host name; register another")
        return found
    raise Mistake("Service.Address", f"has no address of {', '.join(options.address)}")


def _named(instance: Instance, word: str) -> Place:
    port = instance.place.port
    if word == Addressing.SERVICE:
        return instance.place
    if word == Addressing.NODE:
        return Place(instance.node_address, port)
    tagged = instance.tagged.get(word)
    if tagged is not None and tagged.address:
        return Place(tagged.address, tagged.port or port)
    return Place(instance.node_tagged.get(word, ""), port)


def _health(instance: Instance, warned: Warned) -> tuple[Health, int]:
    """The worst check counts, and maintenance is taken for meant. An unknown word is no good sign."""
    checks = instance.checks
    if checks.maintenance:
        return Health.DRAINING, instance.passing_weight
    if checks.critical or checks.other:
        return Health.UNHEALTHY, instance.passing_weight
    if checks.warning:
        if warned is Warned.UNHEALTHY or instance.warning_weight == 0:
            return Health.UNHEALTHY, instance.passing_weight
        return Health.HEALTHY, instance.warning_weight
    return Health.HEALTHY, instance.passing_weight


def _locality(instance: Instance) -> str:
    """``region/zone/subzone``: the instance's own, else its node's; a region that nobody names is the datacenter."""
    own = _placed(instance.locality, instance.meta)
    parts = own if any(own) else _placed(instance.node_locality, instance.node_meta)
    region, zone, subzone = parts
    words = [region or instance.datacenter, zone, subzone if zone else ""]
    return "/".join(words).rstrip("/")


def _placed(locality: tuple[str, str], meta: Mapping[str, str]) -> tuple[str, str, str]:
    region, zone, subzone = (_plain(meta.get(name, "")) for name in _PLACES)
    return (locality[0] or region, locality[1] or zone, subzone)


def _plain(word: str) -> str:
    return "" if "/" in word else word
