"""What is wrong with one object that only whoever compiles it can tell: what its own message cannot know."""

from typing import Any

from xdsd.compile.envoy_filters.checks import patch_problems
from xdsd.compile.route_checks import route_problems
from xdsd.model.intent import EnvoyFilter, Object, VirtualService
from xdsd.model.problem import Problem


def admissible(obj: Object[Any]) -> list[Problem]:  # Any: the kind decides the type of the spec
    """The problems for which an object is refused."""
    match obj.spec:
        case VirtualService():
            return route_problems(obj.spec, obj.ref)
        case EnvoyFilter():
            return patch_problems(obj.spec, obj.ref)
        case _:
            return []
