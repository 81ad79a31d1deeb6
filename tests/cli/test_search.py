"""The real `lutbench search` with a LUT measured here: its files, picture and table; going on; errors in one line."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from lutbench.lut.file import read_lut
from lutbench.search.latency import latency_model
from lutbench.space.architecture import read_architecture
from lutbench.space.find import kept_spaces
from lutbench.space.sampling import random_nets
from tests.cli.running import one_line, run
from tests.conftest import TINY_TOML
from tests.json_keys import check_keys

QUICK = ("--train-resolution", "16", "--epochs", "2", "--warmup", "1", "--draws", "4", "--rounds", "2", "--nets", "2")


@pytest.fixture
def folder(measured: Path, tmp_path: Path) -> Path:
    """With tiny.csv, a LUT of this machine."""
    shutil.copy(measured, tmp_path / "tiny.csv")
    return tmp_path


def test_a_search_writes_nets_that_predict_and_train_take(folder: Path) -> None:
    done = run("search", "--lut", "tiny.csv", *QUICK, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    check_keys("search", found)
    assert found["mode"] == "mixed" and found["train_resolution"] == 16 and found["schedule"]["epochs"] == 2
    assert [net["path"] for net in found["nets"]] == ["searched/tiny/tiny_0.json", "searched/tiny/tiny_1.json"]
    assert all(0.1 < net["accuracy"] <= 1 and net["cross_entropy"] > 0 for net in found["nets"])
    assert found["views"] == math.ceil(1000 / found["images"])
    assert (folder / "searched/tiny/nets.svg").read_text().startswith("<?xml")
    predicted = json.loads(run("predict", "--lut", "tiny.csv", found["nets"][0]["path"], "--json", cwd=folder).stdout)
    (own_us,) = found["nets"][0]["predicted_us"].values()
    assert predicted["nets"][0]["latency_us"] == pytest.approx(own_us, rel=1e-6)
    architecture = read_architecture(folder / found["nets"][0]["path"])
    assert architecture.search["supernet_cross_entropy"] == pytest.approx(found["nets"][0]["cross_entropy"], abs=1e-6)
    assert (architecture.search["mode"], architecture.search["paths"]) == ("mixed", "weights")
    assert architecture.search["data"] == found["data"]
    assert architecture.net.macs / 1e6 == found["nets"][0]["mmacs"]
    ranked = (folder / "searched/tiny/ranking.jsonl").read_bytes()
    resumed = run("search", "--lut", "tiny.csv", *QUICK, cwd=folder)
    assert resumed.returncode == 0 and "searched/tiny/tiny_1.json" in resumed.stdout
    assert "going on with the search in searched/tiny: 2 of 2 epochs are done" in resumed.stderr
    assert (folder / "searched/tiny/ranking.jsonl").read_bytes() == ranked  # no net was ranked anew
    assert f"augmented {found['views']} times" in " ".join(resumed.stdout.split())
    other = run("search", "--lut", "tiny.csv", *QUICK, "--seed", "1", cwd=folder)
    assert other.returncode == 4 and "seed was 0 and is 1" in other.stderr.splitlines()[-1]
    fresh = run("search", "--lut", "tiny.csv", *QUICK, "--seed", "1", "--fresh", cwd=folder)
    assert fresh.returncode == 0 and (folder / "searched/tiny/checkpoint.aside1.pt").exists()


def test_a_space_of_the_same_name_but_another_definition_is_refused_in_one_line(folder: Path) -> None:
    own, other = folder / "tiny.toml", folder / "other.toml"
    own.write_text(f"# as it was measured\n{TINY_TOML}")
    other.write_text(TINY_TOML.replace("layers = 2", "layers = 3"))  # all of its operators have rows
    four, six = "k3_e1,skip,k3_e1,skip", "k3_e1,skip,skip,k3_e1,skip,skip"
    assert run("predict", "--lut", "tiny.csv", "--space", own.name, four, cwd=folder).returncode == 0
    for command in (["predict", "--space", other.name, six], ["search", *QUICK, "--space", other.name]):
        said = one_line(run(command[0], "--lut", "tiny.csv", *command[1:], cwd=folder), 4)
        assert "tiny.csv: was measured with another definition of the space tiny; measure the space" in said
    assert not (folder / "searched").exists()


def test_a_target_is_kept_by_every_net(folder: Path) -> None:
    refused = one_line(run("search", "--lut", "tiny.csv", *QUICK, "--target-ms", "1000", cwd=folder), 2)
    assert "no net of space tiny" in refused and "the fastest takes" in refused and "the slowest" in refused
    lut = read_lut(folder / "tiny.csv")
    (space,) = kept_spaces("tiny", (32,), (1.0,), lut.metadata.space.definition)
    target_ms = 1.001 * latency_model(lut, space).net_us(random_nets(space, 1, 0, "target")[0]) / 1000
    done = run("search", "--lut", "tiny.csv", *QUICK, "--target-ms", f"{target_ms:.6f}", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    for net in json.loads(done.stdout)["nets"]:
        assert 0.97 * target_ms < net["predicted_us"]["host"] / 1000 <= target_ms


def test_modes_and_weights_of_the_paper(folder: Path) -> None:
    paper = ("--mode", "soft", "--separate-weights", "--alpha", "0.2", "--beta", "0.6", "--tensorboard")
    images = ("--data", "shapes:400@16", "--classes", "4", "--data-seed", "3")
    done = run("search", "--lut", "tiny.csv", *QUICK, *paper, *images, cwd=folder)
    assert done.returncode == 0, done.stderr
    follows = [line for line in done.stdout.splitlines() if line.startswith("next:  lutbench train ")]
    assert [line.endswith(".json " + " ".join(images)) for line in follows] == [True]
    assert "product, alpha 0.2, beta 0.6, soft mode" in " ".join(done.stdout.split())
    assert list((folder / "searched/tiny").glob("**/events.out.tfevents.*"))


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--lut", "none.csv"], 4, "none.csv"),
        (["--lut", "tiny.csv", "--lut", "tiny.csv"], 4, "2 LUTs are of device host"),
        (["--lut", "tiny.csv", "--target-ms", "1,2"], 2, "2 targets for 1 LUTs"),
        (["--lut", "tiny.csv", "--target-ms", "1", "--beta", "1"], 2, "leave them out"),
        (["--lut", "tiny.csv", "--resolution", "64"], 4, "operators are missing of space tiny at 64x1.0"),
        (["--lut", "tiny.csv", "--data", "imagefolder:none"], 4, "none/train: is not there"),
        (["--lut", "tiny.csv", "--epochs", "100", "--warmup", "200"], 2, "warmup 200 cannot be"),
        (["--lut", "tiny.csv", "--resume"], 4, "checkpoint.pt"),
        (["--lut", "tiny.csv", "--resume", "--fresh"], 2, "give one of them"),
        (["--lut", "tiny.csv", "-o", "tiny.csv/x"], 2, "cannot write there"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder: Path, arguments: list[str], status: int, text: str) -> None:
    done = run("search", *arguments, cwd=folder)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("searching on ")]
    assert done.returncode == status and not done.stdout, done.stderr
    assert len(lines) == 1 and text in lines[0], done.stderr


def test_luts_of_two_spaces_are_refused(folder: Path) -> None:
    other = (
        (folder / "tiny.csv")
        .read_text()
        .replace('name = "tiny"', 'name = "other"')
        .replace('device = "host"', 'device = "b"')
    )
    (folder / "other.csv").write_text(other)
    line = one_line(run("search", "--lut", "tiny.csv", "--lut", "other.csv", cwd=folder), 4)
    assert "other.csv: is of space other, tiny.csv of tiny" in line
