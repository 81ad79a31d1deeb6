from __future__ import annotations

from dataclasses import replace

from lutbench.lut.context import in_net_fields
from lutbench.lut.metadata import ContextSection
from lutbench.measure.in_net import InNet
from lutbench.measure.warmth import Warmth


def test_what_operators_cost_inside_nets_is_kept_whole() -> None:
    terms, own = {"macs": 0.2, "kept": -0.1}, {"fc_1984_1000": 0.04}
    found = InNet(1.1, -0.3, terms, {"pool_1984x7x7": 0.8}, own, block_channels=16, warmth=Warmth(0.2, 700.0, 3.0))
    was = ContextSection(
        scale=1.05,
        scale_ci_high=2.0,
        terms={"macs": 1.0},
        colder={"a": 0.2},
        deviations={"a": 0.1},
        warm_share=0.5,
        warm_size_us=100.0,
    )
    assert replace(was, **in_net_fields(found)).in_net == found
    assert replace(was, **in_net_fields(InNet())).in_net == InNet()
