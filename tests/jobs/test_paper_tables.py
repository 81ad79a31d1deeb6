"""The paper's tables beside a device."""

from __future__ import annotations

import functools
import math

import pytest

from lutbench.jobs.paper_tables import TABLES, compare, paper_table
from lutbench.space.fbnet import fbnet
from lutbench.space.published import published
from lutbench.space.zoo import find_whole_net


@pytest.mark.parametrize("number", TABLES)
def test_every_published_net_is_run_or_says_why_not(number: int) -> None:
    table = paper_table(number)
    rows = {row.names[1] for row in published() if row.table == number}
    assert len(table.nets) + len(table.left_out) == len(rows)
    assert table.nets and all(reason for _, reason in table.left_out)


def test_a_net_is_named_as_short_as_its_variant_allows_and_is_the_one_published() -> None:
    table = paper_table(3)
    assert {"fbnet_a", "mobilenet_v2", "mobilenet_v2@224x1.3"} <= set(table.nets)
    assert table.nets["fbnet_a"] == {"s8": 19_800.0}
    for number in TABLES:
        by_variant = {row.names[1]: row for row in published() if row.table == number}
        for text, row in zip(paper_table(number).nets, (r for r in by_variant.values() if runs(r.net)), strict=True):
            net = find_whole_net(text, (fbnet(224, 1.0),))
            assert net.macs / 1e6 == pytest.approx(row.mmacs, rel=0.09)  # they round


@functools.cache
def left_out() -> set[str]:
    return {part for number in TABLES for net, _ in paper_table(number).left_out for part in net.split("@")}


def runs(name: str) -> bool:
    return name not in left_out()


def test_what_was_not_published_is_said_to_be() -> None:
    reasons = dict(paper_table(4).left_out)
    assert reasons["fbnet_224_035@224x0.35"] == "its architecture is not published"


def test_ratios_and_ranks() -> None:
    table = paper_table(5)
    assert table.phones == ("s8", "iphonex")
    found = compare(table, {"fbnet_s8": 2_000.0, "fbnet_iphonex": 2_500.0, "fbnet_a": 1.0})
    assert found.ratios["fbnet_s8"] == {"s8": pytest.approx(2 / 22.12), "iphonex": pytest.approx(2 / 27.53)}
    assert found.taus == {"s8": pytest.approx(1.0), "iphonex": pytest.approx(-1.0)}
    one = compare(table, {"fbnet_s8": 2_000.0})
    assert list(one.latency_us) == ["fbnet_s8"] and math.isnan(one.taus["s8"])
    assert math.isnan(compare(table, {}).taus["iphonex"])


def test_what_a_faster_engine_ran_does_not_count_in_the_ranks() -> None:
    table = paper_table(3)
    assert set(table.apart) == {"condensenet_g4", "condensenet_g8"}
    latency_us = {net: us["s8"] for net, us in table.nets.items()}
    assert compare(table, {**latency_us, "condensenet_g8": 1.0}).taus == {"s8": pytest.approx(1.0)}
