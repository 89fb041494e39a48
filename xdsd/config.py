"""Settings read from their three places and joined, with every mistake named where it stands.

A setting has one name in three places: ``settle-quiet`` in the YAML file, ``XDSD_SETTLE_QUIET`` in the
environment and ``--settle-quiet`` as a flag. The later place wins, whole: registries of a flag replace those
of the file. All mistakes of all places are found at once.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from xdsd.model.problem import Problem, Reason
from xdsd.setting_checks import conflicts, lets_in_anybody
from xdsd.settings import (
    PREFIX,
    Address,
    LogFormat,
    LogLevel,
    OutboundPolicy,
    RegistrySource,
    Setting,
    Settings,
    TcpAddress,
    UnixAddress,
    format_duration,
    settings,
)
from xdsd.state_dir import default_admin_address, default_state_dir

__all__ = [
    "Address",
    "ConfigError",
    "LogFormat",
    "LogLevel",
    "OutboundPolicy",
    "RegistrySource",
    "Setting",
    "Settings",
    "TcpAddress",
    "UnixAddress",
    "dump",
    "load",
    "settings",
]

CONFIG_VARIABLE = "XDSD_CONFIG"

_NO_SETTINGS = frozenset(
    {
        CONFIG_VARIABLE,
        *(
            f"{PREFIX}{name}"
            for name in (
                "CACHE",
                "CA_SEALING_KEY",
                "CONSUL",
                "ENVOY",
                "ETCD",
                "ETCDCTL",
                "ETCD_VERSIONS",
                "KUBERNETES",
                "PYTHON",
                "REDIS",
                "VENV",
            )
        ),
    }
)
"""Variables with our prefix that speak to the demo and to the project's scripts, or that hold a secret."""


class ConfigError(Exception):
    """Settings that cannot be used; ``problems`` says all that is wrong with them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class _Given:
    """A value and where it was given: what the user wrote as its name, the file and the line."""

    value: Any  # whatever YAML, the environment or the command line hold; pydantic decides
    written: str
    file: str = ""
    line: int = 0

    def problem(self, reason: Reason, message: str) -> Problem:
        return Problem(reason, message, path=self.written, file=self.file, line=self.line)


def load(
    file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object], *, uid: int | None = None
) -> Settings:
    """Joins the three places into settings. Raises ConfigError with all problems.

    ``flags`` maps field names to what the command line gave; None and empty tuples mean not given. Without
    ``file`` the variable XDSD_CONFIG may name one.
    """
    problems: list[Problem] = []
    if file is None and environ.get(CONFIG_VARIABLE):
        file = Path(environ[CONFIG_VARIABLE])
    given = _from_file(file, problems) if file is not None else {}
    given |= _from_environ(environ, problems)
    given |= {
        field: _Given(value, f"--{field.replace('_', '-')}")
        for field, value in flags.items()
        if value not in (None, ())
    }
    values = {field: item.value for field, item in given.items()}
    values.setdefault("state_dir", default_state_dir(environ, os.geteuid() if uid is None else uid))
    if "admin_address" not in values and isinstance(values["state_dir"], str | Path):
        with suppress(RuntimeError):  # a home of nobody; the state dir is refused for it
            path = default_admin_address(Path(values["state_dir"]).expanduser()).path
            values["admin_address"] = f"unix:{path}"
    try:
        loaded = Settings.model_validate(values)
    except ValidationError as error:
        problems += _refusals(error, given)
    else:
        problems += _conflicts(loaded, given)
        if not problems:
            return loaded
    raise ConfigError(tuple(problems))


def dump(loaded: Settings) -> str:
    """The settings as a file that loads to the same; what is not set is left out."""
    values = {}
    for setting in settings():
        value = getattr(loaded, setting.field)
        if setting.field == "admin_anonymous" and not lets_in_anybody(loaded):
            continue  # there is no port that it is of
        if value is not None:
            written = [str(each) for each in value] if isinstance(value, tuple) else _written(value)
            values[setting.name] = written
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1 << 16)
    return text


def _written(value: object) -> str | int:
    if isinstance(value, timedelta):
        return format_duration(value)
    return value if isinstance(value, int) else str(value)


def _from_environ(environ: Mapping[str, str], problems: list[Problem]) -> dict[str, _Given]:
    known = {setting.variable: setting.field for setting in settings()}
    given = {}
    for variable, value in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in _NO_SETTINGS:
            continue
        if variable in known:
            given[known[variable]] = _Given(value, variable)
        else:
            problems.append(
                _Given(value, variable).problem(Reason.UNKNOWN_FIELD, _unknown(variable, tuple(known)))
            )
    return given


def _from_file(file: Path, problems: list[Problem]) -> dict[str, _Given]:
    known = {setting.name: setting.field for setting in settings()}
    given: dict[str, _Given] = {}
    for name, value, line in _entries(file, problems):
        here = _Given(value, name, str(file), line)
        if name not in known:
            problems.append(here.problem(Reason.UNKNOWN_FIELD, _unknown(name, tuple(known))))
        elif known[name] in given:
            before = given[known[name]].line
            problems.append(
                here.problem(Reason.CONFLICT, f"was set in line {before} already; keep one of the two")
            )
        else:
            given[known[name]] = here
    return given


def _entries(file: Path, problems: list[Problem]) -> list[tuple[str, object, int]]:
    """The file's settings as name, value and line."""
    try:
        loader = yaml.SafeLoader(file.read_bytes())
        node = loader.get_single_node()
        if node is None:
            return []
        if not isinstance(node, yaml.MappingNode):
            message = "is not a mapping of settings to values, such as state-dir: /var/lib/xdsd"
            problems.append(Problem(Reason.WRONG_TYPE, message, file=str(file), line=1))
            return []
        return [
            (
                str(loader.construct_object(key, deep=True)),
                loader.construct_object(value, deep=True),
                key.start_mark.line + 1,
            )
            for key, value in node.value
        ]
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        problems.append(Problem(Reason.UNREADABLE_FILE, f"cannot be read: {why}", file=str(file)))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or str(error).splitlines()[0]
        line = mark.line + 1 if mark else 0
        problems.append(Problem(Reason.MALFORMED_FILE, f"is not YAML: {why}", file=str(file), line=line))
    return []


def _unknown(written: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(written, known, n=1)
    return (
        f"is not a setting; did you mean {close[0]}?"
        if close
        else f"is not a setting; there are {', '.join(known)}"
    )


def _refusals(error: ValidationError, given: Mapping[str, _Given]) -> list[Problem]:
    found = []
    details = error.errors(include_url=False)
    wrong = {str(detail["loc"][0]) for detail in details}
    for detail in details:
        field = str(detail["loc"][0])
        if field == "admin_address" and field not in given and "state_dir" in wrong:
            continue  # it would have been made of the state dir
        if field not in Settings.model_fields:
            known = tuple(setting.flag for setting in settings())
            found.append(given[field].problem(Reason.UNKNOWN_FIELD, _unknown(given[field].written, known)))
            continue
        where = given.get(field, given.get("state_dir", _Given(None, field)))
        try:
            reason, message = Reason(detail["type"]), detail["msg"]
        except ValueError:
            reason = Reason.OUT_OF_RANGE if "than" in detail["type"] else Reason.INVALID_VALUE
            message = f"{where.value!r} is refused: {detail['msg'][0].lower()}{detail['msg'][1:]}"
        found.append(where.problem(reason, message))
    return found


def _conflicts(loaded: Settings, given: Mapping[str, _Given]) -> list[Problem]:
    """What is wrong with settings that are fine one by one, told where one of them was given."""
    return [
        next(
            (given[field] for field in fields if field in given), _Given(None, fields[0].replace("_", "-"))
        ).problem(Reason.CONFLICT, message)
        for fields, message in conflicts(loaded)
    ]
