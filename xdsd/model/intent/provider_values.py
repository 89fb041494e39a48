"""How providers of extensions are named, their services and paths, and how long these may take."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator

from xdsd.model.durations import format_duration
from xdsd.model.intent.base import Str, invalid, shown
from xdsd.model.intent.durations import Duration
from xdsd.model.intent.hosts import is_label, name_fault
from xdsd.model.problem import Reason

LONGEST_TIMEOUT = timedelta(seconds=2**32 - 1)
"""What Envoy takes for an answer over HTTP."""


def _service(text: str) -> str:
    namespace, slash, host = text.rpartition("/")
    fault = name_fault(host, wildcard=False)
    if fault or (slash and not is_label(namespace)) or "/" in namespace:
        raise invalid(f"{shown(text)} is no service; write HOST or NAMESPACE/HOST")
    return text


def _provider(text: str) -> str:
    if not text:
        raise invalid("is empty; name a provider of the MeshConfig's extensionProviders")
    if not text.isprintable() or any(char in text for char in " |[]"):
        raise invalid(f"{shown(text)} holds a blank, a bar or a bracket")
    return text


def _path(text: str) -> str:
    if not text.startswith("/") or not text.isprintable() or " " in text:
        raise invalid(f"{shown(text)} is no path: begin it with /")
    return text


def _timeout(value: timedelta) -> timedelta:
    if value > LONGEST_TIMEOUT:
        raise invalid(
            f"{format_duration(value)} is above {format_duration(LONGEST_TIMEOUT)}", Reason.OUT_OF_RANGE
        )
    return value


ServiceName = Annotated[Str, AfterValidator(_service)]
ProviderName = Annotated[Str, AfterValidator(_provider)]
Path = Annotated[Str, AfterValidator(_path)]
Timeout = Annotated[Duration, AfterValidator(_timeout)]
