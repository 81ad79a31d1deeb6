"""A report of imported tables: rows of latency 0, and no layers around the blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lutbench.lut.importers.build import ImportRequest, import_table
from lutbench.lut.predict import predict_blocks
from lutbench.report.additivity import Additivity
from lutbench.report.head import page_head
from lutbench.report.maps import latency_map, ratio_map
from lutbench.report.page import page
from lutbench.report.side import sides_of
from lutbench.space.zoo import find_net
from tests.lut.importers.samples import SPACE, text_table
from tests.lut.test_coverage import text_lut


def test_a_report_shows_rows_of_0_and_what_is_missing(tmp_path: Path) -> None:
    head, *lines = text_table().split("\n")
    lines[0] = " ".join(["0", *lines[0].split()[1:]])
    (tmp_path / "table.txt").write_text("\n".join([head, *lines]))
    zero = import_table(ImportRequest(tmp_path / "table.txt", "fbnet-text", unit="us", device="zero"))
    a, b = sides_of([replace(zero, path=Path("zero.csv")), text_lut(tmp_path)])
    assert a.blocks_alone and b.blocks_alone
    first = latency_map(a, SPACE).cells[0]
    assert (first.state, first.value, first.text) == ("identity", 0.0, "0")
    assert 0.0 not in latency_map(a, SPACE).values
    assert ratio_map([a, b], SPACE).cells[0].state == "identity"
    net = find_net("fbnet_b", ())
    found = a.prediction(net)
    assert found is not None and found.latency_us == predict_blocks(a.lut, net).latency_us
    drawn = str(page_head([a, b], [Additivity((), ""), Additivity((), "")]))
    assert drawn.count("Incomplete: it has no rows of stem_k3_3x224x224_16_s2") == 2
    whole = str(page([a.lut, b.lut]))
    assert "Blocks alone, without the layers around them" in whole
