"""A CA in files that is replaced: each change waits until everybody is ready for it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.serialization import Encoding

from tests.ca.making import DOMAIN, NOW, root
from tests.lab.eventually import eventually
from xdsd.ca.authority import LocalSigner, Trust, id_of
from xdsd.ca.files import CaFiles, FileCa
from xdsd.ca.issuer import Ca
from xdsd.ca.keys import private_pem
from xdsd.ca.replacing import unready
from xdsd.ca.rotation import Facts
from xdsd.ca.standing import Answer, Standing

OLD, NEW = root(), root()
A, B = id_of(OLD.certificate), id_of(NEW.certificate)


def trust(signs: Ca, *roots: Ca) -> Trust:
    return Trust(tuple(each.certificate for each in roots), LocalSigner(signs, lambda: NOW), (signs,))


def proxy(leaf: str, *trusts: str) -> Standing:
    until = NOW + timedelta(hours=1)
    return Standing("north", "bob~1", "bob", 0, trusts=trusts, leaf=leaf, until=until)


def facts(*standings: Standing) -> Facts:
    return Facts(frozenset({"north"}), standings, NOW)


FIRST, BOTH, NEXT, LAST = trust(OLD, OLD), trust(OLD, OLD, NEW), trust(NEW, OLD, NEW), trust(NEW, NEW)


def test_each_step_waits_for_what_it_rests_on() -> None:
    """Trust comes at once, who signs when all trust its root, and a root goes when nobody has a certificate of it."""
    assert unready(FIRST, BOTH, facts(proxy(A, A))) == ""
    assert (
        unready(BOTH, NEXT, facts(proxy(A, A))) == f"the root {B} is to sign, and is not trusted yet by bob"
    )
    assert unready(BOTH, NEXT, facts(proxy(A, A, B))) == ""
    assert "certificates of it are with bob" in unready(NEXT, LAST, facts(proxy(A, A, B)))
    waiting = replace(proxy("", A, B), answer=Answer.WAITING)
    assert "certificates of it are with bob" in unready(NEXT, LAST, facts(waiting))
    assert unready(NEXT, LAST, facts(proxy(B, A, B))) == ""
    assert unready(NEXT, BOTH, facts(proxy(B, A, B))) == ""


def test_steps_that_are_left_out_are_named() -> None:
    """A root that was never trusted does not sign, and a root that signs does not go."""
    assert "was not trusted before" in unready(FIRST, LAST, facts())
    assert "put it beside" in unready(FIRST, NEXT, facts())
    assert f"the root {A} signs still" in unready(BOTH, LAST, facts(proxy(B, A, B)))


def test_whose_certificate_has_expired_is_not_waited_for() -> None:
    """Nobody believes it any more, and it is given another when it is back."""
    over = replace(proxy(A, A), until=NOW, here=False)
    assert unready(BOTH, NEXT, facts(over)) == ""


async def test_files_are_taken_when_everybody_is_ready(tmp_path: Path) -> None:
    """Until then what they held goes on, and why is told once."""
    old, new = (root(now=datetime.now(UTC)) for _ in range(2))
    told: list[Trust] = []
    why = ["bob is not ready"]

    async def asked(before: Trust, after: Trust) -> str:
        assert before.roots != after.roots
        return why[0]

    def trusting(*roots: Ca) -> None:
        draft = tmp_path / "draft"
        draft.write_bytes(b"".join(each.certificate.public_bytes(Encoding.PEM) for each in roots))
        draft.rename(tmp_path / "roots")  # at once: half a file would be looked at too

    (tmp_path / "key").write_bytes(private_pem(old.key))
    (tmp_path / "cert").write_bytes(old.certificate.public_bytes(Encoding.PEM))
    trusting(old)
    files = CaFiles(tmp_path / "cert", tmp_path / "key", tmp_path / "roots")
    with structlog.testing.capture_logs() as lines:
        source = FileCa(files, DOMAIN, structlog.get_logger(), every=0.01, unready=asked)
        running = asyncio.ensure_future(source.run(told.append))
        await eventually(lambda: told, "the files are taken")
        trusting(old, new)
        await eventually(lambda: [line for line in lines if "wait" in line.get("why", "")], "it waits")
        assert len(told) == 1
        why[0] = ""
        await eventually(lambda: len(told) == 2, "the new files are taken")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [each.certificate for each in (old, new)] == list(told[-1].roots)
    assert [line["why"] for line in lines if "why" in line] == ["the CA's new files wait: bob is not ready"]
