"""What nets leave in blocks, by rules; that ONNX Runtime keeps to them is tested where its graphs are made."""

from __future__ import annotations

import random

import pytest

from lutbench.measure.in_net import BOUNDARIES, KEPT, InNet, Setting
from lutbench.measure.layouts import Ends, Kept, ends_of_name, kept_between
from lutbench.measure.net_fit import NetMeasurement
from lutbench.measure.scale import fit_scale
from lutbench.space.find import known_space
from lutbench.space.operator import OVERHEAD
from lutbench.space.sampling import random_nets

BLOCKED, GROUPED = "ir_k3_e3_g1_16x8x8_16_s1", "ir_k3_e1_g2_16x8x8_16_s1"
MILLION = 16 * 8 * 8 / 1e6  # elements between two of them


def left(operators: list[str]) -> Kept:
    found = kept_between(operators, 16)
    return Kept(round(found.elements, 12), found.boundaries)


def test_what_stands_between_two_that_compute_in_blocks_stays_there() -> None:
    more = "ir_k3_e3_g1_16x8x8_24_s1"  # without an addition
    assert left([more]) == Kept()  # what a net is given comes in (N, C, H, W)
    assert left([more.replace("24", "16").replace("16_s1", "16_s1"), "conv_k1_16x8x8_24_s2"]) == Kept()
    assert left(["stem_k3_3x16x16_16_s2", more]) == Kept(MILLION, 1)
    assert left(["stem_k3_3x16x16_16_s2", BLOCKED, more]) == Kept(2 * MILLION, 2)
    assert left(["stem_k3_3x16x16_16_s2", GROUPED, more]) == Kept()  # changed before it and after it
    assert left(["stem_k3_3x16x16_16_s2", "identity_16x8x8", BLOCKED]) == Kept(MILLION, 1)


def test_an_addition_of_what_is_in_no_blocks_is_in_none() -> None:
    after_grouped = [GROUPED, BLOCKED, "conv_k1_16x8x8_24_s2"]
    assert left(["stem_k3_3x16x16_16_s2", *after_grouped]) == Kept()
    assert ends_of_name(BLOCKED, 16).after(False) is False
    assert ends_of_name(BLOCKED, 16).after(True) is True


def test_groups_that_fill_blocks_compute_in_them() -> None:
    assert ends_of_name(GROUPED, 16).reads is False
    assert ends_of_name(GROUPED, 8).reads is True
    wide = ends_of_name(GROUPED.replace("16x", "32x").replace("16_s1", "32_s1"), 16)
    assert (wide.reads, wide.writes, wide.adds) == (True, True, True)
    half = ends_of_name("ir_k3_e1_g2_64x8x8_112_s1", 16)  # 56 channels a group fill no block of 16
    assert (half.reads, half.writes) == (True, False)


def test_what_is_not_known_is_in_no_blocks() -> None:
    assert ends_of_name("foreign_x", 16) == ends_of_name("nothing", 16) == Ends()


@pytest.mark.parametrize(
    ("terms", "told_by", "not_told_by"),
    [
        ({KEPT: -2000.0, "macs": 3.0}, Setting(16), Setting()),
        ({KEPT: -800.0, BOUNDARIES: -15.0}, Setting(16, threads=2), Setting(16)),
    ],
)
def test_nets_ask_for_what_they_keep(terms: dict[str, float], told_by: Setting, not_told_by: Setting) -> None:
    space = known_space("fbnet-cifar").scaled(32, 1.0)
    rng = random.Random(3)
    rows = {op.name: rng.uniform(20, 200) for op in space.operators if op.is_measured} | {OVERHEAD.name: 2.0}
    truth = InNet(1.02, 1.0, terms, block_channels=16)

    def timed(count: int, seed: int) -> list[NetMeasurement]:
        found = []
        for net in random_nets(space, count, seed, "kept", varied=True):
            names = tuple(op.name for op in net.operators)
            us = truth.net_us([(name, rows[name]) for name in names], 2.0) * (1 + rng.gauss(0, 0.002))
            found.append(NetMeasurement(net.key, names, us))
        return found

    nets, unseen = timed(22, 0), timed(60, 1)
    errors = []
    for setting in (told_by, not_told_by):
        found = fit_scale(nets, rows, 2.0, setting).in_net
        predicted = (found.net_us([(name, rows[name]) for name in net.operators], 2.0) for net in unseen)
        errors.append(sum(abs(us / net.latency_us - 1) for us, net in zip(predicted, unseen, strict=True)) / 60)
    assert errors[0] < 0.005 < 0.01 < errors[1]
