"""The wheel has one top-level name, and every folder of code is in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_folder_of_code_is_listed_in_the_project_file() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {
        ".".join((package, *path.parent.relative_to(ROOT / folder).parts))
        for package, folder in setuptools["package-dir"].items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert sorted(found) == sorted(setuptools["packages"])
