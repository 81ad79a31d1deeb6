"""What each format's rows become, and that no file ends in anything but a LutbenchError."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.errors import LutbenchError, LutError, UsageError
from lutbench.lut.importers.entry import Reading
from lutbench.lut.importers.formats import IMPORTERS, find_importer
from lutbench.space.fbnet import CANDIDATES
from tests.lut.importers.samples import (
    OFA,
    PROXYLESS,
    SPACE,
    TEXT_COLUMNS,
    hw_pickle,
    hw_table,
    nni_lines,
    text_rows,
    text_table,
    work_us,
)

PATH = Path("table")
SAMPLES = {
    "ofa": OFA.encode(),
    "hw-nas-bench": hw_pickle(),
    "nni": nni_lines().encode(),
    "fbnet-text": text_table().encode(),
}
SELECT = {"hw-nas-bench": "pixel3"}


def read(name: str, data: bytes | str, select: str = "") -> Reading:
    content = data.encode() if isinstance(data, str) else data
    return IMPORTERS[name].read(content, PATH, select or SELECT.get(name, ""))


def names(reading: Reading) -> dict[str, str]:
    return {entry.key: entry.operator.name for entry in reading.entries}


def test_every_format_has_a_sample() -> None:
    assert set(SAMPLES) == set(IMPORTERS)
    with pytest.raises(UsageError, match="did you mean ofa"):
        find_importer("ofaa")


def test_ofa_blocks_by_expanded_channels_and_what_does_not_fit() -> None:
    found = names(read("ofa", OFA))
    block = "expanded_conv-input:56x56x32-output:56x56x32-expand:128-kernel:5-stride:1-idskip:1-se:0-hs:0"
    assert found[block] == "ir_k5_e4_g1_32x56x56_32_s1"
    assert found["AvgPool2D-input:7x7x1152-output:1x1x1152"] == "pool_1152x7x7"
    assert found["Logits-input:1x1x1536-output:1000"] == "fc_1536_1000"
    assert not any(name.startswith("foreign_") for name in found.values())
    assert {found[key] for key in found if "Conv" in key or "expand:24" in key or "se:1" in key or "hs:1" in key} == {
        "stem_k3_hswish_3x224x224_24_s2",  # a MobileNetV3's: they end in a hard swish
        "conv_k1_hswish_192x7x7_1152_s1",
        "fc_hswish_1152_1536",
        "ir_k3_e0_g1_24x112x112_24_s1",
        "ir_k3_e3_g1_se0.25_32x56x56_48_s2",
        "ir_k3_e3_g1_hswish_96x14x14_96_s1",
    }


def test_proxyless_blocks_by_ratio_and_the_spread_from_var() -> None:
    reading = read("ofa", PROXYLESS)
    assert list(names(reading).values()) == [
        "stem_k3_3x224x224_32_s2",
        "conv_k1_320x7x7_1280_s1",
        "poolfc_1280x7x7_1000",  # its input is what the pool reads
        "ir_k3_e0_g1_32x112x112_16_s1",
        "ir_k5_e3_g1_24x56x56_24_s1",
        "foreign_expanded_conv-input:56x56x24-output:56x56x24-expand:3-kernel:5-stride:1-idskip:0",
        "ir_k7_e6_g1_24x56x56_40_s2",
    ]
    assert reading.entries[0].std == pytest.approx(0.02) and reading.entries[0].count == 200


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a: {count: 3}", "no mean"),
        ("a: {mean: .nan}", "not a finite number"),
        ("a: {mean: -1}", "not positive"),
        ("a: {mean: [1]}", "a list of 1 is not"),
        ("a: true", "True is not"),
        ("a: 2001-99-99", "'2001-99-99' is not a finite number"),  # a date is text
        ("a: 190:20:30", "'190:20:30' is not a finite number"),  # so is what YAML once took for base 60
        ("a: 0x" + "f" * 5000, "is not a finite number"),
        ("a: " + "9" * 5000, "is not"),
        ("a: 1.0e+999", "inf is not a finite number"),
        ("3: {mean: 1}", "its key is 3, not text"),
        ("b: {mean: 1}\nb: {mean: 2}", "there twice; the first row is kept"),
        ("b c: {mean: 1}\nb+c: {mean: 2}", "only characters that a name cannot hold"),
        ("'': {mean: 1}", "cannot be its label"),
        ("'" + "x" * 201 + "': {mean: 1}", "cannot be its label"),
    ],
)
def test_a_row_that_cannot_be_kept_is_left_out_with_the_reason(row: str, reason: str) -> None:
    (left_out,) = read("ofa", row).left_out
    assert reason in left_out.reason


def test_a_latency_of_0_is_kept() -> None:
    assert [entry.latency for entry in read("ofa", "a: {mean: 0}\nb: {mean: -0.0}").entries] == [0, 0]
    table = {**hw_table(), **dict.fromkeys(list(hw_table())[:3], 0)}
    reading = read("hw-nas-bench", pickle.dumps({"fbnet": {"fpga_latency": table}}), "fpga")
    assert not reading.left_out and sum(entry.latency == 0 for entry in reading.entries) == 3


def test_a_number_that_yaml_takes_for_text() -> None:
    assert read("ofa", "a: {mean: 1e-05}").entries[0].latency == 1e-05


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &x {mean: 1}\nb: *x", "aliases"),
        ("[" * 100, "nested too deeply"),
        ("a: !!python/object/apply:os.system ['true']", "the tag"),
        ("a: {mean: 1, mean: 2}", "'mean' is there twice"),
        ("a: {[1]: 2}", "a name is a list"),
        ("a: 1\n---\nb: 1", "a second document"),
        ("- a", "not a mapping"),
        ("a: [", "is not YAML"),
    ],
)
def test_yaml_that_is_more_than_data_is_refused(text: str, problem: str) -> None:
    with pytest.raises(LutError, match=problem):
        read("ofa", text)


def test_an_alias_bomb_is_refused_before_anything_is_built() -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    with pytest.raises(LutError, match="aliases"):
        read("ofa", "\n".join(["a0: &a0 [1]", *levels]))


@pytest.mark.parametrize("protocol", range(6))
def test_hw_nas_bench_rows_are_fbnets_operators(protocol: int) -> None:
    reading = read("hw-nas-bench", hw_pickle(protocol))
    found = {entry.operator.name for entry in reading.entries}
    assert {op.name for op in SPACE.operators if op.kind != "overhead"} <= found
    assert [name for name in found if name.startswith("foreign_")] == [
        "foreign_AvgP_H8_W8_Cin64_Cout64_kernel2_stride2"
    ]
    assert reading.device == "pixel3"
    entry = next(entry for entry in reading.entries if entry.operator.name == "ir_k5_e6_g1_64x14x14_64_s1")
    assert entry.latency == pytest.approx(work_us(entry.operator) / 1000)


def test_hw_nas_bench_lists_the_devices() -> None:
    with pytest.raises(UsageError, match="--select pixel3, raspi4"):
        IMPORTERS["hw-nas-bench"].read(hw_pickle(), PATH, "")
    with pytest.raises(UsageError, match="no table 'edgegpu'"):
        read("hw-nas-bench", hw_pickle(), "edgegpu")
    alone = pickle.dumps({"fbnet": {"fpga_latency": hw_table()}})
    assert IMPORTERS["hw-nas-bench"].read(alone, PATH, "").device == "fpga"
    with pytest.raises(LutError, match="holds no latency table of operators"):
        read("hw-nas-bench", pickle.dumps({"nasbench201": {}}))


def test_nni_names_that_are_ours_and_those_that_are_not() -> None:
    reading = read("nni", nni_lines())
    found = names(reading)
    assert found["mb_k3_res-14x14x32x32x1"] == "ir_k3_e1_g1_32x14x14_32_s1"
    assert found["mb_k3_e2_res-14x14x32x64x2"] == "ir_k3_e2_g1_32x14x14_64_s2"
    assert found["mb_k5_e2-14x14x32x64x2"] == "ir_k5_e2_g1_32x14x14_64_s2"
    assert found["mb_k5_e2-14x14x32x32x1"].startswith("foreign_")  # no residual where ours has one
    assert found["ir_k3_s2-14x14x32x32x1"] == "ir_k3_e1_g2_32x14x14_32_s1"
    assert found["skip-14x14x32x32x1"] == "identity_32x14x14"
    assert found["skip-14x14x32x64x2"] == "conv_k1_32x14x14_64_s2"
    for name in ("mb_k3_res_d3", "mb_k5_e2_res_se", "sep_k3", "gh_k5"):
        assert found[f"{name}-14x14x32x32x1"] == f"foreign_{name}-14x14x32x32x1"
    assert reading.dtype == "fp32"


def test_nni_as_json_lines_json_list_and_yaml_list() -> None:
    expected = names(read("nni", nni_lines()))
    records = [eval(line) for line in nni_lines().splitlines()]  # our own text
    assert names(read("nni", "\n".join(map(json.dumps, records)))) == expected
    assert names(read("nni", json.dumps(records, indent=1))) == expected
    texts = [{**record, "op_data_shape": str(record["op_data_shape"])} for record in records]
    assert names(read("nni", yaml.safe_dump(texts))) == expected


def test_nni_asks_which_dtype() -> None:
    both = nni_lines() + nni_lines().replace("'float'", "'int8'")
    with pytest.raises(UsageError, match="--select float, int8"):
        read("nni", both)
    assert read("nni", both, "int8").dtype == "int8"
    assert len(read("nni", both, "int8").entries) == len(read("nni", nni_lines()).entries)


def test_nni_lines_that_are_no_records() -> None:
    with pytest.raises(LutError) as caught:
        read("nni", nni_lines() + "__import__('os').system('true')\n")
    assert caught.value.line == len(nni_lines().splitlines()) + 1
    with pytest.raises(LutError, match="neither a Python literal nor JSON"):
        read("nni", "{'op_name': print()}")
    reading = read(
        "nni", nni_lines() + "{'op_name': 'x', 'op_data_shape': (1, 2), 'op_dtype': 'float', 'op_latency': 1}"
    )
    assert "op_data_shape" in reading.left_out[0].reason


def test_fbnet_text_columns_by_name_and_by_order() -> None:
    expected = [layer.operator(candidate).name for layer in SPACE.layers for candidate in CANDIDATES]
    rows = [" ".join(map(str, row)) for row in text_rows()]
    assert [e.operator.name for e in read("fbnet-text", text_table()).entries] == expected
    assert [e.operator.name for e in read("fbnet-text", "\n".join(rows)).entries] == expected
    turned = ["skip ir_k5_e6 ir_k5_e3 ir_k5_s2 ir_k5_e1 ir_k3_e6 ir_k3_e3 ir_k3_s2 ir_k3_e1"]
    turned += [" ".join(map(str, row[::-1])) for row in text_rows()]
    by_key = {entry.key: entry.latency for entry in read("fbnet-text", text_table()).entries}
    assert {entry.key: entry.latency for entry in read("fbnet-text", "\n".join(turned)).entries} == by_key


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("ir_k3_s2", "ir_k3_e1", "each once"),
        ("\n", "\n1 2 3\n", "23 rows of latencies where FBNet has 22"),
        (" skip\n", " skip\n7 ", "10 latencies where there are 9"),
    ],
)
def test_fbnet_text_of_another_shape_is_refused(old: str, new: str, problem: str) -> None:
    with pytest.raises(LutError, match=problem):
        read("fbnet-text", text_table().replace(old, new, 1))


def test_fbnet_text_a_column_that_is_not_known_leaves_the_others() -> None:
    reading = read("fbnet-text", text_table().replace("ir_k3_s2", "ir_k3_e9"))
    (left_out,) = reading.left_out
    assert str(left_out).startswith("column ir_k3_e9: it is none of FBNet's candidates (ir_k3_e1, ir_k3_s2, ")
    whole = {entry.key: entry.latency for entry in read("fbnet-text", text_table()).entries}
    others = {entry.key: entry.latency for entry in reading.entries}
    assert others == {key: us for key, us in whole.items() if not key.endswith(" k3_e1_g2")}
    with pytest.raises(LutError, match="column 'a' is none of FBNet's candidates"):
        read("fbnet-text", text_table().replace(TEXT_COLUMNS, "a b cc d e f g h i"))


def sane(reading: Reading) -> None:
    for entry in reading.entries:
        assert math.isfinite(entry.latency) and entry.latency >= 0


@pytest.mark.parametrize("name", IMPORTERS)
@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_junk_is_one_error_or_sane_entries(name: str, data: bytes) -> None:
    try:
        sane(read(name, data))
    except LutbenchError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", IMPORTERS)
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_one_error_or_sane_entries(name: str, data: st.DataObject) -> None:
    sample = SAMPLES[name]
    start = data.draw(st.integers(0, len(sample)))
    end = start + data.draw(st.integers(0, 12))
    insert = data.draw(
        st.binary(max_size=8) | st.sampled_from([b"[" * 50, b"9" * 5000, b"&a ", b"*a", b"\x00", b"1e999"])
    )
    try:
        sane(read(name, sample[:start] + insert + sample[end:]))
    except LutbenchError as error:
        assert "\n" not in str(error)
