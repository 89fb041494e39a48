"""No core is left of a daemon that crashes, and nobody but root looks into it."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, resource, signal
most = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
from xdsd.undumpable import forbid_dumps
print(forbid_dumps(), resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True)
os.kill(os.getpid(), signal.SIGABRT)
"""


def test_a_crash_leaves_no_core(tmp_path: Path) -> None:
    """A process that was told so has a limit of zero, and ends by a signal without a dump."""
    program = [sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    child = subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout is not None
    told = child.stdout.read()
    child.stdout.close()
    _, status = os.waitpid(child.pid, 0)
    child.returncode = 0  # it was waited for here, to see whether it was dumped
    assert told == "True 0\n"
    assert os.WIFSIGNALED(status)
    assert not os.WCOREDUMP(status)
    assert list(tmp_path.iterdir()) == []
