"""Tables of nets' latencies: what is read, left out, refused; junk ends in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutbench.errors import LatencyTableError, LutbenchError
from lutbench.lut.latencies import read_latencies
from lutbench.space.fbnet import fbnet
from lutbench.space.net import parse_net

GOOD = """\
# a comment
net,resolution,width,device,latency_ms,left_out
fbnet_a,224,1.0,s8,19.8,
mobilenet_v2,192,0.5,s8,8.4,
condensenet_x,224,1.0,s8,28.7,another engine
secret_net,224,1.0,s8,10,
fbnet_b,224,1.0,other,23.1,
"""


def table(tmp_path: Path, text: str) -> str:
    path = tmp_path / "nets.csv"
    path.write_text(text)
    return str(path)


def test_nets_of_one_device(tmp_path: Path) -> None:
    found = read_latencies(table(tmp_path, GOOD), "s8", ())
    assert [(n.name, n.latency_us, n.line) for n in found.nets] == [
        ("fbnet_a@224x1.0", 19800, 3),
        ("mobilenet_v2@192x0.5", 8400, 4),
    ]
    assert found.left_out[0] == "condensenet_x@224x1.0: another engine"
    assert "secret_net" in found.left_out[1]


def test_microseconds_candidates_and_names_with_a_variant(tmp_path: Path) -> None:
    space = fbnet(96, 0.35)
    candidates = "|".join(["k3_e6"] * 22)
    text = f'net,latency_us,runtime\nfbnet_96_035_1,2900,ort 1\nfbnet_a@128x0.5,5000,ort 1\n"{candidates}",3000,ort 1\n'
    found = read_latencies(table(tmp_path, text), "any", (space,))
    assert [n.latency_us for n in found.nets] == [2900, 5000, 3000]
    assert found.nets[2].net.space == space  # type: ignore[union-attr]
    assert found.settings == {"runtime": "ort 1"}


def test_the_papers_table_comes_along() -> None:
    found = read_latencies("published", "s8", ())
    assert len(found.nets) >= 19
    names = {net.name for net in found.nets}
    assert {"fbnet_96_035_1@96x0.35", "mobilenet_v2@96x0.35", "mnasnet@224x0.35"} <= names
    assert not any("condensenet" in name for name in names)
    assert found.settings["dtype"] == "int8"
    assert len(read_latencies("published", "iphonex", ()).nets) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "columns net"),
        ("name,latency_ms\nfbnet_a,1\n", "columns net"),
        ("net,latency_s\nfbnet_a,1\n", "columns net"),
        ("net,latency_ms\nfbnet_a,fast\n", ":2: latency_ms 'fast' is not a number"),
        ("net,latency_ms\nfbnet_a,0\n", "not a positive number"),
        ("net,latency_ms\nfbnet_a,nan\n", "not a positive number"),
        ("net,latency_ms\nfbnet_a,inf\n", "not a positive number"),
        ("net,latency_ms\nfbnet_a,19800000\n", "another unit"),
        ("net,latency_ms\nfbnet_a,0.00000001\n", "another unit"),
        ("net,latency_ms\nfbnet_a,19.8\nfbnet_b\n", ":3: 1 cells"),
        ("net,latency_ms\nfbnet_a,19.8\nfbnet_a,19.9\n", "twice, first in line 2"),
        ('net,latency_ms\n"fbnet_a,19.8\n', "not CSV"),
        ("net,latency_ms,latency_us\nfbnet_a,19.8,19.8\n", ":2: latency_ms 19.8, latency_us 19.8: these are two"),
        ("net,latency_us,latency_ms\nfbnet_a,19800,21.0\n", "these are two latencies; mend one"),
        ("net,latency_ms,latency_us\nfbnet_a,,\n", ":2: latency_ms and latency_us: empty"),
        ("net,latency_ms,latency_ms\nfbnet_a,19.8,19.8\n", "latency_ms is there twice"),
        ("net,latency_ms,net\nfbnet_a,19.8,fbnet_b\n", "net is there twice"),
        ("net,device,latency_ms\nfbnet_a,pixel,19.8\n", "it has pixel"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(LatencyTableError) as caught:
        read_latencies(table(tmp_path, text), "s8", ())
    assert problem in str(caught.value)


def test_a_table_without_rows_says_so(tmp_path: Path) -> None:
    with pytest.raises(LatencyTableError, match="has columns and no row"):
        read_latencies(table(tmp_path, "net,latency_ms\n"), "s8", ())


def test_two_columns_of_one_latency(tmp_path: Path) -> None:
    """They differ by their rounding, or one of them is filled in."""
    text = "net,latency_ms,latency_us\nfbnet_a,19.8,19812.5\nfbnet_b,23.1,\nfbnet_c,,28100\n"
    found = read_latencies(table(tmp_path, text), "s8", ())
    assert [net.latency_us for net in found.nets] == [19812.5, 23100, 28100]


def test_a_key_says_which_net_a_file_was(tmp_path: Path) -> None:
    own = replace(fbnet(64, 1.0), name="own")
    nets = [parse_net(",".join([word] * 22), space) for word in ("k3_e1", "k5_e6") for space in (fbnet(224, 1.0), own)]
    rows = [f'nets/{n}.json,64,1.0,{20000 + n},"{net.key}"\n' for n, net in enumerate(nets)]
    files = "other.json,64,1.0,20000,\nmodel.onnx,,,20000,\nevil.json,,,20000,/etc/passwd.json\nx,,,20000,my:net\n"
    text = table(tmp_path, "net,resolution,width,latency_us,key\n" + "".join(rows) + files)
    found = read_latencies(text, "s8", (own,))
    assert [timed.net.key for timed in found.nets] == [net.key for net in nets]
    assert [timed.name for timed in found.nets] == [f"nets/{n}.json@64x1.0" for n in range(4)]
    reasons = ["is not followed", "a model's file", "is not followed", "not made of this space's operators"]
    assert all(reason in text for reason, text in zip(reasons, found.left_out, strict=True))
    assert "of the space own@64x1.0, which is not known here" in read_latencies(text, "s8", ()).left_out[0]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_junk_ends_in_one_line(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "junk.csv"
    path.write_bytes(junk)
    with pytest.raises(LutbenchError):
        read_latencies(str(path), "s8", ())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(GOOD) - 1), st.characters(), st.booleans())
def test_a_changed_character_is_read_or_refused(tmp_path: Path, at: int, character: str, insert: bool) -> None:
    text = GOOD[:at] + character + GOOD[at + (not insert) :]
    path = tmp_path / "mutated.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        found = read_latencies(str(path), "s8", ())
    except LutbenchError as error:
        assert "\n" not in str(error)
    else:
        assert all(net.latency_us > 0 for net in found.nets)
