"""What meshes compile to, compared with files that people have reviewed.

``pytest tests/golden --update-golden`` writes them anew; look at the difference before you keep it.
"""

import shutil
from pathlib import Path

import pytest

from tests.golden import files
from tests.golden.mesh import compile_case, read_case


@pytest.mark.parametrize("file", files.inputs(), ids=lambda file: file.stem)
def test_a_mesh_compiles_to_what_was_reviewed(file: Path, update: bool) -> None:
    """The resources of every proxy, and the problems, are those of the golden files."""
    made = files.written(compile_case(read_case(file)))
    if update:
        files.rewrite(file.stem, made)
    kept = files.present(file.stem)
    assert sorted(made) == sorted(kept)
    for name, content in made.items():
        assert content == kept[name], f"{file.stem}/{name} differs"


def test_every_golden_output_has_its_input(update: bool) -> None:
    """No outputs are left of cases that are gone."""
    cases = {file.stem for file in files.inputs()}
    stale = [folder for folder in (files.HERE / "out").iterdir() if folder.name not in cases]
    if update:
        for folder in stale:
            shutil.rmtree(folder)
        stale = []
    assert stale == []
