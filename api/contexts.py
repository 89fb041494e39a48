"""Contexts: daemons that ``xdsctl`` knows by name, each with its endpoint and what proves who calls.

They are kept in one file, YAML that people may edit; a relative path in it is relative to its folder. No secret stands
in it: a token is in a file of its own.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from xdsd.model.problem import Problem, Reason

if TYPE_CHECKING:
    from xdsd.manifest.reading import Place

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._@]{0,61}[A-Za-z0-9])?")


class ContextsError(Exception):
    """The file cannot be used; the message says all that is wrong with it."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is said of a daemon; empty where nothing is. Paths are absolute."""

    endpoint: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = ""
    token_file: str = ""

    def written(self) -> dict[str, str]:
        """By the names that the file and the flags have."""
        said = {name: getattr(self, attribute) for name, attribute in OPTIONS.items()}
        return {name: value for name, value in said.items() if value}


OPTIONS: Mapping[str, str] = {each.name.replace("_", "-"): each.name for each in fields(Context)}
"""Attributes by the names of their options."""
_PATHS = frozenset({"ca", "cert", "key", "token-file"})


@dataclass(frozen=True, slots=True)
class Contexts:
    """All of them; ``current`` is the one that counts where none is named, empty for none."""

    contexts: Mapping[str, Context] = field(default_factory=dict)
    current: str = ""


def contexts_file(environ: Mapping[str, str]) -> Path:
    """``XDSCTL_CONFIG``, else ``xdsctl/config.yaml`` in XDG_CONFIG_HOME, by default ``~/.config``."""
    if named := environ.get("XDSCTL_CONFIG"):
        return Path(named).expanduser()
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".config")
    return Path(home) / "xdsctl" / "config.yaml"


def check_name(name: str) -> str:
    """The name, if it can be a context's. Raises ContextsError."""
    if not _NAME.fullmatch(name):
        raise ContextsError(
            f"{name!r} is no name of a context: write at most 63 letters, digits, dots, dashes, underlines or @"
        )
    return name


def load(path: Path) -> Contexts:
    """What the file says; without a file nothing. Raises ContextsError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        raise ContextsError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    reading = _Reading(path)
    found = reading.contexts(data)
    if reading.problems:
        raise ContextsError("\n".join(map(str, reading.problems)))
    return found


def save(path: Path, contexts: Contexts) -> None:
    """Replaces the file at once; nobody else may read it. Raises ContextsError."""
    value: dict[str, Any] = {"current": contexts.current} if contexts.current else {}
    value["contexts"] = {name: contexts.contexts[name].written() for name in sorted(contexts.contexts)}
    try:
        target = path.resolve()  # whoever keeps it elsewhere and links to it goes on to do so
        if target.exists() and not target.is_file():
            raise ContextsError(f"{path} cannot be written: it is no regular file")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                yaml.safe_dump(value, file, sort_keys=False, allow_unicode=True, width=1 << 16)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ContextsError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from error


class _Reading:
    """One reading of the file; ``problems`` gathers what is wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.problems: list[Problem] = []

    def contexts(self, data: bytes) -> Contexts:
        from xdsd.manifest.limits import Limits  # noqa: PLC0415 - the kinds of objects take a moment to import
        from xdsd.manifest.reading import Document, Mistake, read_documents  # noqa: PLC0415

        documents = list(read_documents(data, Limits()))
        for each in documents:
            for mistake in (each,) if isinstance(each, Mistake) else each.mistakes:
                self._refuse(mistake.reason, mistake.message, _joined(mistake.path), mistake.line)
        read = [each for each in documents if isinstance(each, Document)]
        if len(read) > 1:
            self._refuse(Reason.MALFORMED_FILE, "holds more than one document", "", read[1].place.line)
        if not read or self.problems:
            return Contexts()
        value, place = read[0].value, read[0].place
        top = self._mapping(value, place, "", ("current", "contexts"))
        current = self._text(top.get("current", ""), place, "current")
        named = self._mapping(top.get("contexts", {}), _inner(place, "contexts"), "contexts", None)
        return Contexts({name: self._context(name, named[name], place) for name in named}, current)

    def _context(self, name: str, value: object, top: "Place") -> Context:
        where = f"contexts.{name}"
        place = _inner(_inner(top, "contexts"), name)
        if not _NAME.fullmatch(name):
            self._refuse(Reason.INVALID_VALUE, "is no name of a context", where, place.line)
        said = self._mapping(value, place, where, tuple(OPTIONS))
        texts = {option: self._text(said[option], place, f"{where}.{option}") for option in said}
        for option in _PATHS & texts.keys():
            texts[option] = str(self._path.parent / Path(texts[option]).expanduser())
        return Context(**{OPTIONS[option]: text for option, text in texts.items() if option in OPTIONS})

    def _mapping(
        self, value: object, place: "Place", path: str, known: tuple[str, ...] | None
    ) -> Mapping[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._refuse(Reason.WRONG_TYPE, "is not a mapping", path, place.line)
            return {}
        for key in value:
            if known is not None and key not in known:
                close = get_close_matches(str(key), known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
                below = f"{path}.{key}" if path else str(key)
                self._refuse(Reason.UNKNOWN_FIELD, f"is no option; {hint}", below, _inner(place, key).line)
        return {str(key): each for key, each in value.items() if known is None or key in known}

    def _text(self, value: object, place: "Place", path: str) -> str:
        if isinstance(value, str):
            return value
        line = _inner(place, path.rpartition(".")[2]).line
        self._refuse(Reason.WRONG_TYPE, f"is not text but {value!r}", path, line)
        return ""

    def _refuse(self, reason: Reason, message: str, path: str, line: int) -> None:
        self.problems.append(Problem(reason, message, path=path, file=str(self._path), line=line))


def _inner(place: "Place", key: str) -> "Place":
    """Where a key of a mapping stands; the mapping itself where that is not known."""
    return place.inner[key] if isinstance(place.inner, dict) and key in place.inner else place


def _joined(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path))
