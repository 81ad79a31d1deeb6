"""Entries of every format become a LUT that survives its file, in microseconds, with nothing dropped or made up."""

from __future__ import annotations

import hashlib
import math
import pickle
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutbench.errors import LutError, OutputError, UsageError
from lutbench.lut.file import check_replaces, format_lut, parse_lut, read_lut, write_lut
from lutbench.lut.importers.build import ImportRequest, import_table
from lutbench.lut.metadata import Metadata, SpaceSection
from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.reading.kinds import PUBLISHED_TABLE
from lutbench.space.operator import parse_operator
from lutbench.space.zoo import find_net
from tests.lut.importers.samples import OFA, PROXYLESS, SPACE, hw_key, hw_pickle, nni_lines, text_table, work_us
from tests.lut.test_file import row

SAMPLES = {
    "ofa": OFA.encode(),
    "hw-nas-bench": hw_pickle(),
    "nni": nni_lines().encode(),
    "fbnet-text": text_table().encode(),
}


def imported(folder: Path, name: str, data: bytes | None = None, **options: object) -> Lut:
    path = folder / "source.bin"
    path.write_bytes(SAMPLES[name] if data is None else data)
    select = {"hw-nas-bench": "pixel3"}.get(name, "")
    return import_table(ImportRequest(path, name, **{"select": select, **options}))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SAMPLES)
def test_an_imported_lut_survives_its_file(name: str, tmp_path: Path) -> None:
    lut = imported(tmp_path, name)
    write_lut(lut, tmp_path / "lut.csv")
    read = read_lut(tmp_path / "lut.csv")
    assert read.metadata == lut.metadata
    assert repr(read.rows) == repr(lut.rows)
    assert format_lut(read) == format_lut(lut)
    assert len(read.to_frame()) == len(lut.rows)
    origin = read.metadata.origin
    assert read.metadata.provenance == "imported"
    assert origin["sha256"] == hashlib.sha256(SAMPLES[name]).hexdigest()
    assert origin["format"] == name and origin["source"].startswith("source.bin (")
    assert origin["rows"] == len(lut.rows)


def test_milliseconds_become_microseconds_with_the_interval_of_the_mean(tmp_path: Path) -> None:
    found = imported(tmp_path, "ofa").by_operator["ir_k5_e4_g1_32x56x56_32_s1"]
    half_us = 1.96 * 100 / math.sqrt(100)
    assert found.latency_us == 4000.457
    assert found.ci_low_us == pytest.approx(4000.4567 - half_us, abs=0.001)
    assert found.ci_high_us == pytest.approx(4000.4567 + half_us, abs=0.001)
    assert found.samples == 100
    assert not found.has_percentiles


def test_equal_layers_share_a_row_that_covers_them_all(tmp_path: Path) -> None:
    lut = imported(tmp_path, "fbnet-text")
    once = parse_operator("ir_k3_e6_g1_16x112x112_16_s1")
    four_us = [work_us(parse_operator("ir_k5_e6_g1_64x14x14_64_s1")) * (1 + 0.1 * n) for n in range(3)]
    shared = lut.by_operator["ir_k5_e6_g1_64x14x14_64_s1"]
    assert shared.latency_us == pytest.approx(median(four_us), abs=0.001)
    assert (shared.ci_low_us, shared.ci_high_us) == pytest.approx((min(four_us), max(four_us)), abs=0.001)
    single = lut.by_operator[once.name]
    assert single.latency_us == pytest.approx(work_us(once), abs=0.001)
    assert not single.has_interval and single.half_width == math.inf
    assert lut.by_operator["identity_64x14x14"].latency_us == 0
    notes = " ".join(lut.metadata.origin["notes"])
    assert "operators with several values in the source: 40 (up to 1.20 times apart)" in notes
    assert "an identity is 0 by definition; the source has up to 6.000 us for one" in notes


def test_the_space_is_fbnets_only_where_all_of_it_is_there(tmp_path: Path) -> None:
    assert imported(tmp_path, "hw-nas-bench").metadata.space == SpaceSection("fbnet", (224,), (1.0,))
    assert imported(tmp_path, "fbnet-text").metadata.space == SpaceSection("fbnet", (224,), (1.0,))
    assert imported(tmp_path, "ofa").metadata.space == SpaceSection("imported", (), ())
    content = pickle.loads(hw_pickle())
    del content["fbnet"]["pixel3_latency"][hw_key(parse_operator("ir_k5_e6_g1_64x14x14_64_s1"))]
    lut = imported(tmp_path, "hw-nas-bench", pickle.dumps(content))
    assert lut.metadata.space.name == "imported"


def test_a_prediction_is_the_plain_sum_and_its_interval_unknown(tmp_path: Path) -> None:
    lut = imported(tmp_path, "hw-nas-bench")
    net = find_net("fbnet_b", (SPACE,))
    prediction = predict(lut, net)
    assert prediction.latency_us == pytest.approx(sum(work_us(operator) for operator in net.operators), abs=0.05)
    assert math.isnan(prediction.ci_low_us) and math.isnan(prediction.ci_high_us)
    with pytest.raises(LutError, match="stem_k3_3x224x224_16_s2"):
        predict(imported(tmp_path, "fbnet-text"), net)
    with pytest.raises(LutError, match="does not cover space fbnet"):
        predict(imported(tmp_path, "ofa"), net)


def test_only_an_imported_lut_may_lack_intervals_and_overhead(tmp_path: Path) -> None:
    lut = imported(tmp_path, "hw-nas-bench")
    assert lut.overhead_us == 0
    with pytest.raises(LutError, match="no interval"):
        replace(lut, metadata=replace(lut.metadata, provenance="measured"))
    text = format_lut(lut).replace('provenance = "imported"', 'provenance = "measured"')
    with pytest.raises(LutError, match="is empty, not a number") as caught:
        parse_lut(text, Path("x.csv"))
    assert caught.value.line is not None


@pytest.mark.parametrize(("unit", "per_ms"), [("s", 1e-3), ("us", 1e3), ("ns", 1e6)])
def test_another_unit_is_noticed_and_can_be_named(unit: str, per_ms: float, tmp_path: Path) -> None:
    expected = imported(tmp_path, "hw-nas-bench")
    content = pickle.loads(hw_pickle())
    table = {key: value * per_ms for key, value in content["fbnet"]["pixel3_latency"].items()}
    data = pickle.dumps({"fbnet": {"pixel3_latency": table}})
    with pytest.raises(LutError, match=f"multiply-accumulates a second.*--unit {unit}$"):
        imported(tmp_path, "hw-nas-bench", data)
    lut = imported(tmp_path, "hw-nas-bench", data, unit=unit)
    assert lut.metadata.origin["unit"] == unit
    for name, found in lut.by_operator.items():
        assert found.latency_us == pytest.approx(expected.by_operator[name].latency_us, abs=0.002)


def test_what_the_source_does_not_state_is_unknown_until_it_is_given(tmp_path: Path) -> None:
    meta = imported(tmp_path, "ofa").metadata
    assert (meta.device, meta.runtime, meta.dtype, meta.threads) == ("unknown", "unknown", "unknown", 1)
    assert "1 is assumed" in " ".join(meta.origin["notes"])
    lut = imported(tmp_path, "ofa", device="note10", runtime="tflite 2.3", dtype="fp32", threads=4)
    meta = lut.metadata
    assert (meta.device, meta.runtime, meta.dtype, meta.threads) == ("note10", "tflite 2.3", "fp32", 4)
    assert "assumed" not in " ".join(meta.origin["notes"])
    assert lut.measure_command == "lutbench profile --device note10 --dtype fp32 --threads 4"
    assert imported(tmp_path, "ofa").measure_command == "lutbench profile --device DEVICE"
    assert imported(tmp_path, "ofa").replacing_command == "lutbench profile --device DEVICE"
    assert imported(tmp_path, "hw-nas-bench").metadata.device == "pixel3"


def test_what_is_left_out_is_in_the_origin(tmp_path: Path) -> None:
    text = PROXYLESS + '"bad\\u2028key\\x85": {mean: .inf}\ntiny: {mean: 1.0e-9}\n'
    lut = imported(tmp_path, "ofa", text.encode())
    assert lut.metadata.origin["left_out"] == [
        "bad.key.: no latency: inf is not a finite number",
        "tiny: 1e-09 ms is below 1 ns or beyond measure",
    ]
    assert parse_lut(format_lut(lut), Path("x.csv")).metadata == lut.metadata


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"unit": "min"}, "no unit is called 'min'"),
        ({"select": "pixel3"}, "nothing to select"),
        ({"runtime": " "}, "--runtime is empty"),
        ({"device": "a\nb"}, "--device"),
    ],
)
def test_wrong_options(options: dict[str, str], problem: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=problem):
        imported(tmp_path, "ofa", **options)


def test_files_that_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(LutError, match=r"no latency that a LUT can keep \(the first: a: no latency"):
        imported(tmp_path, "ofa", b"a: {mean: x}")
    with pytest.raises(LutError, match="no such file"):
        import_table(ImportRequest(tmp_path / "none", "ofa"))
    with pytest.raises(LutError, match="is a folder"):
        import_table(ImportRequest(tmp_path, "ofa"))
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(PUBLISHED_TABLE.largest_bytes + 1)
    for path in (large, Path("/dev/zero")):
        with pytest.raises(LutError, match=r"larger than|is a device"):
            import_table(ImportRequest(path, "ofa"))


def test_an_import_replaces_only_an_import_of_its_format(tmp_path: Path) -> None:
    path = tmp_path / "lut.csv"
    check_replaces(path, "imported", "ofa")
    write_lut(imported(tmp_path, "ofa"), path)
    check_replaces(path, "imported", "ofa")
    with pytest.raises(OutputError, match=r"imported \(ofa\)"):
        check_replaces(path, "imported", "nni")
    metadata = Metadata("host", "onnxruntime 1", "int8", 1, SpaceSection("fbnet", (224,), (1.0,)))
    write_lut(Lut(metadata, (row("fc_1504_1000"),)), path)
    with pytest.raises(OutputError, match="the LUT there is measured"):
        check_replaces(path, "imported", "ofa")
    path.write_text("a diary")
    with pytest.raises(OutputError, match="not a LUT"):
        check_replaces(path, "imported", "ofa")


@given(st.lists(st.just(0.0) | st.floats(1e-9, 1e300), min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_latencies_make_a_lut_or_one_error(tmp_path: Path, latencies: list[float]) -> None:
    text = "".join(
        f"row{number}: {{mean: {value!r}, std: {value!r}, count: 9}}\n" for number, value in enumerate(latencies)
    )
    try:
        lut = imported(tmp_path, "ofa", text.encode())
    except LutError as error:
        assert "no latency that a LUT can keep" in str(error)
        return
    assert len(lut.rows) + len(lut.metadata.origin["left_out"]) == len(latencies)
    assert repr(parse_lut(format_lut(lut), Path("x.csv")).rows) == repr(lut.rows)
