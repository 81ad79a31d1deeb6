"""The docs say what the commands are, and their links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from lutbench.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "luts" / "README.md", *(ROOT / "docs").rglob("*.md")]
)


def load(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look for their module there
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    made = load(ROOT / "docs" / "make_commands.py").commands_text()  # type: ignore[attr-defined]
    assert (ROOT / "docs" / "reference" / "commands.md").read_text() == made, "run python docs/make_commands.py"


def test_the_readme_names_every_command() -> None:
    named = set(re.findall(r"lutbench ([a-z]+)", (ROOT / "README.md").read_text()))
    assert set(COMMANDS) <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_name_no_command_or_option_that_does_not_exist(page: Path) -> None:
    text = page.read_text()
    commands = (ROOT / "docs" / "reference" / "commands.md").read_text()
    known = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", commands)) | {"--help", "--debug", "--version"}
    for line in re.findall(r"lutbench [a-z]+ [^\n`]*", text):
        command = line.split()[1]
        if command in COMMANDS:
            assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", line)) <= known, line
    for command in re.findall(r"^    lutbench ([a-z]+)", text, re.MULTILINE):
        assert command in COMMANDS, command


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_of_prose_fit_a_screen(page: Path) -> None:
    """But for what cannot be broken (a long link, a command in the text) and what a script has made."""
    left_out = r"^(```|~~~).*?^\1|^<!-- made by .*?^<!-- end -->"
    prose = re.sub(left_out, "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "    ", "!["))]
    whole = re.compile(r"`[^`]*`|\[[^\]]*\]\([^)]*\)|\S+")
    too_long = [line for line in lines if len(line) > 100 and max(map(len, whole.findall(line))) < 60]
    assert page.name == "commands.md" or not too_long


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def pages_of(nav: object) -> list[str]:
    """The files that a site's navigation names, at any depth."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    assert isinstance(parts, Iterable)
    return [page for part in parts for page in pages_of(part)]


def test_every_page_stands_in_the_sites_navigation() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    there = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(pages_of(site["nav"])) == sorted(there)


@pytest.mark.slow
@pytest.mark.parametrize("broken", [(), ("nowhere.md", "index.md#nowhere", "none.png")], ids=["whole", "broken"])
def test_the_site_is_built_and_a_broken_link_fails_it(broken: tuple[str, ...], tmp_path: Path) -> None:
    """By the command of `make docs`, on a copy; of three links to nowhere each is named."""
    (command,) = re.findall(r"^\t.*(?<=/)(mkdocs build .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    with (tmp_path / "docs" / "index.md").open("a") as page:
        page.writelines(f"\n{'!' * link.endswith('png')}[there]({link})\n" for link in broken)
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (not broken), done.stderr
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line and "index.md" in line]
    assert all(any(link.split("#")[-1] in line for line in warnings) for link in broken), done.stderr
