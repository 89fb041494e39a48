"""Incremental evaluation: what a change touches is found by what was read, never by keys declared by hand.

An *input* is a named value that is set from outside. A *query* is a pure function of the graph and some
arguments; what it reads through the graph while it runs becomes its dependencies, absent inputs included.
Its value is kept as a *cell*.

When an input changes, the cells that read it become ``DIRTY`` and everything behind them ``MAYBE``, each
told by whom. A cell asked for in state MAYBE first refreshes only those that told it; if none of them
changed in value, it stands. So a change costs what it reaches, and stops where values come out equal.

A *watched* cell is collected in ``stale`` as soon as it may have changed; that is how outputs are found
without a scan. Cells that nobody reads any more are dropped. Queries report problems beside their value;
they live as long as the cell.

Turned down: hand-written invalidation (istiod's cache keys; the kind of mistake that nobody sees),
recomputing views whole (cost of the mesh, not of the change), and comparing outputs only at the end (cost of
the mesh again).
"""

from collections.abc import Callable, Hashable, Iterator
from enum import IntEnum
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from xdsd.model.problem import Problem

P = ParamSpec("P")
T = TypeVar("T")

_PORTION = 200
"""Cells that are dropped at once."""


class State(IntEnum):
    """How much a cell's value can be trusted."""

    CLEAN = 0
    MAYBE = 1
    DIRTY = 2


class Cell:
    """A value and what it was made from. ``compute`` is None for an input."""

    __slots__ = (
        "arguments",
        "compute",
        "dependencies",
        "dependents",
        "problems",
        "state",
        "told_by",
        "value",
        "watched",
    )

    def __init__(self, compute: "Callable[..., Any] | None", arguments: tuple[Any, ...]) -> None:
        self.compute = compute
        self.arguments = arguments
        self.value: Any = None
        self.state = State.DIRTY if compute else State.CLEAN
        self.dependencies: tuple[Cell, ...] = ()
        self.dependents: set[Cell] = set()
        self.told_by: list[Cell] = []
        self.problems: tuple[Problem, ...] = ()
        self.watched = False


class Graph:
    """Cells by what they stand for. Not re-entrant from other threads; one writer."""

    def __init__(self) -> None:
        self._inputs: dict[Hashable, Cell] = {}
        self._queries: dict[Hashable, Cell] = {}
        self._reading: list[dict[Cell, None]] = []
        self._reporting: list[list[Problem]] = []
        self._with_problems: dict[Cell, None] = {}
        self._loose: list[Cell] = []
        self.stale: dict[Cell, None] = {}
        self.computed = 0

    def set(self, key: Hashable, value: object) -> None:
        """Sets an input; None is absence. An equal value is no change."""
        cell = self._inputs.get(key)
        if cell is None:
            if value is None:
                return
            cell = self._inputs[key] = Cell(None, (key,))
        elif cell.value is value or cell.value == value:
            return
        cell.value = value
        self._tell(cell, State.DIRTY)
        if value is None and not cell.dependents:
            del self._inputs[key]

    def read(self, key: Hashable) -> Any:  # Any: the key says the type; World's accessors put it back
        """An input's value, or None; the reading query depends on it either way."""
        cell = self._inputs.get(key)
        if cell is None:
            cell = self._inputs[key] = Cell(None, (key,))
        if self._reading:
            self._reading[-1][cell] = None
        return cell.value

    def peek(self, key: Hashable) -> Any:  # Any: as read
        """An input's value without depending on it."""
        cell = self._inputs.get(key)
        return None if cell is None else cell.value

    def ask(self, query: "Callable[Concatenate[Graph, P], T]", *args: P.args, **_: P.kwargs) -> T:
        """The value of a query, computed if need be; its positional arguments are its identity, it takes no others."""
        cell = self.cell(query, *args)
        if self._reading:
            self._reading[-1][cell] = None
        if cell.state:
            self.refresh(cell)
        return cast("T", cell.value)

    def cell(self, query: Callable[..., Any], *args: Hashable) -> Cell:
        """The cell of a query, not computed yet if it is new."""
        key = (query, args)
        cell = self._queries.get(key)
        if cell is None:
            cell = self._queries[key] = Cell(query, args)
        return cell

    def watch(self, cell: Cell) -> None:
        """Makes a cell an output: from now on it turns up in ``stale`` whenever it may have changed."""
        cell.watched = True
        if cell.state:
            self.stale[cell] = None

    def unwatch(self, cell: Cell) -> None:
        cell.watched = False
        self.stale.pop(cell, None)
        self._drop_if_unread(cell)

    def let_go(self, cell: Cell) -> None:
        """Unwatches a cell, but leaves it there until ``sweep``: somebody else may want it in a moment."""
        cell.watched = False
        self.stale.pop(cell, None)
        self._loose.append(cell)

    def sweep(self) -> Iterator[None]:
        """Drops what was let go and is wanted by nobody; yields now and then."""
        while self._loose:
            for cell in self._loose[-_PORTION:]:
                self._drop_if_unread(cell)
            del self._loose[-_PORTION:]
            yield

    def inputs_of(self, cell: Cell) -> tuple[Any, ...]:
        """The keys of the inputs that a cell's value was made from, directly or not."""
        seen = {cell: None}
        todo = [cell]
        found: list[Any] = []
        while todo:
            for each in todo.pop().dependencies:
                if each in seen:
                    continue
                seen[each] = None
                if each.compute is None:
                    found.append(each.arguments[0])
                else:
                    todo.append(each)
        return tuple(found)

    def report(self, problem: Problem) -> None:
        """Called by a query that found a mistake of a user's; kept until the query runs again."""
        self._reporting[-1].append(problem)

    def problems(self) -> Iterator[Problem]:
        """Everything that queries reported and that still holds, in the order in which it was found."""
        seen: set[Problem] = set()
        for cell in self._with_problems:
            for problem in cell.problems:
                if problem not in seen:
                    seen.add(problem)
                    yield problem

    def refresh(self, cell: Cell) -> None:
        """Brings a cell up to date. What its query raises passes through; the cell stays dirty with its old value."""
        if cell.state == State.MAYBE:
            for dependency in cell.told_by:
                if (dependency.state and not self._stands(dependency)) or self._is_dirty(cell):
                    break
            else:
                cell.state = State.CLEAN
                cell.told_by = []
                return
        self._compute(cell)

    def _stands(self, dependency: Cell) -> bool:
        """Brings a dependency up to date; False if it cannot be, so that whoever reads it must find out whether it
        still does.
        """
        try:
            self.refresh(dependency)
        except (
            Exception
        ):  # a dependency that is not asked for again may be about what is gone; else it raises again
            return False
        return True

    def __len__(self) -> int:
        return len(self._queries)

    def _is_dirty(self, cell: Cell) -> bool:
        """Whether a dependency that was just refreshed has told the cell so."""
        return cell.state is State.DIRTY

    def _compute(self, cell: Cell) -> None:
        reading: dict[Cell, None] = {}
        reporting: list[Problem] = []
        self._reading.append(reading)
        self._reporting.append(reporting)
        try:
            value = cell.compute(self, *cell.arguments) if cell.compute else cell.value
        finally:
            self._reading.pop()
            self._reporting.pop()
            self._depend(cell, reading)
        self.computed += 1
        self._keep_problems(cell, tuple(reporting))
        cell.state = State.CLEAN
        cell.told_by = []
        if not (cell.value is value or cell.value == value):
            cell.value = value
            self._tell(cell, State.DIRTY)

    def _depend(self, cell: Cell, reading: dict[Cell, None]) -> None:
        before = cell.dependencies
        cell.dependencies = tuple(reading)
        for dependency in reading:
            dependency.dependents.add(cell)
        for dependency in before:
            if dependency not in reading:
                dependency.dependents.discard(cell)
                self._drop_if_unread(dependency)

    def _keep_problems(self, cell: Cell, problems: tuple[Problem, ...]) -> None:
        cell.problems = problems
        if problems:
            self._with_problems[cell] = None
        elif cell in self._with_problems:
            del self._with_problems[cell]

    def _tell(self, changed: Cell, state: State) -> None:
        """Marks what depends on ``changed``; direct readers DIRTY, those behind them MAYBE."""
        todo = [(changed, state)]
        while todo:
            source, state = todo.pop()
            for cell in source.dependents:
                before = cell.state
                if state is State.MAYBE:
                    cell.told_by.append(source)
                if state > before:
                    cell.state = state
                if cell.watched:
                    self.stale[cell] = None
                if before is State.CLEAN:
                    todo.append((cell, State.MAYBE))

    def _drop_if_unread(self, cell: Cell) -> None:
        todo = [cell]
        while todo:
            cell = todo.pop()
            if cell.dependents or cell.watched:
                continue
            if cell.compute is None:
                if cell.value is None:
                    self._inputs.pop(cell.arguments[0], None)
                continue
            key = (cell.compute, cell.arguments)
            if self._queries.get(key) is cell:
                del self._queries[key]
                self._with_problems.pop(cell, None)
                for dependency in cell.dependencies:
                    dependency.dependents.discard(cell)
                    todo.append(dependency)
                cell.dependencies = ()
                cell.state = State.DIRTY
