"""A search on an imported table with latencies of 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutbench.errors import UsageError
from lutbench.lut.importers.build import ImportRequest, import_table
from lutbench.search.latency import latency_model
from lutbench.search.objective import product
from tests.lut.importers.samples import SPACE, text_table


def test_a_fastest_net_of_0_has_no_product(tmp_path: Path) -> None:
    head, *lines = text_table().split("\n")
    (tmp_path / "table.txt").write_text("\n".join([head, *(" ".join(["0", *line.split()[1:]]) for line in lines)]))
    lut = import_table(ImportRequest(tmp_path / "table.txt", "fbnet-text", unit="us"))
    model = latency_model(lut, SPACE)
    assert model.net_us(model.fastest) == 0
    with pytest.raises(UsageError, match="give a target instead"):
        product([model])
