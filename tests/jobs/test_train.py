"""`lutbench train` from Python: which nets, in which variant, by which recipe, and what ends it early."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lutbench.errors import (
    ArchitectureError,
    CheckpointError,
    UsageError,
)
from lutbench.events import Event
from lutbench.jobs.train import TrainRequest, check_request, find_trainable, train_net, train_request
from lutbench.search.data import find
from lutbench.search.data.digits import digits
from lutbench.search.data.options import DataOptions
from lutbench.search.hardware import Hardware
from lutbench.search.recipe import SMALL
from lutbench.space.architecture import Architecture, write_architecture
from lutbench.space.find import find_spaces
from lutbench.space.macro import Space
from lutbench.space.sampling import random_nets
from tests.conftest import TINY_TOML


def quiet(_event: Event) -> None:
    pass


@pytest.fixture
def arch(tiny: Space, tmp_path: Path) -> Path:
    write_architecture(Architecture(random_nets(tiny, 1, 0, "found")[0], {}, 0, TINY_TOML), tmp_path / "net.json")
    return tmp_path / "net.json"


def request(net: Path | str, folder: Path, **changes: object) -> TrainRequest:
    recipe = {"epochs": 1, "batch_size": 256}
    return train_request(str(net), folder=folder / "out", resolution=16, recipe=recipe, **changes)


def test_an_architecture_is_trained_at_the_size_of_the_data(arch: Path, tmp_path: Path) -> None:
    found = train_net(request(arch, tmp_path, classes=4), Hardware(), quiet)
    assert (found.resolution, found.classes, found.data) == (16, 4, "digits")
    assert found.net.input_shape == (1, 3, 16, 16)
    assert (found.recipe.epochs, found.recipe.batch_size, found.recipe.momentum) == (1, 256, SMALL.momentum)
    kept = torch.load(found.result.weights, weights_only=True)
    assert kept["identity"]["net"].startswith("tiny@32x1.0:32:") and kept["identity"]["classes"] == 4
    assert set(kept["state"]) == {"net"}
    again = train_net(request(arch, tmp_path, classes=4, begin="resume"), Hardware(), quiet)
    assert again.result.history == found.result.history
    with pytest.raises(CheckpointError, match="classes was 4 and is 10"):
        train_net(request(arch, tmp_path, begin="resume"), Hardware(), quiet)


def test_another_seed_sees_the_same_images(arch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[DataOptions] = []
    monkeypatch.setattr(find, "find_data", lambda _text, options, _report: asked.append(options) or digits(options))
    train_net(request(arch, tmp_path / "a", classes=4, seed=1), Hardware(), quiet)
    train_net(request(arch, tmp_path / "b", classes=4, seed=1, data_seed=2), Hardware(), quiet)
    assert [options.seed for options in asked] == [0, 2]
    assert digits(asked[0]).class_names != digits(asked[1]).class_names
    with pytest.raises(CheckpointError, match="data_seed was 0 and is 2"):
        train_net(request(arch, tmp_path / "a", classes=4, seed=1, data_seed=2, begin="resume"), Hardware(), quiet)


def test_a_published_graph_is_trained_too(tmp_path: Path) -> None:
    changed = request("shufflenet_v2@64x0.5", tmp_path, classes=3)
    found = train_net(replace(changed, images=replace(changed.images, resolution=32)), Hardware(), quiet)
    assert found.net.input_shape == (1, 3, 32, 32) and found.result.epochs == 1


def test_nets_that_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is made by code of its own"):
        find_trainable("timm:resnet18")
    grey = TINY_TOML.replace("classes = 10", "classes = 10\ninput_channels = 1")
    (tmp_path / "grey.toml").write_text(grey)
    ((space,), _) = find_spaces(str(tmp_path / "grey.toml"), (), (1.0,))
    write_architecture(Architecture(random_nets(space, 1, 0, "grey")[0], {}, 0, grey), tmp_path / "grey.json")
    with pytest.raises(UsageError, match="takes 1 channels"):
        find_trainable(str(tmp_path / "grey.json"))
    with pytest.raises(UsageError, match="did you mean fbnet_a"):
        find_trainable("fbnet_aa")
    with pytest.raises(ArchitectureError, match="no such file"):
        find_trainable("none.json")
    with pytest.raises(UsageError, match="resolution 16 is not between"):
        train_net(train_request("mobilenet_v2", folder=tmp_path, resolution=16), Hardware(), quiet)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"net": "fbnet_aa"}, "fbnet_aa"),
        ({"data": "digit"}, "no data is called 'digit'"),
        ({"resolution": 3}, "a resolution of 3"),
        ({"recipe": {"learning_rate": -1.0}}, "learning_rate -1.0 cannot be"),
    ],
)
def test_wrong_options_are_found_before_any_data_are_read(
    changes: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(find, "find_data", None)
    request = train_request(**{"net": "fbnet_a", "folder": tmp_path, **changes})
    with pytest.raises(UsageError, match=problem):
        check_request(request)


def test_options_are_checked_without_pytorch(tmp_path: Path) -> None:
    code = "import sys; from lutbench.jobs.train import check_request, train_request\n"
    code += "from pathlib import Path; check_request(train_request(net='fbnet_a', folder=Path('x')))\n"
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
