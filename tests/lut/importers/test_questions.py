"""What a file leaves open is asked for by the option that decides: unit, space, size. Nothing is off by a thousand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.errors import LutbenchError, LutError, UsageError
from lutbench.lut.importers import fbnet_text
from lutbench.lut.importers.build import ImportRequest, import_table
from lutbench.lut.importers.entry import decode
from lutbench.lut.table import Lut
from lutbench.reading.kinds import PUBLISHED_TABLE
from lutbench.reading.pickle_data import load_data
from lutbench.space.fbnet import fbnet
from tests.lut.importers.samples import TEXT_COLUMNS, hw_pickle, hw_table, nni_lines, text_rows, text_table

OWN = """\
name = "own"
resolution = 160
candidates = ["k3_e3", "k5_e6", "k3_e1", "skip"]
stem = {channels = 16}
head = {channels = 64}
[[stage]]
channels = 24
layers = 3
stride = 2
"""
OWN_TABLE = "0.118 0.224 0.131 0.402\n0.097 0.188 0.110 0.325\n0.088 0.171 0.102 0.297\n"


def imported(folder: Path, text: str | bytes, name: str = "fbnet-text", **options: object) -> Lut:
    path = folder / "table.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return import_table(ImportRequest(path, name, **options))  # type: ignore[arg-type]


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "own.toml").write_text(OWN)
    return str(tmp_path / "own.toml")


def test_a_table_of_ones_own_space(own: str, tmp_path: Path) -> None:
    lut = imported(tmp_path, OWN_TABLE, space=own, resolution=192, unit="ms")
    assert (lut.metadata.space.name, lut.metadata.space.resolutions) == ("own", (192,))
    assert lut.metadata.space.definition == OWN
    (space,) = lut.metadata.space.spaces
    first = space.layers[0]
    assert first.h_in == 96
    assert lut.by_operator[first.operator(first.candidates[1]).name].latency_us == 224.0
    assert any("192x1.0 of space own; as asked for" in note for note in lut.metadata.origin["notes"])


def test_what_a_table_of_ones_own_leaves_open_is_asked_for(own: str, tmp_path: Path) -> None:
    with pytest.raises(
        LutError, match=r"3 rows of latencies where FBNet has 22 layers; is it of another space\? --space"
    ):
        imported(tmp_path, OWN_TABLE)
    with pytest.raises(LutbenchError, match="--unit"):
        imported(tmp_path, OWN_TABLE, space=own)


def test_rows_without_names_are_of_no_certain_space(tmp_path: Path) -> None:
    bare = text_table().split("\n", 1)[1]
    with pytest.raises(UsageError, match=r"neither the space nor the image's size.*--space fbnet --resolution 224"):
        imported(tmp_path, bare)
    assert imported(tmp_path, bare, space="fbnet", resolution=192).metadata.space.resolutions == (192,)
    named = imported(tmp_path, text_table())
    assert any("taken as 224x1.0 of space fbnet; --space and" in note for note in named.metadata.origin["notes"])


@pytest.mark.parametrize("factor", [30.0, 1e-2, 1e3, 1e-3])
def test_a_unit_is_certain_or_asked_for(factor: float, tmp_path: Path) -> None:
    """10^10 multiply-accumulates a second are microseconds; at 3 * 10^8 and 10^12, nanoseconds and milliseconds too."""
    rows = "\n".join([TEXT_COLUMNS, *(" ".join(str(value * factor) for value in row) for row in text_rows())])
    with pytest.raises(LutbenchError, match="--unit"):
        imported(tmp_path, rows)
    assert imported(tmp_path, rows, unit="us").metadata.origin["unit"] == "us"


def test_the_unit_of_an_nni_table_too(tmp_path: Path) -> None:
    large = [
        {"op_name": "mb_k3_e6_res", "op_data_shape": (56, 56, 32, 32, 1), "op_dtype": "float", "op_latency": us}
        for us in (100.0, 90.0)
    ]
    with pytest.raises(UsageError, match=r"in ms .* or us .*; --unit ms or us"):
        imported(tmp_path, "\n".join(map(str, large[:1])), "nni")
    assert imported(tmp_path, nni_lines(), "nni").metadata.origin["unit"] == "us"


def test_formats_that_name_their_operators_take_no_space(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names its operators' shapes"):
        imported(tmp_path, nni_lines(), "nni", space="fbnet")


def test_a_batch_is_said(tmp_path: Path) -> None:
    assert imported(tmp_path, text_table(), batch=8).metadata.batch == 8
    assert imported(tmp_path, text_table()).metadata.batch == 1


ROWS = [[f"{value:.6g}" for value in row] for row in text_rows()]
HEAD = TEXT_COLUMNS.split()


def laid(separator: str, decimal: str = ".", head: bool = True, index: bool = False, wrap: str = "{}") -> str:
    rows = [[wrap.format(cell.replace(".", decimal)) for cell in row] for row in ROWS]
    rows = [[str(n), *row] if index else row for n, row in enumerate(rows)]
    lines = [*([["", *HEAD] if index else HEAD] if head else []), *rows]
    return "\n".join(separator.join(line) for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        laid(" "),
        laid(","),
        laid(", "),
        laid("\t", ","),
        laid(";", ","),
        laid(" ", ","),
        laid(",", index=True),
        laid(";", ",", index=True),
        laid(" ", wrap="np.float64({})"),
        laid(", ", wrap="np.float32({})"),
        laid(" ", wrap="tensor({}, dtype=torch.float64)"),
        "\n".join(f"[{line}]" for line in laid(", ", wrap="np.float64({})").split("\n")),
        "# in microseconds\n" + laid(" ").replace("\n", " \n") + "\n\n",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_text_table_in_any_layout(text: str, end: str, tmp_path: Path) -> None:
    plain = imported(tmp_path, laid(" "))
    found = imported(tmp_path, text.replace("\n", end).encode("utf-8-sig"))
    assert found.rows == plain.rows


@given(st.sampled_from([" ", ",", ";", "\t"]), st.sampled_from([".", ","]), st.booleans(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_layout_is_the_same_or_refused(separator: str, decimal: str, head: bool, index: bool) -> None:
    path = Path("table.txt")
    expected = fbnet_text.read(laid(" ").encode(), path, "").entries
    try:
        found = fbnet_text.read(laid(separator, decimal, head, index).encode(), path, "").entries
    except LutError as error:
        assert "\n" not in str(error)
    else:
        assert [(e.key, e.latency) for e in found] == [(e.key, e.latency) for e in expected]


@pytest.mark.parametrize(
    ("printed", "plain"),
    [
        ("np.float64(1.2)", "1.2"),
        ("numpy.float32(1e-05)", "1e-05"),
        ("np.int64(12)", "12"),
        ("array(0.5)", "0.5"),
        ("tensor(0.5, device='cuda:0')", "0.5"),
        ("np.float64(nan)", "np.float64(nan)"),
        ("np.float64(1.2", "np.float64(1.2"),
        ("my_np.float64(1)", "my_np.float64(1)"),
    ],
)
def test_numbers_as_numpy_2_and_torch_print_them(printed: str, plain: str) -> None:
    assert decode(f"a: {printed}\n".encode(), Path("x")) == f"a: {plain}\n"


def test_nni_records_that_numpy_2_printed(tmp_path: Path) -> None:
    text = nni_lines().replace("100.0", "np.float64(100.0)")
    assert "np.float64" in text
    assert imported(tmp_path, text, "nni").rows == imported(tmp_path, nni_lines(), "nni").rows


def test_a_pickle_of_numpys_numbers(tmp_path: Path) -> None:
    import pickle
    from collections import OrderedDict

    import numpy as np

    table = OrderedDict((key, np.float64(value)) for key, value in hw_table().items())  # type: ignore[arg-type]
    data = pickle.dumps({"fbnet": OrderedDict(pixel3_latency=table)})
    assert load_data(data, Path("x"), PUBLISHED_TABLE) == {"fbnet": {"pixel3_latency": hw_table()}}
    plain = imported(tmp_path, hw_pickle(), "hw-nas-bench", select="pixel3")
    assert imported(tmp_path, data, "hw-nas-bench").rows == plain.rows


def test_layers_with_candidates_of_their_own(tmp_path: Path) -> None:
    space = tmp_path / "two.toml"
    space.write_text(OWN.replace("layers = 3", 'layers = 2\ncandidates = ["k3_e3", "skip"]'))
    text = "k3_e3 k5_e6 k3_e1 skip\n100 - - 90\n80 nan 70 60\n"
    lut = imported(tmp_path, text, space=str(space), unit="us")
    assert [json.dumps(text) for text in lut.metadata.origin["left_out"]] == [
        '"layer 2 k3_e1: the layer has no candidate k3_e1"'
    ]
    assert sum(row.parts.kind == "ir" for row in lut.rows) == 2


def test_fbnets_own_candidates_are_known() -> None:
    assert [fbnet_text.zoo_name(c) for c in fbnet(224, 1.0).candidates] != []
