"""What nets leave in blocks, by rules; that ONNX Runtime keeps to them is tested where its graphs are made."""

from __future__ import annotations

import random

import pytest

from lutbench.measure.in_net import KEPT, InNet
from lutbench.measure.layouts import Ends, ends_of_name, kept_elements
from lutbench.measure.net_fit import NetMeasurement
from lutbench.measure.scale import fit_scale
from lutbench.space.find import known_space
from lutbench.space.operator import OVERHEAD
from lutbench.space.sampling import random_nets

BLOCKED, GROUPED = "ir_k3_e3_g1_16x8x8_16_s1", "ir_k3_e1_g2_16x8x8_16_s1"
MILLION = 16 * 8 * 8 / 1e6  # elements between two of them


def test_what_stands_between_two_that_compute_in_blocks_stays_there() -> None:
    more = "ir_k3_e3_g1_16x8x8_24_s1"  # without an addition
    assert kept_elements([more], 16) == 0  # what a net is given comes in (N, C, H, W)
    assert kept_elements([more.replace("24", "16").replace("16_s1", "16_s1"), "conv_k1_16x8x8_24_s2"], 16) == 0
    assert kept_elements(["stem_k3_3x16x16_16_s2", more], 16) == pytest.approx(MILLION)
    assert kept_elements(["stem_k3_3x16x16_16_s2", BLOCKED, more], 16) == pytest.approx(2 * MILLION)
    assert kept_elements(["stem_k3_3x16x16_16_s2", GROUPED, more], 16) == 0  # changed before it and after it
    assert kept_elements(["stem_k3_3x16x16_16_s2", "identity_16x8x8", BLOCKED], 16) == pytest.approx(MILLION)


def test_an_addition_of_what_is_in_no_blocks_is_in_none() -> None:
    after_grouped = [GROUPED, BLOCKED, "conv_k1_16x8x8_24_s2"]
    assert kept_elements(["stem_k3_3x16x16_16_s2", *after_grouped], 16) == 0
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


def test_nets_ask_for_what_they_keep() -> None:
    space = known_space("fbnet-cifar").scaled(32, 1.0)
    rng = random.Random(3)
    rows = {op.name: rng.uniform(20, 200) for op in space.operators if op.is_measured} | {OVERHEAD.name: 2.0}
    truth = InNet(1.02, 1.0, {KEPT: -2000.0, "macs": 3.0}, block_channels=16)

    def timed(count: int, seed: int) -> list[NetMeasurement]:
        found = []
        for net in random_nets(space, count, seed, "kept", varied=True):
            names = tuple(op.name for op in net.operators)
            us = truth.net_us([(name, rows[name]) for name in names], 2.0) * (1 + rng.gauss(0, 0.002))
            found.append(NetMeasurement(net.key, names, us))
        return found

    nets, unseen = timed(22, 0), timed(60, 1)
    errors = []
    for block in (16, 0):
        found = fit_scale(nets, rows, 2.0, block).in_net
        predicted = (found.net_us([(name, rows[name]) for name in net.operators], 2.0) for net in unseen)
        errors.append(sum(abs(us / net.latency_us - 1) for us, net in zip(predicted, unseen, strict=True)) / 60)
    assert errors[0] < 0.005 < 0.01 < errors[1]
