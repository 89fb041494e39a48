"""What the kernel tells of folders."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from xdsd.registry.notices import Notices


@pytest_asyncio.fixture
async def notices(tmp_path: Path) -> AsyncIterator[Notices]:
    made = Notices([tmp_path])
    yield made
    made.close()


async def test_a_file_is_told_of_when_it_is_closed(notices: Notices, tmp_path: Path) -> None:
    """Not when it is made or written, since it is half a file until then."""
    with (tmp_path / "one").open("w") as file:
        file.write("half")
        file.flush()
        assert await notices.wait(0.05) == frozenset()
    assert await notices.wait(20) == {tmp_path / "one"}


async def test_a_file_that_is_opened_again_is_not_told_of_yet(notices: Notices, tmp_path: Path) -> None:
    """Closed and written again before anybody looked, it is half a file once more."""
    (tmp_path / "one").write_text("whole")
    with (tmp_path / "one").open("w") as file:
        file.write("half")
        file.flush()
        assert await notices.wait(0.05) == frozenset()
    assert await notices.wait(20) == {tmp_path / "one"}


async def test_files_that_move_or_go_are_told_of(notices: Notices, tmp_path: Path) -> None:
    """Under both names, and a link that is made too."""
    (tmp_path / "one").touch()
    (tmp_path / "one").rename(tmp_path / "two")
    (tmp_path / "three").symlink_to("nowhere")
    (tmp_path / "two").unlink()
    found: set[Path] = set()
    async with asyncio.timeout(60):
        while len(found) < 3:
            found |= await notices.wait(20)
    assert found == {tmp_path / "one", tmp_path / "two", tmp_path / "three"}


async def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Whoever watches it looks again later."""
    with pytest.raises(FileNotFoundError):
        Notices([tmp_path, tmp_path / "nowhere"])
