"""``xdsctl edit``, with editors that are small programs."""

import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.api.daemon import Daemon
from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.manifests import REVIEWS, RULE

Editor = Callable[..., Path]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where drafts are made; none of the reader's own editors."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    for name in ("XDSCTL_EDITOR", "KUBE_EDITOR", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    """Sets an editor that runs one step of Python on ``text`` each time it is opened, the last one again and again.

    What it was given is kept beside the file that is returned, numbered from 1.
    """

    def use(*steps: str, variable: str = "XDSCTL_EDITOR") -> Path:
        program, seen = tmp_path / f"{variable}.py", tmp_path / "seen"
        program.write_text(
            "import json, os, pathlib, re, subprocess, sys\n"
            f"steps = json.loads({json.dumps(json.dumps(steps))})\n"
            f"seen = pathlib.Path({str(seen)!r})\n"
            "path = pathlib.Path(sys.argv[-1])\n"
            "text = path.read_text()\n"
            "number = 1 + len(list(seen.parent.glob('seen.*')))\n"
            "seen.with_suffix(f'.{number}').write_text(text)\n"
            "scope = {**globals()}\n"
            "exec(steps[min(number, len(steps)) - 1], scope)\n"
            "path.write_text(scope['text'])\n"
        )
        monkeypatch.setenv(variable, f"{sys.executable} {program} --wait")
        return seen

    return use


def opened(seen: Path) -> list[str]:
    """What the editor was given, each time."""
    return [file.read_text() for file in sorted(seen.parent.glob("seen.*"))]


def weight(xdsctl: Xdsctl) -> int:
    found = json.loads(xdsctl("get", "vs", "reviews", "-o", "json").stdout)
    value: int = found["spec"]["http"][0]["route"][0]["weight"]
    return value


def test_what_is_saved_is_applied(xdsctl: Xdsctl, editor: Editor, temporary: Path) -> None:
    """The editor gets the object as YAML with a word on how it goes; the draft is gone afterwards."""
    xdsctl("apply", "-f", "-", input=RULE)
    xdsctl("apply", "-f", "-", input=REVIEWS)
    seen = editor("text = text.replace('weight: 90', 'weight: 50')")
    result = xdsctl("edit", "vs", "reviews")
    assert (result.stdout, result.stderr, result.exit_code) == (
        "virtualservice.networking.istio.io/reviews edited\n",
        "",
        0,
    )
    assert weight(xdsctl) == 50
    (text,) = opened(seen)
    assert text.startswith("# Edit the object below")
    assert "\napiVersion: networking.istio.io/v1\nkind: VirtualService\n" in text
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("variable", ["XDSCTL_EDITOR", "KUBE_EDITOR", "EDITOR"])
def test_each_variable_names_the_editor(xdsctl: Xdsctl, editor: Editor, variable: str) -> None:
    """With its arguments; xdsctl's own first."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    editor("text = text.replace('weight: 90', 'weight: 50')", variable=variable)
    if variable == "XDSCTL_EDITOR":
        editor("sys.exit(3)", variable="EDITOR")
    assert xdsctl("edit", "vs/reviews").exit_code == 0
    assert weight(xdsctl) == 50


def test_a_draft_is_for_its_author_alone(xdsctl: Xdsctl, editor: Editor) -> None:
    """Nobody else may read the file, nor look into its folder."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    editor(
        "modes = [path.stat().st_mode, path.parent.stat().st_mode]\n"
        "text = re.sub('tier: .*', f'tier: m{modes[0]}-{modes[1]}', text)"
    )
    assert xdsctl("edit", "vs", "reviews").exit_code == 0
    labels = json.loads(xdsctl("get", "vs", "reviews", "-o", "json").stdout)["metadata"]["labels"]
    file, folder = (int(each) for each in labels["tier"].removeprefix("m").split("-"))
    assert (stat.S_IMODE(file), stat.S_IMODE(folder)) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("pass", "Edit cancelled, no changes made.\n"),
        ("text = text.replace('# Edit', '# edited')", "Edit cancelled, no changes made.\n"),
        ("text = '# only a comment\\n'", "Edit cancelled, the file was saved empty.\n"),
        ("text = ''", "Edit cancelled, the file was saved empty.\n"),
    ],
)
def test_nothing_saved_is_nothing_done(
    xdsctl: Xdsctl, editor: Editor, temporary: Path, step: str, said: str
) -> None:
    """The same text, or none, cancels; that is no failure, and no write."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    editor(step)
    result = xdsctl("edit", "vs", "reviews")
    assert (result.stdout, result.stderr, result.exit_code) == ("", said, 0)
    assert xdsctl("history", "--no-headers").stdout.count("\n") == 1
    assert list(temporary.iterdir()) == []


def test_what_is_refused_comes_back_with_the_reasons(xdsctl: Xdsctl, editor: Editor) -> None:
    """The errors stand on top with the line that each is about; the next try may do."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    seen = editor(
        "text = text.replace('weight: 90', 'weight: -5')",
        "text = text.replace('weight: -5', 'weight: 50')",
    )
    result = xdsctl("edit", "vs", "reviews")
    assert result.exit_code == 0
    assert weight(xdsctl) == 50
    _, again = opened(seen)
    found = re.search(r"^# line (\d+): .*weight: -5 is below 0", again, re.MULTILINE)
    assert found is not None
    assert again.splitlines()[int(found[1]) - 1].strip() == "weight: -5"


def test_syntax_and_another_object_come_back_too(xdsctl: Xdsctl, editor: Editor) -> None:
    """What is no YAML, and what is another object, is refused before the daemon is asked."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    seen = editor(
        "text = text + 'x: [1'",
        "text = text.removesuffix('x: [1').replace('name: reviews', 'name: other')",
        "text = text.replace('name: other', 'name: reviews').replace('weight: 90', 'weight: 50')",
    )
    assert xdsctl("edit", "vs", "reviews").exit_code == 0
    first, second, third = opened(seen)
    assert "(" not in first.splitlines()[2]
    assert "(MalformedFile)" in second
    assert "kind, name and namespace stay as they are (InvalidValue)" in third
    assert weight(xdsctl) == 50


def test_giving_up_keeps_the_text(xdsctl: Xdsctl, editor: Editor, temporary: Path) -> None:
    """Saving again what was refused ends with 1, and the text stays in a file of its author."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    editor("text = text.replace('weight: 90', 'weight: -5')")
    result = xdsctl("edit", "vs", "reviews")
    assert result.exit_code == 1
    assert result.stderr.count("-5 is below 0") == 1
    found = re.search(r"nothing valid was saved; what you wrote is kept in (\S+)", result.stderr)
    assert found is not None
    kept = Path(found[1])
    assert kept.parent == temporary
    assert "weight: -5" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert weight(xdsctl) == 90


def test_who_was_faster_is_not_overwritten(
    server: Daemon, xdsctl: Xdsctl, editor: Editor, tmp_path: Path
) -> None:
    """A write while the editor is open makes a conflict; both texts are there, and it is said who wrote."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    other = tmp_path / "other.yaml"
    other.write_text(REVIEWS.replace("weight: 90", "weight: 30"))
    xdsctl_of = (
        f"[sys.executable, '-c', 'from api.cli import main; main()', '--endpoint', {server.endpoint!r}]"
    )
    editor(
        f"subprocess.run([*{xdsctl_of}, 'apply', '-f', {str(other)!r}], check=True)\n"
        "text = text.replace('weight: 90', 'weight: 50')"
    )
    result = xdsctl("edit", "vs", "reviews")
    assert result.exit_code == 1
    assert "somebody else wrote it meanwhile" in result.stderr
    kept = Path(result.stderr.rsplit(" ", 1)[1].strip())
    assert "weight: 50" in kept.read_text()
    assert weight(xdsctl) == 30


def test_a_dry_run_and_data(xdsctl: Xdsctl, editor: Editor) -> None:
    """--dry-run checks and writes nothing; -o prints the object."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    editor("text = text.replace('weight: 90', 'weight: 50')")
    dry = xdsctl("edit", "vs", "reviews", "--dry-run")
    assert dry.stdout == "virtualservice.networking.istio.io/reviews edited (server dry run)\n"
    assert weight(xdsctl) == 90
    found = json.loads(xdsctl("edit", "vs", "reviews", "-o", "json").stdout)
    assert found["spec"]["http"][0]["route"][0]["weight"] == 50
    assert weight(xdsctl) == 50


def test_an_edit_that_says_the_same(xdsctl: Xdsctl, editor: Editor) -> None:
    """Another text of the same object is sent, and changes nothing."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    editor("text = text.replace('weight: 90', 'weight:   90')")
    assert xdsctl("edit", "vs", "reviews").stdout == "virtualservice.networking.istio.io/reviews unchanged\n"


def test_editors_that_fail(
    xdsctl: Xdsctl, editor: Editor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that ends badly, at once or when it was to mend what is refused, and one that cannot be started: a sentence."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    editor("sys.exit(3)")
    failed = xdsctl("edit", "vs", "reviews")
    assert failed.exit_code == 1
    assert "ended with 3; nothing was changed" in failed.stderr
    editor("text = text.replace('weight: 90', 'weight: -5')", "sys.exit(3)")
    for seen in tmp_path.glob("seen.*"):
        seen.unlink()
    told = xdsctl("edit", "vs", "reviews").stderr
    assert "-5 is below 0" in told
    assert "ended with 3" in told
    monkeypatch.setenv("XDSCTL_EDITOR", "/nowhere/editor")
    missing = xdsctl("edit", "vs", "reviews")
    assert missing.exit_code == 1
    assert "the editor '/nowhere/editor' ($XDSCTL_EDITOR) cannot be started" in missing.stderr
    monkeypatch.setenv("XDSCTL_EDITOR", "edit '")
    assert "cannot be started" in xdsctl("edit", "vs", "reviews").stderr


def test_the_store_goes_while_the_editor_is_open(
    server: Daemon, xdsctl: Xdsctl, editor: Editor, tmp_path: Path
) -> None:
    """What was written is kept where it is said."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    there, back = tmp_path / "there", tmp_path / "back"
    for pipe in (there, back):
        os.mkfifo(pipe)
    editor(
        f"pathlib.Path({str(there)!r}).write_text('open'); pathlib.Path({str(back)!r}).read_text()\n"
        "text = text.replace('weight: 90', 'weight: 50')"
    )

    def close() -> None:
        there.read_text()
        server.run(server.store.close())
        back.write_text("closed")

    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(close)
        result = xdsctl("edit", "vs", "reviews")
        closing.result(60)
    assert result.exit_code == 1
    assert "the store" in result.stderr
    assert "weight: 50" in Path(result.stderr.rsplit(" ", 1)[1].strip()).read_text()


def test_an_object_that_is_not_there(xdsctl: Xdsctl) -> None:
    """No editor opens."""
    missing = xdsctl("edit", "vs", "reviews")
    assert missing.exit_code == 1
    assert 'virtualservices.networking.istio.io "reviews" not found in namespace default' in missing.stderr
    assert xdsctl("edit", "vs").exit_code == 2
    assert xdsctl("edit").exit_code == 2
