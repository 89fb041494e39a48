"""Label selectors as kubectl writes them: ``app=reviews,version!=v1,tier in (a,b),owner,!old``."""

import re
from collections.abc import Callable, Mapping

Selector = Callable[[Mapping[str, str]], bool]

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_REQUIREMENT = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<missing>{_KEY})"
    rf"|(?P<key>{_KEY})(?:\s*(?P<op>==?|!=)\s*(?P<value>{_VALUE})"
    rf"|\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*"
)


class SelectorError(ValueError):
    """The text is not a selector; the message says where it stops being one."""


def parse_selector(text: str) -> Selector:
    """What tells labels that match from those that do not; empty text matches all. Raises SelectorError."""
    requirements: list[Selector] = []
    position = 0
    while text.strip() and position <= len(text):
        match = _REQUIREMENT.match(text, position)
        if match is None or (match.end() < len(text) and text[match.end()] != ","):
            at = match.end() if match else position
            raise SelectorError(
                f"{text!r} is not a label selector from {text[at:]!r} on: "
                "write key=value, key!=value, key in (a,b), key notin (a,b), key or !key, joined by commas"
            )
        requirements.append(_requirement(match))
        position = match.end() + 1
    return lambda labels: all(holds(labels) for holds in requirements)


def _requirement(match: re.Match[str]) -> Selector:
    if match["absent"]:
        missing = match["missing"]
        return lambda labels: missing not in labels
    key, op, value = match["key"], match["op"], match["value"]
    if match["set"]:
        values = {part.strip() for part in match["values"].split(",")}
        if match["set"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if op == "!=":
        return lambda labels: labels.get(key) != value
    if op:
        return lambda labels: labels.get(key) == value
    return lambda labels: key in labels
