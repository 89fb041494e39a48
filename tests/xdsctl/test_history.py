"""``xdsctl history``, ``rollback`` and ``diff --revision``."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.daemon import Daemon
from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.manifests import BOTH, REVIEWS, RULE
from xdsd.intents import Intents

TIME = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture
def written(xdsctl: Xdsctl) -> Xdsctl:
    """Revision 2 has both objects, 3 another weight, 4 no rule."""
    assert xdsctl("apply", "-f", "-", input=BOTH).exit_code == 0
    assert xdsctl("apply", "-f", "-", input=REVIEWS.replace("weight: 90", "weight: 50")).exit_code == 0
    assert xdsctl("delete", "dr", "reviews").exit_code == 0
    return xdsctl


def lines(output: str) -> list[list[str]]:
    """The cells of a table."""
    return [re.split(r" {3,}", line) for line in output.splitlines()]


def test_writes_come_newest_first(written: Xdsctl) -> None:
    """Revision, time, who, from where, what and which object, a line a record."""
    result = written("history")
    assert result.exit_code == 0
    header, *rows = lines(result.stdout)
    assert header == ["REVISION", "TIME", "WHO", "FROM", "WHAT", "OBJECT"]
    assert [(row[0], row[4], row[5]) for row in rows] == [
        ("4", "deleted", "destinationrule/reviews"),
        ("3", "changed", "virtualservice/reviews"),
        ("2", "created", "destinationrule/reviews"),
        ("2", "created", "virtualservice/reviews"),
    ]
    assert all(re.fullmatch(TIME, row[1]) and row[2] for row in rows)


def test_history_of_a_kind_and_of_an_object(written: Xdsctl) -> None:
    """By kind, by kind and name in both forms, by namespace, and for all namespaces with a column of its own."""
    assert [row[0] for row in lines(written("history", "dr").stdout)[1:]] == ["4", "2"]
    assert [row[0] for row in lines(written("history", "vs", "reviews").stdout)[1:]] == ["3", "2"]
    assert written("history", "vs/reviews").stdout == written("history", "vs", "reviews").stdout
    nothing = written("history", "-n", "elsewhere")
    assert (nothing.stdout, nothing.stderr, nothing.exit_code) == (
        "",
        "No records found in elsewhere namespace.\n",
        0,
    )
    everywhere = lines(written("history", "-A", "--no-headers", "all").stdout)
    assert {row[5] for row in everywhere} == {"default"}
    assert written("history", "vs", "-o", "name").stdout == "virtualservice/reviews\n" * 2


def test_wide_tells_the_fields(written: Xdsctl) -> None:
    """-o wide tells what was changed to what; of created and deleted objects there is nothing to compare."""
    header, _, changed, *_ = lines(written("history", "-o", "wide").stdout)
    assert header[-1] == "CHANGES"
    assert changed[-1] == "spec.http[0].route[0].weight: 90 -> 50"


def test_diffs_stand_below_their_record(written: Xdsctl) -> None:
    """--diff prints each write as a unified diff."""
    output = written("history", "vs", "reviews", "--diff", "--limit", "1").stdout
    assert re.match(rf"revision 3 of {TIME}: \S+ \(.*\) changed VirtualService default/reviews\n", output)
    assert "-      weight: 90\n+      weight: 50\n" in output
    assert "--- before/VirtualService.default.reviews\n" in output
    created = written("history", "dr", "reviews", "--diff").stdout
    assert "-  name: reviews\n" in created
    assert "+  name: reviews\n" in created


def test_records_as_data(written: Xdsctl) -> None:
    """-o json has both states of each object, under names that stay."""
    found = json.loads(written("history", "vs", "-o", "json").stdout)
    assert (found["more"], found["keptSince"]) == (False, 0)
    newest, oldest = found["records"]
    assert newest["before"]["spec"]["http"][0]["route"][0]["weight"] == 90
    assert newest["after"]["spec"]["http"][0]["route"][0]["weight"] == 50
    assert (oldest["before"], oldest["what"], oldest["rolledBackTo"]) == (None, "created", None)
    assert oldest["object"] == {"kind": "VirtualService", "namespace": "default", "name": "reviews"}
    assert list(newest) == [
        "revision",
        "time",
        "who",
        "from",
        "what",
        "rolledBackTo",
        "object",
        "before",
        "after",
    ]
    assert "keptSince: 0" in written("history", "vs", "-o", "yaml").stdout


def test_a_limit_says_that_there_is_more(written: Xdsctl) -> None:
    """The page ends, and the words to go on with are printed; nothing is lost between the pages."""
    first = written("history", "--limit", "2")
    assert [row[0] for row in lines(first.stdout)[1:]] == ["4", "3"]
    token = "3:VirtualService/default/reviews"
    assert first.stderr == f"There are older records: --page {token}, or a larger --limit, shows them.\n"
    rest = written("history", "--page", token)
    assert [row[0] for row in lines(rest.stdout)[1:]] == ["2", "2"]
    assert rest.stderr == ""


@pytest.mark.parametrize("arguments", [(), ("-A",), ("--before", "4"), ("vs",)])
def test_pages_together_hold_everything_once(written: Xdsctl, arguments: tuple[str, ...]) -> None:
    """One record a page, also where several have one revision; a program goes on with what next says."""
    whole = json.loads(written("history", *arguments, "-o", "json").stdout)
    assert whole["next"] is None
    records, words = [], arguments
    for _ in whole["records"]:
        page = json.loads(written("history", *words, "--limit", "1", "-o", "json").stdout)
        records += page["records"]
        words = (*arguments, "--page", page["next"] or "")
    assert records == whole["records"]
    assert (page["more"], page["next"]) == (False, None)


@pytest.mark.parametrize(
    "token", ["4", "4:Pod/default/a", "x:VirtualService/default/a", "4:VirtualService/a"]
)
def test_a_page_that_is_none(xdsctl: Xdsctl, token: str) -> None:
    """The sentence says how one looks."""
    result = xdsctl("history", "--page", token)
    assert result.exit_code == 1
    assert "is no page token: REVISION:KIND/NAMESPACE/NAME" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "revisions"),
    [
        (("--since", "3"), ["4", "3"]),
        (("--before", "3"), ["2", "2"]),
        (("--since", "3", "--before", "4"), ["3"]),
        (("--since", "1h"), ["4", "3", "2", "2"]),
        (("--since", "1d"), ["4", "3", "2", "2"]),
        (("--before", "1h"), []),
        (("--since", "2020-01-01T00:00:00Z"), ["4", "3", "2", "2"]),
        (("--before", "2020-01-01T00:00:00+02:00"), []),
    ],
)
def test_moments(written: Xdsctl, arguments: tuple[str, ...], revisions: list[str]) -> None:
    """--since and --before take a revision, how long ago, or a time."""
    result = written("history", *arguments)
    assert result.exit_code == 0
    assert [row[0] for row in lines(result.stdout)[1:]] == revisions


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "yesterday"),
        ("--since", "2026-01-31T12:00:00"),
        ("--before", "0001-01-01T00:00:00+10:00"),
        ("--since", "99999999999999999999"),
        ("--since", "-1"),
        ("--limit", "0"),
        ("vs", "reviews", "-A"),
        ("vs/a", "b"),
        ("vs,dr"),
        ("all", "reviews"),
        ("unicorn", "reviews"),
        ("--diff", "-o", "json"),
    ],
)
def test_what_cannot_be_meant(xdsctl: Xdsctl, arguments: tuple[str, ...]) -> None:
    """Wrong usage ends with 2 and a sentence."""
    result = xdsctl("history", *arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_forgotten_records_are_mentioned(server: Daemon, written: Xdsctl) -> None:
    """Where older records were dropped, the list says from which revision on all are kept."""
    server.run(Intents(server.store).forget_history(datetime.now(UTC) + timedelta(hours=1)))
    nothing = written("history")
    assert nothing.stdout == ""
    assert (
        nothing.stderr
        == "No records found in default namespace.\nOlder records were forgotten: all are kept from revision 5 on.\n"
    )
    assert written("apply", "-f", "-", input=RULE).exit_code == 0
    assert "from revision 5 on" in written("history").stderr
    assert written("history", "--since", "6").stderr == ""


def test_rollback_shows_the_change_and_makes_it(written: Xdsctl) -> None:
    """The diff from now to then, then what was done; the history tells it as a rollback."""
    result = written("rollback", "vs", "reviews", "--to", "2")
    assert result.exit_code == 0
    assert "-      weight: 50\n+      weight: 90\n" in result.stdout
    assert result.stdout.endswith("virtualservice.networking.istio.io/reviews rolled back to revision 2\n")
    assert "no DestinationRule" in result.stderr
    newest = lines(written("history", "vs", "reviews").stdout)[1]
    assert (newest[0], newest[4]) == ("5", "rolled back to 2")
    record = json.loads(written("history", "vs", "reviews", "--limit", "1", "-o", "json").stdout)["records"][
        0
    ]
    assert (record["what"], record["rolledBackTo"]) == ("rolled back", 2)


def test_rollback_of_what_was_deleted_brings_it_back(written: Xdsctl) -> None:
    """A deleted object is as it was; its diff is all new."""
    result = written("rollback", "dr/reviews", "--to", "3")
    assert result.exit_code == 0
    assert "--- live/DestinationRule.default.reviews" in result.stdout
    assert "+  host: reviews\n" in result.stdout
    assert (
        written("get", "dr", "reviews", "-o", "name").stdout
        == "destinationrule.networking.istio.io/reviews\n"
    )


def test_rollback_dry(written: Xdsctl) -> None:
    """--dry-run shows the same and writes nothing."""
    result = written("rollback", "vs", "reviews", "--to", "2", "--dry-run")
    assert "-      weight: 50\n+      weight: 90\n" in result.stdout
    assert result.stdout.endswith("rolled back to revision 2 (server dry run)\n")
    assert lines(written("history").stdout)[1][0] == "4"


def test_rollback_to_what_is(written: Xdsctl) -> None:
    """Nothing is written where nothing changes, and that is said."""
    result = written("rollback", "vs", "reviews", "--to", "3")
    assert result.exit_code == 0
    assert result.stdout == (
        "virtualservice.networking.istio.io/reviews is what it was at revision 3; nothing changes\n"
    )
    assert lines(written("history").stdout)[1][0] == "4"


def test_rollback_prints_the_object(written: Xdsctl) -> None:
    """-o has the object, as apply prints it."""
    found = json.loads(written("rollback", "vs", "reviews", "--to", "2", "-o", "json").stdout)
    assert found["spec"]["http"][0]["route"][0]["weight"] == 90
    name = written("rollback", "vs", "reviews", "--to", "3", "-o", "name").stdout
    assert name == "virtualservice.networking.istio.io/reviews\n"


def test_rollback_that_cannot_be_done_says_what_can(server: Daemon, written: Xdsctl) -> None:
    """A revision to come, one before the object, one that is forgotten, and an object that never was."""
    refused = written("rollback", "vs", "reviews", "--to", "99")
    assert refused.exit_code == 1
    assert (
        "revision 99 has not happened; the newest is 4; it was written at revision 3, 2 (OutOf"
        in refused.stderr
    )
    before = written("rollback", "vs", "reviews", "--to", "1")
    assert before.exit_code == 1
    assert "did not exist at revision 1" in before.stderr
    assert "xdsctl delete virtualservice/reviews -n default" in before.stderr
    gone = written("rollback", "dr", "reviews", "--to", "1")
    assert "did not exist at revision 1; nor does it now; it was written at revision 4, 2" in gone.stderr
    never = written("rollback", "vs", "ratings", "--to", "2")
    assert never.exit_code == 1
    assert "VirtualService default/ratings: does not exist, and no record tells that it did" in never.stderr
    server.run(server.store.compact(4))
    server.run(Intents(server.store).forget_history(datetime.now(UTC) + timedelta(hours=1)))
    forgotten = written("rollback", "vs", "reviews", "--to", "2")
    assert forgotten.exit_code == 1
    assert "what it was at revision 2 is no longer kept" in forgotten.stderr
    assert written("rollback", "vs", "--to", "2").exit_code == 2
    assert written("rollback", "vs", "reviews").exit_code == 2


def test_differences_of_two_revisions(written: Xdsctl) -> None:
    """Everything that changed between them; exit code 1 for some, 0 for none."""
    result = written("diff", "--revision", "2..4")
    assert result.exit_code == 1
    assert "--- revision-2/DestinationRule.default.reviews\n" in result.stdout
    assert "+++ revision-4/VirtualService.default.reviews\n" in result.stdout
    assert "-  host: reviews\n" in result.stdout
    assert "+      weight: 50\n" in result.stdout
    one = written("diff", "--revision", "2..", "vs", "reviews")
    assert one.exit_code == 1
    assert "+++ live/VirtualService.default.reviews\n" in one.stdout
    assert "DestinationRule" not in one.stdout
    nothing = written("diff", "--revision", "3..4", "vs")
    assert (nothing.exit_code, nothing.output) == (0, "")
    back = written("diff", "--revision", "4..2", "vs")
    assert "+      weight: 90\n" in back.stdout
    assert written("diff", "--revision", "2..4", "-n", "elsewhere").exit_code == 0


def test_differences_as_data(written: Xdsctl) -> None:
    """-o json has both sides; None where there was none."""
    found = json.loads(written("diff", "--revision", "1..4", "-o", "json").stdout)["diffs"]
    assert [(each["object"]["kind"], each["before"]) for each in found] == [("VirtualService", None)]
    assert found[0]["after"]["spec"]["http"][0]["route"][0]["weight"] == 50


def test_differences_that_cannot_be_told(server: Daemon, written: Xdsctl) -> None:
    """Forgotten and future revisions end with 2, as whatever keeps the answer from being found."""
    future = written("diff", "--revision", "2..99")
    assert future.exit_code == 2
    assert "99" in future.stderr
    server.run(Intents(server.store).forget_history(datetime.now(UTC) + timedelta(hours=1)))
    forgotten = written("diff", "--revision", "2..")
    assert forgotten.exit_code == 2
    assert "what was before revision 4 is no longer kept" in forgotten.stderr
    for wrong in ("4", "a..b", "..4", "4..0", "4...5"):
        assert written("diff", "--revision", wrong).exit_code == 2
    assert written("diff").exit_code == 2
    assert written("diff", "-f", "-", "--revision", "2..", input=RULE).exit_code == 2
    assert written("diff", "vs", "-f", "-", input=RULE).exit_code == 2
