from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.errors import LutbenchError, LutError, UsageError
from lutbench.files import file_sha256
from lutbench.lut.file import format_lut, parse_lut, read_lut, write_lut
from lutbench.lut.merge import merge
from lutbench.lut.metadata import SpaceSection
from lutbench.lut.predict import predict
from lutbench.lut.row import Row, failed_row, identity_row
from lutbench.lut.table import Lut
from lutbench.measure.in_net import InNet
from lutbench.space.fbnet import fbnet
from lutbench.space.macro import Space
from lutbench.space.operator import parse_operator
from lutbench.space.sampling import random_nets
from lutbench.space.zoo import find_net
from tests.conftest import TINY_TOML
from tests.lut.made import METADATA, clocked, fitted, made_lut, made_row, with_row, without

FULL, SMALL = fbnet(224, 1.0), fbnet(192, 0.5)
BLOCK = "ir_k5_e6_g1_64x14x14_64_s1"


def written(lut: Lut, path: Path) -> Lut:
    write_lut(lut, path)
    return read_lut(path)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Lut, Lut]:
    """The same space in two variants, as two profiles wrote it."""
    one = made_lut(path="", revision=3, measured_at="2025-01-02T00:00:00Z", environment={"cpu": "x", "load": 1.5})
    two = made_lut(space=SMALL, path="", measured_at="2025-01-01T00:00:00Z", environment={"cpu": "x", "load": 2.5})
    return written(one, tmp_path / "a.csv"), written(two, tmp_path / "b.csv")


def test_two_variants_become_one_lut_that_predicts_both(pair: tuple[Lut, Lut], tmp_path: Path) -> None:
    found = merge(pair)
    assert found.conflicts == () and found.warnings == ()
    assert found.rows_from == (116, 115)  # the empty graph is in both
    lut = written(found.lut, tmp_path / "merged.csv")
    assert lut.metadata == found.lut.metadata
    space = lut.metadata.space
    assert (space.resolutions, space.widths) == ((224, 192), (1.0, 0.5))
    for net in (find_net("fbnet_a", (FULL,)), find_net("fbnet_a@192x0.5", (SMALL,))):
        source = pair[0] if net.space == FULL else pair[1]
        assert predict(lut, net) == predict(source, net)


def test_a_merged_lut_claims_no_variant_it_lacks(pair: tuple[Lut, Lut]) -> None:
    lut = merge(pair).lut
    spaces = [fbnet(size, width) for size in (224, 192) for width in (1.0, 0.5)]
    assert [lut.covers(space) for space in spaces] == [True, False, False, True]
    assert lut.covered(spaces) == (spaces[0], spaces[3])
    assert replace(lut, rows=()).covered(spaces) == tuple(spaces)
    with pytest.raises(LutError, match=r"does not cover space fbnet at 224x0\.5.*--resolution 224 --width 0\.5"):
        predict(lut, find_net("fbnet_a@224x0.5", (FULL,)))


def test_the_header_says_where_the_rows_are_from(pair: tuple[Lut, Lut]) -> None:
    meta = merge(pair).lut.metadata
    assert (meta.revision, meta.previous, meta.measured_at) == (1, "", "2025-01-02T00:00:00Z")
    assert meta.environment == {"cpu": "x"}  # the load was of one run
    assert meta.origin == {
        "sources": [
            {
                "file": f"{name}.csv",
                "sha256": file_sha256(lut.path),
                "revision": revision,
                "measured_at": at,
                "rows": rows,
            }
            for name, lut, revision, at, rows in (
                ("a", pair[0], 3, "2025-01-02T00:00:00Z", 116),
                ("b", pair[1], 1, "2025-01-01T00:00:00Z", 115),
            )
            if lut.path is not None
        ]
    }


def test_the_quality_is_that_of_the_merged_rows() -> None:
    a = made_lut(quality={"target": 0.02, "rounds": 9, "additivity": {"nets": 200}, "within_target": 0.1})
    a = with_row(with_row(a, made_row(BLOCK, 12.0, 0.05)), failed_row("pool_1504x7x7", "crashed"))
    b = without(a, BLOCK)
    quality = merge([a, replace(b, metadata=replace(b.metadata, quality={"target": 0.01}))]).lut.metadata.quality
    assert quality == {"target": 0.01, "within_target": 108 / 110, "outside_target": [BLOCK], "failed": 1}


def test_the_narrower_interval_wins_and_any_latency_wins_over_a_failure() -> None:
    wide, narrow, failed = made_row(BLOCK, 20.0, 0.03), made_row(BLOCK, 30.0, 0.02), failed_row(BLOCK, "crashed")
    luts = [with_row(made_lut(), row) for row in (wide, narrow, failed)]
    found = merge(luts)
    assert found.lut.by_operator[BLOCK] == narrow
    assert found.conflicts == (BLOCK,) and found.rows_from == (115, 1, 0)
    assert merge(luts[::-1]).lut.by_operator[BLOCK] == narrow
    both_failed = merge([luts[2], luts[2]])
    assert both_failed.lut.by_operator[BLOCK].status == "failed: crashed" and both_failed.conflicts == ()


def test_conflicts_can_be_refused_and_failures_are_none() -> None:
    a, b = made_lut(path="a.csv"), with_row(made_lut(path="b.csv"), made_row(BLOCK, 20.0))
    with pytest.raises(UsageError, match=r"a\.csv says 12\.000 us and b\.csv 20\.000 us") as caught:
        merge([a, b], "refuse")
    assert caught.value.operator == BLOCK
    assert merge([a, with_row(a, failed_row(BLOCK, "crashed"))], "refuse").lut.rows == a.rows


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"device": "android-s8"}, "device: host and android-s8"),
        ({"runtime": "onnxruntime 2"}, r"runtime: onnxruntime 1\.31\.1 and onnxruntime 2"),
        ({"dtype": "fp32"}, "dtype: int8 and fp32"),
        ({"threads": 4}, "threads: 1 and 4"),
        ({"batch": 8}, "batch: 1 and 8"),
        ({"provenance": "estimated"}, "provenance: measured and estimated"),
        ({"environment": {"cpu": "another"}}, "CPU: none and another"),
        ({"space": SpaceSection("mine", (224,), (1.0,), "x")}, "space: fbnet and mine"),
        ({"space": SpaceSection("fbnet", (224,), (1.0,), "x")}, "definition of the space"),
    ],
)
def test_luts_of_different_things_are_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=rf"a\.csv and b\.csv do not merge, they differ in {text}") as caught:
        merge([made_lut(), replace(made_lut(path="b.csv"), metadata=replace(METADATA, **change))])
    assert caught.value.exit_status == 2


def test_rows_of_other_context_depths_are_refused() -> None:
    with pytest.raises(UsageError, match="context depth: 0 and 3"):
        merge([made_lut(), fitted(made_lut(), depth=3)])


def tuned(space: Space, scale: float, operator_us: float, claimed: float) -> Lut:
    """A LUT whose nets take scale and operator_us, and that claims another scale."""
    lut = made_lut(space=space)
    nets_us = {
        net.key: round(
            InNet(scale, operator_us).net_us([(op.name, lut.latency_us(op)) for op in net.operators], lut.overhead_us),
            3,
        )
        for net in random_nets(space, 8, 0, "tune")
    }
    return fitted(
        lut,
        scale=claimed,
        scale_ci_low=claimed,
        scale_ci_high=claimed,
        nets=tuple(nets_us),
        nets_us=tuple(nets_us.values()),
        canaries=("a", "b"),
    )


def test_a_fit_that_differs_is_made_again_from_all_nets() -> None:
    a, b = tuned(FULL, 1.1, 0.0, 1.2), tuned(SMALL, 1.1, 0.0, 1.3)
    context = merge([a, b]).lut.metadata.context
    assert context.scale == pytest.approx(1.1, abs=1e-5) and context.operator_us == pytest.approx(0, abs=1e-3)
    assert set(context.nets) == {*a.metadata.context.nets, *b.metadata.context.nets}
    assert context.net_error == pytest.approx(0, abs=1e-6) and context.canaries == ("a", "b")
    apart = merge([a, tuned(SMALL, 1.5, 0.0, 1.5)]).lut.metadata.context
    assert apart.net_error > 0.005  # no one fit holds for both, and the predictions' intervals say so
    assert merge([b, a]).lut.metadata.context == context


def test_a_fit_is_kept_where_all_agree_and_refused_where_it_cannot_be_made_again() -> None:
    a = tuned(FULL, 1.1, 0.0, 1.2)
    assert merge([a, a]).lut.metadata.context == a.metadata.context
    other = fitted(made_lut(space=SMALL), scale=1.05, scale_ci_low=1.0, scale_ci_high=1.1)
    with pytest.raises(UsageError, match=r"fits to whole nets differ \(1 x row \+ 0 us and 1\.05 x row"):
        merge([made_lut(), other])
    strange = fitted(made_lut(), scale=1.05, scale_ci_low=1.0, scale_ci_high=1.1, nets=("a:1:b",), nets_us=(5.0,))
    with pytest.raises(UsageError, match="too few nets"):
        merge([made_lut(), strange])


def test_other_clocks_are_warned_of() -> None:
    (warning,) = merge([clocked(made_lut(), 40.0), clocked(made_lut(path="b.csv"), 44.0)]).warnings
    assert "1.100x as long for b.csv" in warning
    assert merge([clocked(made_lut(), 40.0), clocked(made_lut(), 40.1)]).warnings == ()
    disturbed = clocked(made_lut(path="b.csv"), 40.1, large=108.0)
    (warning,) = merge([clocked(made_lut(), 40.0, large=100.0), disturbed]).warnings
    assert "small 1.002x, large 1.080x as long for b.csv" in warning


def test_estimates_keep_their_sources() -> None:
    luts = [
        made_lut(provenance="estimated", origin={"source": source, "nets": 5}) for source in ("the paper", "a blog")
    ]
    meta = merge(luts).lut.metadata
    assert meta.provenance == "estimated" and meta.origin["source"] == "the paper and a blog"
    assert [source["origin"]["source"] for source in meta.origin["sources"]] == ["the paper", "a blog"]
    assert parse_lut(format_lut(merge(luts).lut), Path("x.csv")).metadata == meta


def test_a_space_of_ones_own_merges_with_itself() -> None:
    section = SpaceSection("tiny", (32,), (1.0,), TINY_TOML)
    assert tomllib.loads(TINY_TOML)["name"] == "tiny"
    a = made_lut(space=SMALL)
    own = [replace(a, metadata=replace(a.metadata, space=replace(section, resolutions=(size,)))) for size in (32, 64)]
    assert merge(own).lut.metadata.space == replace(section, resolutions=(32, 64))


def test_nothing_is_nothing_to_merge() -> None:
    with pytest.raises(UsageError):
        merge([])


NAMES = [op.name for op in FULL.operators][::6]


@st.composite
def rows(draw: st.DrawFn) -> Row:
    name = draw(st.sampled_from(NAMES))
    if not parse_operator(name).is_measured:
        return identity_row(name)
    if draw(st.booleans()):
        return failed_row(name, draw(st.sampled_from(["crashed", "no memory"])))
    us = draw(st.integers(1, 3)) * 10.0  # few values, so that ties and identical rows come up
    return made_row(name, us, draw(st.sampled_from([0.0, 0.01, 0.02])))


@st.composite
def luts(draw: st.DrawFn) -> Lut:
    found = {row.operator: row for row in draw(st.lists(rows(), max_size=12))}
    return Lut(METADATA, tuple(found[name] for name in sorted(found)), None)


def texts(lut: Lut) -> list[str]:
    return [repr(row) for row in lut.rows]  # a NaN is equal to a NaN here


@given(luts(), luts(), luts())
@settings(deadline=None)
def test_merging_keeps_every_operator_and_depends_on_no_order(a: Lut, b: Lut, c: Lut) -> None:
    found = merge([a, b])
    assert set(found.lut.by_operator) == set(a.by_operator) | set(b.by_operator)
    assert sum(found.rows_from) == len(found.lut.rows)
    assert set(texts(found.lut)) <= set(texts(a)) | set(texts(b))
    assert texts(found.lut) == texts(merge([b, a]).lut)
    assert texts(merge([a, b, c]).lut) == texts(merge([found.lut, c]).lut)
    for name, row in found.lut.by_operator.items():
        others = [lut.by_operator[name] for lut in (a, b) if name in lut.by_operator]
        assert row.half_width == min(other.half_width for other in others)


@given(luts(), luts())
@settings(deadline=None)
def test_merging_again_changes_nothing(a: Lut, b: Lut) -> None:
    itself = merge([a, a])
    assert texts(itself.lut) == texts(a) and itself.conflicts == () and itself.rows_from == (len(a.rows), 0)
    merged = merge([a, b]).lut
    assert texts(merge([merged, b]).lut) == texts(merged)


VALUES = [
    "0",
    "-1.5",
    "1e300",
    "inf",
    "nan",
    "[]",
    "[1.0]",
    "{}",
    '"x"',
    "true",
    "1979-05-27",
    str(10**400),
    "{ small = 1 }",
]
KEYS = [
    "target = 0.01",
    "small = 40.0",
    "scale = 1.2",
    "net_error = 0.0",
    "operator_us = 0.0",
    'cpu = "x"',
    "depth = 0",
]


def on_x(lut: Lut) -> Lut:
    """The LUT as a profile of a CPU called x writes it."""
    quality = {"target": 0.01, "canary_us": {"small": 40.0}}
    return replace(lut, metadata=replace(lut.metadata, environment={"cpu": "x"}, quality=quality))


TEXT = format_lut(on_x(tuned(FULL, 1.1, 0.0, 1.2)))
OTHER = on_x(tuned(SMALL, 1.1, 0.0, 1.2))
KEYS += [
    next(line for line in TEXT.splitlines() if re.match(number, line))[6:-1]
    for number in (r"#     2\d\d\.", "#     1.0,")
]


@given(st.sampled_from(KEYS), st.sampled_from(VALUES))
@settings(deadline=None, max_examples=60)
def test_odd_headers_merge_into_a_lut_or_end_in_one_error(old: str, value: str) -> None:
    assert old in TEXT
    new = f"{old.split(' =')[0]} = {value}" if "=" in old else value
    try:
        odd = parse_lut(TEXT.replace(old, new, 1), Path("odd.csv"))
        found = merge([odd, parse_lut(TEXT, Path("a.csv")), OTHER])
        again = parse_lut(format_lut(found.lut), Path("merged.csv"))
        assert again.metadata.context == found.lut.metadata.context
    except LutbenchError as error:
        assert "\n" not in str(error)
