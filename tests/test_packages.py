"""Every folder of code is in the wheel."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_folder_of_code_is_listed_in_the_project_file() -> None:
    setuptools = PROJECT["tool"]["setuptools"]
    found = {
        ".".join((package, *path.parent.relative_to(ROOT / folder).parts))
        for package, folder in setuptools["package-dir"].items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert sorted(found | {"lutbench.luts"}) == sorted(setuptools["packages"])  # luts/ is data alone
