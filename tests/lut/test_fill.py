"""A grid of which a part was measured: what is kept, how the rest is made, and what is said of it."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lutbench.cli.estimate import command
from lutbench.errors import LutError, UsageError
from lutbench.lut.file import read_lut, write_lut
from lutbench.lut.fill import fill
from lutbench.lut.metadata import Metadata, space_section
from lutbench.lut.predict import predict
from lutbench.lut.row import Row, identity_row
from lutbench.lut.table import Lut
from lutbench.search.latency import latency_model
from lutbench.space.file import parse_space
from lutbench.space.macro import Space
from lutbench.space.operator import OVERHEAD, Operator
from lutbench.space.sampling import random_nets

WHOLE_TOML = """\
name = "whole"
resolutions = [32, 64]
classes = 10
candidates = ["k{3,5}_e{1..6..1}_m8_{relu,hswish}", "skip"]

[stem]
channels = 16

[[stage]]
channels = "16..64..8"
layers = 2

[[stage]]
channels = [64, 80, 96, 128]
layers = 2
stride = 2

[head]
channels = 128
"""
PART_TOML = WHOLE_TOML.replace('"16..64..8"', "[16, 40, 64]").replace("1..6..1", "1..6..2.5")
PART_TOML = PART_TOML.replace('name = "whole"', 'name = "part"')


def space(definition: str) -> Space:
    return parse_space(definition, Path("space.toml")).scaled(64, 1.0)


WHOLE, PART = space(WHOLE_TOML), space(PART_TOML)


def device_us(operator: Operator, step: int) -> float:
    """A made-up device: 5 us, a cost for each kind of layer, channels in steps, and 1 % of noise."""
    if operator == OVERHEAD:
        return 5.0
    found, graph = 7.0, operator.graph
    for node in graph.nodes[1:]:
        given = graph.nodes[node.inputs[0]].shape
        c_in, c_out = (math.ceil(c / step) * step for c in (given[0], node.shape[0]))
        places = node.shape[1] * node.shape[2]
        if node.kind == "conv" and node.groups > 1:
            found += c_out * places * node.kernel**2 / 3000
        elif node.kind in ("conv", "fc"):
            found += c_in * c_out * places * node.kernel**2 / 20_000
    return found * random.Random(operator.name).gauss(1, 0.01)


def measured(wanted: Space, step: int) -> Lut:
    rows = []
    for operator in wanted.operators:
        us = device_us(operator, step) if operator.is_measured else 0.0
        rows.append(Row(operator.name, *(us,) * 6, samples=36, rounds=12) if us else identity_row(operator.name))
    metadata = Metadata("host", "onnxruntime 1", "int8", 1, space_section([wanted], PART_TOML))
    return Lut(metadata, tuple(rows), Path("part.csv"))


@pytest.mark.parametrize("step", [1, 32])
def test_rows_are_filled_in_and_what_is_said_of_their_error_holds(step: int) -> None:
    part, truth = measured(PART, step), measured(WHOLE, step)
    found = fill(part, [WHOLE], WHOLE_TOML, Path("whole.csv"))
    rows = found.lut.by_operator
    assert set(rows) == {operator.name for operator in WHOLE.operators}
    kept = [row for row in part.rows if row.operator in rows and row.samples]
    assert found.measured == len(kept) < len(rows) / 2 and all(rows[row.operator] == row for row in kept)
    filled = [row for row in found.lut.rows if not row.samples and row.parts.is_measured]
    true_us = np.array([truth.by_operator[row.operator].latency_us for row in filled])
    errors = np.array([row.latency_us for row in filled]) / true_us - 1
    assert np.abs(errors).mean() < 0.03
    assert np.abs(errors).mean() < 2 * found.left_out_mean_error < 0.1
    inside = [row.ci_low_us <= us <= row.ci_high_us for row, us in zip(filled, true_us, strict=True)]
    assert np.mean(inside) > 0.8
    origin = found.lut.metadata.origin
    assert found.lut.metadata.provenance == "estimated" and origin["filled_rows"] == len(filled)
    if step > 1:
        assert origin["step"] == step


def test_nets_are_predicted_and_searched_with_it() -> None:
    lut = fill(measured(PART, 8), [WHOLE], WHOLE_TOML, Path("whole.csv")).lut
    model = latency_model(lut, WHOLE)
    for net in random_nets(WHOLE, 10, 0, "filled"):
        true_us = 5 + sum(device_us(operator, 8) - 5 for operator in net.operators)
        assert predict(lut, net).latency_us == pytest.approx(true_us, rel=0.05)
        assert model.net_us(net) == pytest.approx(predict(lut, net).latency_us)


def test_blocks_like_none_that_was_measured_are_named() -> None:
    part = measured(space(PART_TOML.replace("k{3,5}", "k3")), 8)
    with pytest.raises(LutError, match=r"has 0 measured rows like ir_k5_e1_g1_m8_\S+, and \d are needed"):
        fill(part, [WHOLE], WHOLE_TOML, Path("whole.csv"))
    with pytest.raises(LutError, match="has every row of the space already"):
        fill(measured(WHOLE, 8), [WHOLE], WHOLE_TOML, Path("whole.csv"))


def test_the_command_fills_up_a_measured_lut(tmp_path: Path) -> None:
    write_lut(measured(PART, 8), tmp_path / "part.csv")
    (tmp_path / "whole.toml").write_text(WHOLE_TOML)
    arguments = [str(tmp_path / "part.csv"), "--space", str(tmp_path / "whole.toml"), "-o", str(tmp_path / "whole.csv")]
    done = CliRunner().invoke(command, [*arguments, "--device", "host"], catch_exceptions=False)
    assert done.exit_code == 0 and "filled in; rows that were left out are met to" in done.output
    lut = read_lut(tmp_path / "whole.csv")
    assert lut.metadata.provenance == "estimated" and lut.metadata.space.definition == WHOLE_TOML
    again = CliRunner().invoke(command, [*arguments, "--device", "host", "--json"], catch_exceptions=False)
    assert json.loads(again.stdout)["measured_rows"] == lut.metadata.origin["measured_rows"]
    with pytest.raises(UsageError, match="is a measured LUT of host"):
        CliRunner().invoke(command, [*arguments, "--device", "s8"], catch_exceptions=False)
