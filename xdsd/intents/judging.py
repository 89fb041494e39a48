"""What is wrong with objects that somebody wants to write, and what writing them would do."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from xdsd.intents.keys import Keys
from xdsd.intents.planning import Plan, plan, repeated
from xdsd.intents.shelf import Contents
from xdsd.manifest import AnyObject
from xdsd.model.intent import Kind
from xdsd.model.problem import Problem, Reason, Severity

Rule = Callable[[AnyObject], Iterable[Problem]]


class Judge:
    """``rules`` tell what is wrong with one object beyond what its messages say; an error among it refuses the object."""

    def __init__(self, kinds: Mapping[str, Kind], rules: Sequence[Rule], keys: Keys) -> None:
        self._kinds = kinds
        self._rules = rules
        self._keys = keys

    def judged(self, objects: Sequence[AnyObject]) -> tuple[Sequence[Problem], Sequence[Problem]]:
        """What refuses objects without a look at the store, and what is only remarked."""
        unknown = [
            Problem(Reason.UNKNOWN_KIND, f"{obj.kind} is none of {', '.join(self._kinds)}", obj.ref, "kind")
            for obj in objects
            if obj.kind not in self._kinds
        ]
        ruled = [problem for obj in objects for rule in self._rules for problem in rule(obj)]
        broken = [problem for problem in ruled if problem.severity is Severity.ERROR]
        remarks = [problem for problem in ruled if problem.severity is Severity.WARNING]
        return (*unknown, *repeated([obj.ref for obj in objects]), *broken), remarks

    def planned(
        self, objects: Sequence[AnyObject], contents: Contents, now: str
    ) -> tuple[Sequence[Plan], Sequence[Problem]]:
        """What applying objects would do, and what is wrong with it."""
        planned = [
            plan(obj, contents.stored.get(self._keys.of(obj.ref)), self._kinds[obj.kind], now)
            for obj in objects
            if obj.kind in self._kinds
        ]
        return (
            [each for each in planned if isinstance(each, Plan)],
            [each for each in planned if isinstance(each, Problem)],
        )
