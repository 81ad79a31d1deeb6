from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.errors import LutError, UsageError
from lutbench.jobs.search import (
    check_request,
    default_mode,
    default_rounds,
    default_views,
    latency_models,
    search_request,
    space_of,
)
from lutbench.lut.file import read_lut
from lutbench.search.recipe import SMALL_SET
from lutbench.search.schedule import PAPER, SMALL, default_schedule

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
