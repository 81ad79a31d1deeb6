"""What is installed: one top-level name, every folder of code, the data; and it runs where files bear our names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest

from lutbench.cli.main import COMMANDS
from lutbench.lut.shipped import SHIPPED
from tests.conftest import TINY_TOML, made_once

ROOT = Path(__file__).parent.parent
IN_THE_WAY = ("lutbench.py", "search.py", "device_agents.py", "luts.py", "jobs.py")
BUILT_FROM = ("lutbench", "device_agents", "search", "luts", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="session")
def wheel(run_folder: Path) -> Path:
    """The wheel of this tree, made by way of the sdist as `python -m build` does."""
    (found,) = made_once(run_folder, "wheel", _build).glob("dist/*.whl")
    return found


def _build(folder: Path) -> None:
    source = folder / "source"
    source.mkdir()
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.journal"))
        else:
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)


@pytest.mark.slow
def test_the_wheel_has_one_top_level_name_and_all_that_is_read_at_run_time(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"lutbench"}
    assert {f"lutbench/luts/{name}.csv" for name in SHIPPED} == {n for n in names if n.startswith("lutbench/luts/")}
    for folder, package in (("lutbench", "lutbench"), ("device_agents", "lutbench/device_agents")):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and not {"__pycache__", "tests"} & set(path.parts):  # also page.css, the runner in C++
                if "ios" in path.parts and path.suffix != ".py":
                    continue  # the app is built with Xcode, from a checkout
                assert f"{package}/{path.relative_to(ROOT / folder)}" in names


@pytest.fixture(scope="session")
def installed(wheel: Path, run_folder: Path) -> Path:
    """The command of an environment that holds the wheel, and beside it what this one has of other packages."""
    return made_once(run_folder, "environment", partial(_install, wheel)) / "bin" / "lutbench"


def _install(wheel: Path, folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "shared.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")))
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed", wheel]
    subprocess.run(pip, check=True, capture_output=True)


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder whose files bear the names of our packages, and of the runner: importing one of them fails."""
    for name in IN_THE_WAY:
        (tmp_path / name).write_text(f"raise SystemExit('{name} of the current folder was imported')\n")
    (tmp_path / "tiny.toml").write_text(TINY_TOML)
    return tmp_path


def run(command: Path, *arguments: str, cwd: Path) -> str:
    """What a command prints, run as a user does: no PYTHONPATH, no cache of ours."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([command, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.slow
def test_every_command_loads_where_files_bear_our_names(installed: Path, crowded: Path) -> None:
    for name in COMMANDS:
        assert f"Usage: lutbench {name}" in run(installed, name, "--help", cwd=crowded)
    found = run(installed.parent / "python", "-P", "-c", "import lutbench; print(lutbench.__file__)", cwd=crowded)
    assert found.startswith(str(installed.parent.parent))
    assert run(installed, "--version", cwd=crowded).split() == ["lutbench,", "version", "0.2.0"]


@pytest.mark.slow
def test_shipped_luts_answer_to_their_names(installed: Path, crowded: Path) -> None:
    assert "fbnet_iphonex" in run(installed, "diff", "s8", "iphonex", cwd=crowded)
    assert "fbnet_a" in run(installed, "predict", "--lut", "s8", "fbnet_a", cwd=crowded)
    refused = subprocess.run([installed, "verify", "--lut", "s8"], cwd=crowded, capture_output=True, text=True)
    assert refused.returncode == 2 and "copy it to luts/ first" in refused.stderr


@pytest.mark.slow
def test_worker_processes_start_where_files_bear_our_names(installed: Path, crowded: Path) -> None:
    """Exports (spawned), the runtime's worker, the decoders of photographs, and what torchrun starts."""
    space = ("--space", "tiny.toml", "-o", "tiny.csv", "--max-rounds", "12")
    run(installed, "profile", *space, cwd=crowded)
    draw_photographs(crowded / "photos")
    data = (
        "--data",
        "imagefolder:photos",
        "--resolution",
        "16",
        "--workers",
        "1",
        "--epochs",
        "1",
        "--batch-size",
        "4",
    )
    quick = ("train", "fbnet_96_035_1", *data, "--threads", "1")
    run(installed, *quick, "-o", "alone", cwd=crowded)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python", str(installed))
    run(installed.parent / "python", "-P", *torchrun, *quick, "-o", "together", cwd=crowded)
    assert (crowded / "alone" / "weights.pt").exists() and (crowded / "together" / "weights.pt").exists()


def draw_photographs(folder: Path) -> None:
    from PIL import Image

    for part, count in (("train", 6), ("val", 2)):
        for label, colour in (("red", (200, 20, 20)), ("blue", (20, 20, 200))):
            (folder / part / label).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (24, 24), colour).save(folder / part / label / f"{number}.png")
