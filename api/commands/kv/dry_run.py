"""What writes would do, without doing them: what is there now is read, and of objects it is asked what admission says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click
from aetcd import rpc

from api.client import Client
from api.commands.apply import print_results
from api.commands.etcd_output import View, print_ours, text
from api.commands.problems import problem_json, report
from api.etcd_client import EtcdClient, Message
from api.reserved_keys import reserved
from api.wire import problem_from_wire, ref_from_wire
from storage.spans import Span
from xdsd.intents.keys import ROOT, Keys
from xdsd.model.intent import KINDS
from xdsd.model.problem import ObjectRef, Problem, Reason

_OBJECTS = ROOT.encode()
_KEYS = Keys(KINDS)


@dataclass(frozen=True, slots=True)
class Effect:
    """What would become of a key. ``before`` is the revision that wrote it last, 0 where it is not there."""

    key: bytes
    before: int
    value: bytes | None
    """What would be written; None where the key would go."""

    @property
    def verb(self) -> str:
        return "deleted" if self.value is None else "replaced" if self.before else "created"


def print_effect(client: Client, operations: Sequence[Message], view: View) -> None:
    """Says what the operations would do; ends the command with 1 where admission would refuse them."""
    _print(client, view, *_read(client, (), operations, ()), header=False)


def print_txn_effect(client: Client, request: Message, view: View) -> None:
    """Says which branch of a transaction would run, and what it would do."""
    _print(client, view, *_read(client, request.compare, request.success, request.failure), header=True)


def _read(
    client: Client, compare: Sequence[Message], success: Sequence[Message], failure: Sequence[Message]
) -> tuple[Message, Sequence[Message]]:
    """What is there now of all that the branch which would run touches, and its operations."""
    reads = [
        [rpc.RequestOp(request_range=_reading(each)) for each in branch] for branch in (success, failure)
    ]
    found = EtcdClient(client).txn(rpc.TxnRequest(compare=compare, success=reads[0], failure=reads[1]))
    return found, success if found.succeeded else failure


def _reading(operation: Message) -> Message:
    kind = operation.WhichOneof("request")
    if kind == "request_put":
        keep = operation.request_put.ignore_value
        return rpc.RangeRequest(key=operation.request_put.key, keys_only=not keep)
    if kind == "request_delete_range":
        request = operation.request_delete_range
        return rpc.RangeRequest(key=request.key, range_end=request.range_end, keys_only=True)
    return operation.request_range


def _effects(found: Message, operations: Sequence[Message]) -> list[Effect]:
    effects = []
    for operation, response in zip(operations, found.responses, strict=True):
        kvs = response.response_range.kvs
        if operation.HasField("request_delete_range"):
            effects += [Effect(kv.key, kv.mod_revision, None) for kv in kvs]
        elif operation.HasField("request_put"):
            put = operation.request_put
            if (put.ignore_value or put.ignore_lease) and not kvs:
                raise click.ClickException(
                    f"{_shown(put.key)} is not there, so that nothing of it can be kept"
                )
            value = kvs[0].value if put.ignore_value else put.value
            effects.append(Effect(put.key, kvs[0].mod_revision if kvs else 0, value))
    return effects


def _print(
    client: Client, view: View, found: Message, operations: Sequence[Message], *, header: bool
) -> None:
    if view.form in {"json", "fields"}:
        raise click.UsageError("etcdctl has no --dry-run to print; use -o json")
    _check_reserved(operations)
    effects = _effects(found, operations)
    results, problems, accepted = _admission(
        client, [each for each in effects if each.key.startswith(_OBJECTS)]
    )
    if view.form == "ours":
        branch = {"succeeded": found.succeeded} if header else {}
        print_ours(
            {
                "dryRun": True,
                "revision": found.header.revision,
                **branch,
                "accepted": accepted,
                "effects": [_effect_json(each) for each in effects],
                "problems": [problem_json(problem) for problem in problems],
            }
        )
    else:
        report(problems)
        if header:
            click.echo(f"{'SUCCESS' if found.succeeded else 'FAILURE'} (dry run)\n")
        if accepted:
            _print_effects(effects, results)
    if not accepted:
        raise click.exceptions.Exit(1)


def _check_reserved(operations: Sequence[Message]) -> None:
    """Ends the command where the daemon would not write at all."""
    for operation in operations:
        removal = operation.HasField("request_delete_range")
        request = operation.request_delete_range if removal else operation.request_put
        if removal or operation.HasField("request_put"):
            span = Span.of(request.key, (request.range_end or None) if removal else None)
            if why := reserved(span, removal=removal):
                raise click.ClickException(why)


def _print_effects(effects: Sequence[Effect], results: Sequence[Any]) -> None:
    for effect in effects:
        if not effect.key.startswith(_OBJECTS):
            size = "" if effect.value is None else f" with {len(effect.value)} bytes"
            click.echo(f"{_shown(effect.key)} {effect.verb}{size} (dry run)")
    print_results(results, None, dry_run=True)
    if not effects:
        click.echo("nothing would be written (dry run)")


def _admission(client: Client, effects: Sequence[Effect]) -> tuple[list[Any], list[Problem], bool]:
    """What would become of objects, what is wrong with them, and whether they would be taken."""
    strays = [_stray(each) for each in effects if each.value is not None and _KEYS.ref(each.key) is None]
    puts = [(ref, each.value) for each in effects if (ref := _KEYS.ref(each.key)) and each.value is not None]
    gone = [ref for each in effects if each.value is None and (ref := _KEYS.ref(each.key))]
    results: list[Any] = []
    problems, accepted = strays, not strays
    if puts:
        applied = client.apply([value for _, value in puts], dry_run=True)
        results += applied.results
        problems += [problem_from_wire(problem) for problem in applied.problems]
        named = [ref_from_wire(result.ref) for result in applied.results]
        wrong = [_misplaced(key, said) for (key, _), said in zip(puts, named, strict=False) if key != said]
        problems += wrong
        accepted &= applied.accepted and not wrong
    if gone:
        deleted = client.delete(gone, dry_run=True, ignore_missing=True)
        results += deleted.results
        problems += [problem_from_wire(problem) for problem in deleted.problems]
        accepted &= deleted.accepted
    return results, problems, accepted


def _stray(effect: Effect) -> Problem:
    message = f"{_shown(effect.key)} is no key of an object; those are {ROOT}PLURAL.GROUP/NAMESPACE/NAME"
    return Problem(Reason.UNKNOWN_KIND, message)


def _misplaced(key: ObjectRef, said: ObjectRef) -> Problem:
    return Problem(Reason.CONFLICT, f"the value is {said}; put it under its own key", key)


def _effect_json(effect: Effect) -> dict[str, Any]:
    size = None if effect.value is None else len(effect.value)
    return {"key": text(effect.key), "effect": effect.verb, "bytes": size, "modRevision": effect.before}


def _shown(key: bytes) -> str:
    return key.decode("utf-8", "backslashreplace")
