"""Tables of nets' latencies: what is read, left out, refused; junk ends in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutbench.errors import LatencyTableError, LutbenchError
from lutbench.lut.latencies import read_latencies
from lutbench.space.fbnet import fbnet

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
        ("net,device,latency_ms\nfbnet_a,pixel,19.8\n", "it has pixel"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(LatencyTableError) as caught:
        read_latencies(table(tmp_path, text), "s8", ())
    assert problem in str(caught.value)


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
