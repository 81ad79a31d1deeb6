"""What a LUT's rows stand for: joint rows, ReLU for ReLU6, tables without the layers around the blocks, rows of 0."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.errors import LutError, UsageError
from lutbench.lut.coverage import fixed_us, lacking_note, lacks_fixed, net_parts, timed_as
from lutbench.lut.diff import diff
from lutbench.lut.file import format_lut, parse_lut
from lutbench.lut.importers.build import ImportRequest, import_table
from lutbench.lut.merge import merge
from lutbench.lut.metadata import SpaceSection
from lutbench.lut.predict import predict, predict_blocks
from lutbench.lut.row import Row
from lutbench.lut.table import Lut
from lutbench.search.latency import latency_model
from lutbench.space.fbnet import fbnet
from lutbench.space.operator import Operator, parse_operator
from lutbench.space.sampling import random_nets
from lutbench.space.zoo import find_net
from tests.lut.importers.samples import SPACE, text_table
from tests.lut.test_predict import lut_of_ones

AROUND = ["stem_k3_3x224x224_16_s2", "conv_k1_352x7x7_1504_s1", "pool_1504x7x7", "fc_1504_1000"]


def text_lut(folder: Path, fixed: float | None = None, slower: float = 1.0) -> Lut:
    """FBNet's blocks without what stands around them."""
    head, *lines = text_table().split("\n")
    scaled = [" ".join(str(slower * float(word)) for word in line.split()) for line in lines]
    (folder / "table.txt").write_text("\n".join([head, *scaled]))
    lut = import_table(ImportRequest(folder / "table.txt", "fbnet-text", unit="us", device="phone", fixed_us=fixed))
    return replace(parse_lut(format_lut(lut), folder / "lut.csv"), path=Path("lut.csv"))


def with_rows(lut: Lut, *rows: Row) -> Lut:
    return replace(lut, rows=tuple(sorted((*lut.rows, *rows), key=lambda row: row.operator)))


def unknown_spread(operator: str, us: float) -> Row:
    return Row(operator, us, *(math.nan,) * 5, samples=0, rounds=0)


def test_without_a_constant_a_prediction_names_what_is_missing_and_what_says_it(tmp_path: Path) -> None:
    lut, net = text_lut(tmp_path), find_net("fbnet_a", ())
    assert net_parts(lut, net).lacking == tuple(AROUND) and lacks_fixed(lut)
    with pytest.raises(LutError, match=r"no rows of the layers around the blocks.*import --fixed-us N") as caught:
        predict(lut, net)
    assert caught.value.operator == AROUND[0] and "\n" not in str(caught.value)
    assert lacking_note(lut).startswith(f"it has no rows of {', '.join(AROUND[:3])} and 1 more: nets are searched")


def test_a_constant_stands_for_what_is_missing(tmp_path: Path) -> None:
    alone, lut = text_lut(tmp_path), text_lut(tmp_path, fixed=1234.5)
    assert fixed_us(lut) == 1234.5 and not lacks_fixed(lut)
    assert "1234.5 us stand for them" in lacking_note(lut)
    for net in random_nets(SPACE, 5, 1, "net"):
        blocks = predict_blocks(alone, net).latency_us
        assert blocks == pytest.approx(math.fsum(alone.latency_us(op) for op in net.operators if op.name not in AROUND))
        assert predict(lut, net).latency_us == pytest.approx(blocks + 1234.5)
        assert latency_model(alone, SPACE).net_us(net) == pytest.approx(blocks)
        assert latency_model(lut, SPACE).net_us(net) == pytest.approx(blocks + 1234.5)


def test_a_constant_is_of_the_missing_layers_only(tmp_path: Path) -> None:
    lut = with_rows(text_lut(tmp_path, fixed=100.0), unknown_spread(AROUND[0], 55.0))
    net = find_net("fbnet_a", ())
    assert predict(lut, net).latency_us == pytest.approx(predict_blocks(lut, net).latency_us + 55.0 + 100.0)
    every = with_rows(text_lut(tmp_path, fixed=100.0), *(unknown_spread(name, 5.0) for name in AROUND))
    assert predict(every, net).latency_us == pytest.approx(predict_blocks(every, net).latency_us + 20.0)


def test_a_block_that_is_missing_is_an_error_whatever_is_said_of_the_rest(tmp_path: Path) -> None:
    lut, net = text_lut(tmp_path, fixed=100.0), find_net("fbnet_a", ())
    block = net.operators[4].name
    less = replace(lut, rows=tuple(row for row in lut.rows if row.operator != block))
    for ask in (predict, predict_blocks):
        with pytest.raises(LutError, match="does not cover space fbnet") as caught:
            ask(less, net)
        assert caught.value.operator == block
    with pytest.raises(LutError, match=f"1 operators are missing of space fbnet at 224x1.0: {block}"):
        latency_model(less, SPACE)


def test_only_an_imported_lut_may_lack_layers() -> None:
    lut = lut_of_ones()
    less = replace(lut, rows=tuple(row for row in lut.rows if row.operator not in AROUND))
    assert not lacks_fixed(less) and lacking_note(less) == ""
    with pytest.raises(LutError, match="does not cover"):
        predict(less, find_net("fbnet_a", ()))
    with pytest.raises(LutError, match="operators are missing"):
        latency_model(less, SPACE)


def test_a_comparison_takes_blocks_alone_on_both_sides(tmp_path: Path) -> None:
    a, b = text_lut(tmp_path), text_lut(tmp_path, fixed=10.0, slower=2.0)
    found = diff(a, b)
    assert any("by their blocks alone: A has no rows of the layers around them" in text for text in found.warnings)
    assert [net.ratio for net in found.nets if net.name == "fbnet_b"] == [pytest.approx(2.0, abs=1e-3)]
    both = diff(text_lut(tmp_path, fixed=10.0), b)
    assert not both.warnings and all(net.ratio < 2 for net in both.nets) and both.nets


@pytest.mark.parametrize("value", [-1, math.inf])
def test_a_constant_that_cannot_be(value: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--fixed-us"):
        text_lut(tmp_path, fixed=value)


@pytest.mark.parametrize("value", [True, "1", -1, 1e300, math.nan])
def test_a_constant_that_a_file_should_not_have(value: object, tmp_path: Path) -> None:
    lut = text_lut(tmp_path)
    odd = replace(lut, metadata=replace(lut.metadata, origin={**lut.metadata.origin, "fixed_us": value}))
    with pytest.raises(LutError, match="fixed_us is not a number of microseconds"):
        predict(odd, find_net("fbnet_a", ()))


@pytest.mark.parametrize(("other", "kept"), [(10.0, 10.0), (11.0, None), (None, None)])
def test_a_merge_keeps_the_constant_that_all_have(other: float | None, kept: float | None, tmp_path: Path) -> None:
    a, b = text_lut(tmp_path, fixed=10.0), text_lut(tmp_path, fixed=other)
    halves = replace(a, rows=a.rows[::2]), replace(b, rows=b.rows[1::2])
    assert fixed_us(merge(halves).lut) == kept


def test_a_row_of_pool_and_classifier_stands_for_the_two(tmp_path: Path) -> None:
    lut = with_rows(text_lut(tmp_path), *(unknown_spread(name, 7.0) for name in (*AROUND[:2], "poolfc_1504x7x7_1000")))
    net = find_net("fbnet_a", ())
    assert predict(lut, net).latency_us == pytest.approx(predict_blocks(lut, net).latency_us + 21.0)
    assert latency_model(lut, SPACE).net_us(net) == pytest.approx(predict(lut, net).latency_us)
    own = with_rows(lut, *(unknown_spread(name, 1.0) for name in AROUND[2:]))
    assert predict(own, net).latency_us == pytest.approx(predict_blocks(lut, net).latency_us + 16.0)


def test_a_row_of_relu_stands_for_relu6_where_its_own_is_not_there(tmp_path: Path) -> None:
    lut = text_lut(tmp_path)
    there, gone = "ir_k3_e6_g1_16x112x112_24_s2", "ir_k3_e7_g1_relu6_16x112x112_24_s2"
    clamped = parse_operator("ir_k3_e6_g1_relu6_16x112x112_24_s2")
    assert [op.name for op in timed_as(lut, [clamped, parse_operator(gone)])] == [there, gone]
    own = with_rows(lut, unknown_spread(clamped.name, 3.0))
    assert timed_as(own, [clamped]) == (clamped,)
    hard = parse_operator("ir_k3_e6_g1_hswish_16x112x112_24_s2")
    assert timed_as(lut, [hard]) == (hard,)


@given(st.lists(st.sampled_from([op.name for op in fbnet(224, 1.0).operators]), max_size=8))
def test_a_lut_with_all_rows_times_operators_as_they_are(names: list[str]) -> None:
    operators = [parse_operator(name) for name in names]
    assert timed_as(lut_of_ones(), operators) == tuple(operators)


def test_rows_of_latency_0_are_kept_and_noted(tmp_path: Path) -> None:
    head, *lines = text_table().split("\n")
    first = lines[0].split()
    lines[0] = " ".join(["0", *first[1:]])
    (tmp_path / "table.txt").write_text("\n".join([head, *lines]))
    lut = import_table(ImportRequest(tmp_path / "table.txt", "fbnet-text", unit="us"))
    name = "ir_k3_e1_g1_16x112x112_16_s1"
    assert lut.by_operator[name].latency_us == 0 and lut.by_operator[name].half_width == math.inf
    assert any(f"rows of latency 0: 1 (the first: {name})" in note for note in lut.metadata.origin["notes"])
    assert lut.metadata.space == SpaceSection("fbnet", (224,), (1.0,))
    text = format_lut(lut)
    assert repr(parse_lut(text, tmp_path / "x.csv").rows) == repr(lut.rows)
    for other in ("measured", "estimated"):
        with pytest.raises(LutError, match=r"not positive|is empty, not a number"):
            parse_lut(text.replace('provenance = "imported"', f'provenance = "{other}"'), tmp_path / "x.csv")
    assert name not in [change.name for change in diff(lut, lut).operators]


def test_equal_layers_of_which_some_are_0(tmp_path: Path) -> None:
    head, *lines = text_table().split("\n")
    layers = [layer.shape for layer in SPACE.layers]
    same = [number for number, shape in enumerate(layers) if shape == (64, 14, 14, 64, 1)]
    for number in same[:-1]:
        lines[number] = " ".join(["0", *lines[number].split()[1:]])
    (tmp_path / "table.txt").write_text("\n".join([head, *lines]))
    row = import_table(ImportRequest(tmp_path / "table.txt", "fbnet-text", unit="us")).by_operator[
        "ir_k3_e1_g1_64x14x14_64_s1"
    ]
    assert row.latency_us == row.ci_low_us == 0 < row.ci_high_us and row.half_width == math.inf


def test_a_measured_row_of_0_cannot_be_made() -> None:
    for rounds, known in ((1, math.nan), (0, 0.0)):
        with pytest.raises(LutError, match="not positive"):
            Row("fc_1504_1000", 0.0, 0.0, 0.0, known, known, known, samples=0, rounds=rounds)
    row = unknown_spread("fc_1504_1000", 0.0)
    metadata = replace(lut_of_ones().metadata, provenance="estimated")
    with pytest.raises(LutError, match=r"latency_us 0\.0 is not positive"):
        Lut(metadata, (replace(row, ci_low_us=0.0, ci_high_us=0.0),))


def test_the_joint_operator_counts_as_its_two_parts() -> None:
    joint, pool, fc = Operator("poolfc", 1280, 7, 7, 1000), Operator("pool", 1280, 7, 7, 1280), None
    fc = Operator("fc", 1280, 1, 1, 1000)
    assert (joint.macs, joint.params) == (pool.macs + fc.macs, pool.params + fc.params)
    assert joint.input_shape == pool.input_shape and joint.output_shape == fc.output_shape
    assert parse_operator(joint.name) == joint


@pytest.mark.parametrize(
    ("section", "options"),
    [
        (SpaceSection("fbnet", (224,), (1.0,)), ""),
        (SpaceSection("fbnet", (224, 96), (1.0, 0.35)), ""),
        (SpaceSection("fbnet", (96,), (0.35,)), " --resolution 96 --width 0.35"),
        (SpaceSection("fbnet-cifar", (32,), (1.0,)), " --space fbnet-cifar"),
        (SpaceSection("proxyless", (64,), (1.0,)), " --space proxyless --resolution 64"),
        (SpaceSection("of_a_later_version", (64,), (0.5,)), " --space of_a_later_version"),
        (SpaceSection("mine", (64,), (0.5,), "name = 'mine'"), " --space FILE"),
        (SpaceSection("imported", (), ()), ""),
    ],
)
def test_how_a_measurement_that_replaces_it_is_asked_for(section: SpaceSection, options: str) -> None:
    lut = lut_of_ones()
    other = replace(lut, metadata=replace(lut.metadata, space=section))
    assert other.replacing_command == f"{lut.measure_command}{options}"
