"""A program that calls a URL again and again and knows nothing of meshes: ``python -m tests.lab.caller URL RATE FILE``.

Each request is on a connection of its own, after the name was looked up. What became of it is a line of JSON in the file:
when it began (of the clock that all processes share), how long it took, and who answered (the first line), or what came
instead. ``Calls`` runs it and reads that.
"""

import json
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.lab.eventually import eventually
from tests.lab.netns import Machine
from xdsd.demo.program import Program

WORKERS = 8
TIMEOUT = 10.0
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Call:
    """``answer`` is who answered, or ``FAILED`` for ``why``. Seconds."""

    at: float
    took: float
    answer: str
    why: str


class Calls:
    """``async with Calls(machine, url, folder) as calls``: a program on a machine whose names its sidecar answers."""

    def __init__(self, machine: Machine, url: str, folder: Path, rate: float = 40.0) -> None:
        self._file = folder / "calls.json"
        self._file.touch()
        resolv = folder / "resolv.conf"
        resolv.write_text("nameserver 192.0.2.53\noptions timeout:10 attempts:1\n")
        script = f'mount --bind {resolv} /etc/resolv.conf && exec "$@"'
        inside = ("ip", "netns", "exec", machine.name, "unshare", "--mount", "sh", "-ec", script, "program")
        command = (*inside, sys.executable, "-m", "tests.lab.caller", url, str(rate), str(self._file))
        self._program = Program("caller", command, folder / "caller.log")
        self._read = 0
        self.all: list[Call] = []

    async def __aenter__(self) -> Self:
        await self._program.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._program.stop()
        if error is not None:
            error.add_note(f"--- calls: {self.last(200)}\n{self._program.tail()}")

    def look(self) -> list[Call]:
        """All calls that ended, in the order in which they began."""
        with self._file.open() as file:
            file.seek(self._read)
            text = file.read()
        whole = text.rpartition("\n")[0]
        self._read += len(whole) + 1 if whole else 0
        self.all += (Call(**json.loads(line)) for line in whole.splitlines())
        self.all.sort(key=lambda call: call.at)
        return self.all

    def since(self, moment: float) -> list[Call]:
        """Those that began after a moment of ``time.monotonic``."""
        return [call for call in self.look() if call.at >= moment]

    def last(self, count: int) -> Counter[str]:
        """Who answered the last calls."""
        return Counter(call.answer for call in self.look()[-count:])

    async def settle(self, *answers: str, within: float = 90.0, calls: int = 20) -> "Passage":
        """Waits until so many calls in a row have these answers and no others; what became of all until then."""
        begun = time.monotonic()

        def settled() -> bool:
            newest = self.since(begun)[-calls:]
            return len(newest) == calls and {call.answer for call in newest} == set(answers)

        await eventually(settled, f"{answers} answer", timeout=within)
        return self.passage(begun, answers)

    def passage(self, begun: float, answers: tuple[str, ...]) -> "Passage":
        """What became of the calls since a moment."""
        found = self.since(begun)
        others = [call for call in found if call.answer not in answers]
        return Passage(
            len(found),
            Counter(call.why for call in found if call.why),
            max((call.at + call.took - begun for call in others), default=0.0),
            sum(one.answer != other.answer for one, other in pairwise(found)),
        )


@dataclass(frozen=True, slots=True)
class Passage:
    """How traffic went from here to there: what came instead of answers, the ``seconds`` until the last of those that were
    not to be, and how often one answer was followed by another.
    """

    calls: int
    failures: Counter[str]
    seconds: float
    turns: int

    @property
    def failed(self) -> int:
        return self.failures.total()


def main(url: str, rate: float, file: Path) -> None:
    lock, pause = threading.Lock(), WORKERS / rate
    with file.open("a", buffering=1) as out:

        def work() -> None:
            while True:
                begun = time.monotonic()
                answer, why = _ask(url)
                took = time.monotonic() - begun
                with lock:
                    out.write(json.dumps({"at": begun, "took": took, "answer": answer, "why": why}) + "\n")
                time.sleep(max(0.0, pause - took))

        threads = [threading.Thread(target=work, daemon=True) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        threads[0].join()


def _ask(url: str) -> tuple[str, str]:
    try:
        with urlopen(url, timeout=TIMEOUT) as answer:
            return answer.read().decode().split("\n", 1)[0], ""
    except HTTPError as error:
        with error:
            return FAILED, f"{error.code} {error.read().decode()[:120]}"
    except (OSError, HTTPException) as error:
        return FAILED, f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
