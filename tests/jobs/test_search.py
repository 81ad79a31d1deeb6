from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lutbench.errors import LutError, UsageError
from lutbench.jobs.goals import latency_models
from lutbench.jobs.search import (
    check_request,
    default_mode,
    default_rounds,
    default_views,
    find_nets,
    search_folder,
    search_request,
    space_of,
)
from lutbench.jobs.train import find_trainable
from lutbench.lut.file import read_lut
from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.search.budget import WINDOW
from lutbench.search.hardware import Hardware
from lutbench.search.recipe import SMALL_SET
from lutbench.search.schedule import PAPER, SMALL, default_schedule
from lutbench.space.architecture import read_architecture
from lutbench.space.file import parse_space
from tests.conftest import CHOOSING_TOML, TINY_TOML
from tests.search.made import made_lut

LUTS = Path(__file__).parents[2] / "luts"
S8, IPHONE = (read_lut(LUTS / name) for name in ("s8.csv", "iphonex.csv"))


def test_the_space_is_the_luts_first_or_the_one_asked_for() -> None:
    assert space_of(search_request(S8, folder=Path("x")))[0].label == "224x1.0"
    assert space_of(search_request(S8, folder=Path("x"), resolution=96, width=0.35))[0].label == "96x0.35"


def test_every_variant_of_the_luts_that_come_along_can_be_searched(tmp_path: Path) -> None:
    for resolution in (224, 192, 128, 96):
        for width in (1.0, 0.5, 0.35):
            check_request(search_request(S8, IPHONE, folder=tmp_path, resolution=resolution, width=width))
    check_request(search_request(S8, IPHONE, folder=tmp_path, targets_ms=(15.0, 12.0)))


@pytest.mark.parametrize(
    ("targets_ms", "text"),
    [((3.0,), "the fastest takes"), ((60.0,), "the slowest"), ((15.0, 15.0), "2 targets for 1 LUTs")],
)
def test_a_target_out_of_reach_is_refused_before_anything_else(
    targets_ms: tuple[float, ...], text: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=text):
        check_request(search_request(S8, folder=tmp_path / "found", targets_ms=targets_ms))
    assert not (tmp_path / "found").exists()


def test_luts_of_two_spaces_and_of_no_space_are_refused() -> None:
    space, _ = space_of(search_request(S8, folder=Path("x")))
    section = replace(IPHONE.metadata.space, name="other")
    other = replace(IPHONE, metadata=replace(IPHONE.metadata, space=section))
    with pytest.raises(LutError, match="is of space other"):
        latency_models((S8, other), space)
    nothing = replace(S8.metadata.space, resolutions=(), widths=())
    with pytest.raises(LutError, match="does not say which space"):
        space_of(search_request(replace(S8, metadata=replace(S8.metadata, space=nothing)), folder=Path("x")))


def test_few_images_get_scaled_down_defaults_and_many_the_papers() -> None:
    assert (default_mode(1438), default_schedule(1438)) == ("mixed", SMALL)
    assert (default_mode(SMALL_SET), default_schedule(SMALL_SET)) == ("soft", PAPER)
    assert (default_rounds(1438), default_rounds(SMALL_SET)) == (8, 1)
    assert SMALL.temperature_at(SMALL.epochs) == pytest.approx(PAPER.temperature_at(PAPER.epochs))


def test_few_images_are_looked_at_as_often_as_makes_a_thousand_looks() -> None:
    assert [default_views(images) for images in (10, 287, 999, 1000, 26_000)] == [100, 4, 2, 0, 0]


def test_a_search_without_a_lut_is_called_by_its_space_and_what_is_counted(tmp_path: Path) -> None:
    request = search_request(folder=tmp_path, space="fbnetv2", target_mmacs=200.0, target_mparams=6.0)
    check_request(request)
    assert search_folder(request) == Path("searched/fbnetv2_200mmacs_6mparams")
    assert search_folder(search_request(S8, folder=tmp_path, targets_ms=(15.0,))) == Path("searched/s8_15ms")
    both = search_request(S8, folder=tmp_path, targets_ms=(15.0,), target_mmacs=200.0)
    check_request(both)  # of FBNet's space, whose nets are held to both
    assert search_folder(both) == Path("searched/s8_15ms_200mmacs")


@pytest.mark.parametrize(
    ("luts", "options", "text"),
    [
        ((), {}, "neither a LUT nor a space"),
        ((), {"space": "fbnetv2", "targets_ms": (8.0,)}, "--target-ms needs the LUT"),
        ((), {"space": "fbnetv2", "target_mmacs": 5.0}, r"^no net .* takes 5 MMACs; the smallest takes 1\d\.\d+ MMACs"),
        ((), {"space": "fbnetv2", "target_mparams": 4.0, "beta": 1.0}, "--alpha and --beta"),
        ((S8,), {"target_mmacs": 200.0}, "a LUT is given and no --target-ms"),
    ],
)
def test_goals_that_cannot_be_are_one_line(
    luts: tuple[Lut, ...], options: dict[str, Any], text: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=text):
        check_request(search_request(*luts, folder=tmp_path, **options))


def test_what_masks_cannot_serve_is_told_before_anything_is_read(tmp_path: Path) -> None:
    fused = tmp_path / "fused.toml"
    fused.write_text(CHOOSING_TOML.replace('"skip"]', '"fused_k3_e2"]'))
    with pytest.raises(UsageError, match="layer 2 may be fused_k3_e2, which masks do not serve"):
        check_request(search_request(folder=tmp_path, space=str(fused), target_mmacs=0.25))
    with pytest.raises(UsageError, match="one block serves all candidates"):
        check_request(search_request(folder=tmp_path, space="fbnetv2", target_mmacs=200.0, shared=False))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"mode": "soft"}, "soft mode"),
        ({"method": "elastic"}, "elastic mode"),
        ({"space": "fbnetv2", "target_mmacs": 200.0}, "a space whose channels or resolution are searched"),
    ],
)
def test_paths_that_a_search_does_not_have_are_refused(options: dict[str, Any], why: str, tmp_path: Path) -> None:
    luts = () if "space" in options else (S8,)
    with pytest.raises(UsageError, match=f"--paths weights is of mixed mode .* not of {why}"):
        check_request(search_request(*luts, folder=tmp_path, paths="weights", **options))
    check_request(search_request(S8, folder=tmp_path, paths="weights"))


def test_a_lut_of_another_space_than_the_one_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(LutError, match="is of space fbnet, not fbnetv2"):
        check_request(search_request(S8, folder=tmp_path, space="fbnetv2", targets_ms=(8.0,)))


@pytest.mark.parametrize(
    ("changed", "to"),
    [
        ("layers = 2", "layers = 3"),  # every operator of these two has a row all the same
        ('"k5_e2", "skip"', '"skip", "k5_e2"'),
        ("k5_e2", "k5_e3"),
    ],
)
def test_a_lut_of_another_definition_of_the_same_name_is_refused(changed: str, to: str, tmp_path: Path) -> None:
    lut = made_lut(parse_space(TINY_TOML, Path("tiny.toml")), device="mine")
    section = replace(lut.metadata.space, definition=TINY_TOML)
    mine = replace(lut, metadata=replace(lut.metadata, space=section))
    own, other = tmp_path / "tiny.toml", tmp_path / "other.toml"
    own.write_text(f"# as it was measured\n{TINY_TOML}")
    check_request(search_request(mine, folder=tmp_path / "found", space=str(own)))
    assert changed in TINY_TOML
    other.write_text(TINY_TOML.replace(changed, to))
    with pytest.raises(LutError, match=r"mine\.csv: was measured with another definition of the space tiny; measure"):
        check_request(search_request(mine, folder=tmp_path / "found", space=str(other)))


@pytest.mark.parametrize("by", ["counts", "latency"])
def test_channels_and_resolution_are_searched_and_every_net_is_within_its_budgets(by: str, tmp_path: Path) -> None:
    (tmp_path / "choosing.toml").write_text(CHOOSING_TOML)
    space = parse_space(CHOOSING_TOML, Path("choosing.toml")).scaled(32, 1.0)
    section = replace(made_lut(space).metadata.space, definition=CHOOSING_TOML)
    lut = replace(made_lut(space), metadata=replace(made_lut(space).metadata, space=section))
    goal: dict[str, Any] = {"space": str(tmp_path / "choosing.toml"), "target_mmacs": 0.25}
    if by == "latency":
        goal = {"targets_ms": (0.55,), "target_mparams": 0.02}
    request = search_request(
        *((lut,) if by == "latency" else ()),
        folder=tmp_path / by,
        data="digits",
        train_resolution=16,
        schedule={"epochs": 2, "warmup": 1, "batch_size": 128},
        draws=3,
        rounds=2,
        nets=3,
        views=0,
        threads=1,
        **goal,
    )
    found = find_nets(request, Hardware("cpu"), lambda _event: None)
    assert found is not None and len(found.nets) == 3
    for one in found.nets:
        read = read_architecture(one.path)
        assert read.net == one.derived.net and read.net.candidates_text.startswith("r")
        if by == "latency":
            assert predict(lut, read.net).latency_us == pytest.approx(one.derived.predicted_us["host"])
            shares = [read.predicted_us["host"] / 550, read.net.params / 20_000]
        else:
            assert not read.predicted_us
            shares = [read.net.macs / 250_000]
        assert WINDOW < max(shares) <= 1
    assert len(find_trainable(str(found.nets[0].path)).operators) > 5  # type: ignore[union-attr]
