"""Runs transactions of raw keys; what they would write of objects is admitted, canonical and recorded."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from storage.base import Delete, Get, Put, RangeResult, Store, Txn, TxnResult
from xdsd.intents.history import Author, History
from xdsd.intents.judging import Judge
from xdsd.intents.keys import ROOT
from xdsd.intents.ledger import ATTEMPTS, Ledger, all_unchanged, contended, record_of, removal, unchanged
from xdsd.intents.neighbours import Neighbours
from xdsd.intents.planning import Plan, Stored
from xdsd.intents.shelf import Contents, Shelf
from xdsd.intents.transacting import (
    Inadmissible,
    Node,
    Touched,
    Transacted,
    answered,
    prepared,
    recorded,
    touched,
)
from xdsd.manifest import AnyObject
from xdsd.model.problem import Problem


class Transactions:
    """Transactions of a store."""

    def __init__(
        self,
        store: Store,
        shelf: Shelf,
        history: History,
        judge: Judge,
        ledger: Ledger,
        neighbours: Neighbours,
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._history = history
        self._judge = judge
        self._ledger = ledger
        self._neighbours = neighbours

    async def run(self, txn: Txn, now: str, author: Author) -> Transacted:
        """What it did. Raises Inadmissible, and all that ``Store.txn`` raises; nothing was done then."""
        wanted = touched(txn, self._shelf.keys)
        if not wanted:
            return Transacted(await self._store.txn(txn.compare, txn.success, txn.failure))
        refused, remarks = await asyncio.to_thread(self._each_judged, tuple(wanted.puts.values()))
        for _ in range(ATTEMPTS):
            found, contents = await self._touched(wanted)
            node, odd = await self._prepared(txn, wanted, found, contents, refused, now, author)
            keys = [put.key for put in wanted.puts]
            guards = unchanged(contents, keys) if not wanted.spans else all_unchanged(contents)
            result = await self._store.txn(guards, (node.txn,))
            inner = result.responses[0] if result.succeeded else None
            if isinstance(inner, TxnResult):
                inner = replace(inner, revision=result.revision)
                await self._ledger.tell(list(recorded(node, inner)), result.revision)
                return Transacted(answered(node, inner), (*remarks, *odd))
        raise Inadmissible([contended()])

    def _each_judged(self, objects: Sequence[AnyObject]) -> tuple[Sequence[Problem], Sequence[Problem]]:
        """``judged``, of objects of which some may stand on the other way of a transaction."""
        found = [self._judge.judged([obj]) for obj in objects]
        return [each for errors, _ in found for each in errors], [each for _, odd in found for each in odd]

    async def _touched(self, wanted: Touched) -> tuple[Mapping[Delete, Sequence[Stored]], Contents]:
        """What stands in the spans that would be deleted, and under the keys that would be put, as of one revision."""
        gets = [Get(span.key, span.range_end) for span in wanted.spans]
        keys = list(dict.fromkeys(put.key for put in wanted.puts))
        answer = await self._store.txn((), [*gets, *map(Get, keys)])
        responses = [each for each in answer.responses if isinstance(each, RangeResult)]
        contents = await self._shelf.read(
            [kv for each in responses for kv in each.kvs if kv.key.startswith(ROOT.encode())], answer.revision
        )
        found = {
            span: [stored for kv in each.kvs if (stored := contents.stored.get(kv.key))]
            for span, each in zip(wanted.spans, responses, strict=False)
        }
        return found, contents

    async def _prepared(
        self,
        txn: Txn,
        wanted: Touched,
        found: Mapping[Delete, Sequence[Stored]],
        contents: Contents,
        refused: Sequence[Problem],
        now: str,
        author: Author,
    ) -> tuple[Node, Sequence[Problem]]:
        """The transaction to run, and what is odd about what it would make. Raises Inadmissible."""
        planned: dict[Put, Plan] = {}
        errors = list(refused)
        for put, obj in wanted.puts.items():
            plans, problems = self._judge.planned([obj], contents, now)
            errors += problems
            if plans:
                planned[put] = plans[0]
        if errors:
            raise Inadmissible(tuple(dict.fromkeys(errors)))
        puts = {put: (each, record_of(each.outcome, now, author)) for put, each in planned.items()}
        removals = {
            span: [record_of(removal(each), now, author) for each in stored] for span, stored in found.items()
        }
        records = [
            *(record for _, record in puts.values()),
            *(each for some in removals.values() for each in some),
        ]
        written = {id(record): self._history.put(record) for record in records}
        subjects = [each.outcome.object for each in planned.values() if each.outcome.object]
        gone = [each.ref for stored in found.values() for each in stored]
        odd = [
            *(await self._neighbours.with_(subjects) if subjects else ()),
            *(await self._neighbours.without(gone) if gone else ()),
        ]
        return prepared(txn, puts, removals, written), odd
