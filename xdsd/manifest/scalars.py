"""Plain YAML scalars as values, as kubectl reads them, except where readers of YAML disagree.

What one reader takes for a number and another for text (``010``, ``1_000``) is refused with both readings named,
instead of choosing one. ``yes``, ``on`` and their like are booleans to kubectl, so they are here; ``y`` and ``n``
are text, as most readers have it.
"""

import math
import re

Scalar = str | int | float | bool | None

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_HEX = re.compile(r"[-+]?0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_AMBIGUOUS = re.compile(
    r"[-+]?(?:0[0-7_]+|0o[0-7_]+|0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?)"
)
_SPECIAL = {
    ".inf": math.inf,
    "+.inf": math.inf,
    "-.inf": -math.inf,
    ".nan": math.nan,
}
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None}
_WORDS |= dict.fromkeys(("true", "yes", "on"), True)
_WORDS |= dict.fromkeys(("false", "no", "off"), False)
LONGEST_NUMBER = 40


def resolve(text: str) -> Scalar:
    """The value of a scalar without quotes; a ValueError says why there is none, to follow the text."""
    folded = text.lower()
    if folded in _WORDS and text in (folded, folded.upper(), folded.capitalize()):
        return _WORDS[folded]
    if not text or text[0] not in "0123456789+-.":
        return text
    return _number(text)


def _number(text: str) -> Scalar:
    if len(text) > LONGEST_NUMBER:
        if _FLOAT.fullmatch(text) or _HEX.fullmatch(text):
            raise ValueError(f"has more than {LONGEST_NUMBER} digits; quote it if it is text")
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _AMBIGUOUS.fullmatch(text):
        raise ValueError(
            "is a number to some readers of YAML, text to others; quote it, or write a plain number"
        )
    return whole(float(text)) if _FLOAT.fullmatch(text) else _SPECIAL.get(text.lower(), text)


def whole(number: float) -> int | float:
    """A number without decimals as an integer, as JSON has it: 100.0 is 100."""
    return int(number) if math.isfinite(number) and number.is_integer() and abs(number) < 2**63 else number
