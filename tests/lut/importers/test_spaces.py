"""Whole tables of the spaces that come along: every operator is found, a net is the sum of its authors' rows."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from lutbench.lut.importers.build import ImportRequest, import_table
from lutbench.lut.metadata import SpaceSection
from lutbench.lut.predict import predict
from lutbench.space.find import known_space
from lutbench.space.macro import Space
from lutbench.space.net import parse_net
from lutbench.space.operator import Operator
from lutbench.space.sampling import random_nets
from tests.lut.importers.samples import hw_table


def ofa_key(op: Operator) -> str:
    """The operator as once-for-all's tables name it."""
    given, made = f"{op.h_in}x{op.w_in}x{op.c_in}", f"{op.h_out}x{op.w_out}x{op.c_out}"
    if op.kind == "ir":
        middle = f"expand:{op.mid_channels}-kernel:{op.kernel}-stride:{op.stride}-idskip:{int(op.has_residual)}"
        gates = f"-se:{int(bool(op.option('squeeze')))}-hs:{int(op.option('activation') == 'hswish')}"
        return f"expanded_conv-input:{given}-output:{made}-{middle}{gates}"
    if op.kind == "fc":
        if op.option("activation") == "hswish":
            return f"Conv_2-input:1x1x{op.c_in}-output:1x1x{op.c_out}"
        return f"Logits-input:1x1x{op.c_in}-output:{op.c_out}"
    names = {"stem": "Conv", "conv": "Conv_1", "pool": "AvgPool2D"}
    return f"{names[op.kind]}-input:{given}-output:{made}"


def milliseconds(op: Operator) -> float:
    return max(op.macs / 1e7, 0.005)


def table(space: Space) -> str:
    operators = [op for op in space.operators if op.is_measured and op.kind != "overhead"]
    rows = {ofa_key(op): milliseconds(op) for op in operators}
    return "".join(f"{key}: {{count: 100, mean: {ms!r}, std: 0.001}}\n" for key, ms in rows.items())


@pytest.mark.parametrize("width", [1.0, 1.2])
def test_once_for_alls_table_fills_its_space(width: float, tmp_path: Path) -> None:
    space = known_space("ofa-mobilenetv3").scaled(224, width)
    (tmp_path / "note.yaml").write_text(table(space))
    lut = import_table(ImportRequest(tmp_path / "note.yaml", "ofa"))
    assert (lut.metadata.space.name, lut.metadata.space.widths) == ("ofa-mobilenetv3", (width,))
    (found,) = lut.metadata.space.spaces
    net = parse_net("|".join(["k5_e4,k3_e6,k7_e3,skip"] * 5), found, "net")
    assert predict(lut, net).latency_us == pytest.approx(
        sum(1000 * milliseconds(op) for op in net.operators), abs=0.002 * len(net.operators)
    )


CIFAR = known_space("fbnet-cifar")


def hw_nas_keys(space: Space, choice: list[int]) -> list[str]:
    """The rows that HW-NAS-Bench adds up for a list of candidates' numbers: stem, layers, head, pool, classifier."""
    size, channels = space.resolution // space.stem_stride, space.stem_channels
    first = f"ConvNorm_H{space.resolution}_W{space.resolution}_Cin3_Cout{channels}_kernel3_stride{space.stem_stride}"
    keys = [f"{first}_group1"]
    blocks = [(1, 3, 1), (1, 3, 2), (3, 3, 1), (6, 3, 1), (1, 5, 1), (1, 5, 2), (3, 5, 1), (6, 5, 1)]
    for layer, number in zip(space.layers, choice, strict=True):
        place = f"H{size}_W{size}_Cin{channels}_Cout{layer.c_out}"
        if number < len(blocks):
            expansion, kernel, groups = blocks[number]
            keys.append(f"ConvBlock_{place}_exp{expansion}_kernel{kernel}_stride{layer.stride}_group{groups}")
        else:
            keys.append(f"Skip_{place}_stride{layer.stride}")
        size, channels = size // layer.stride, layer.c_out
    head = space.head_channels
    keys.append(f"ConvNorm_H{size}_W{size}_Cin{channels}_Cout{head}_kernel1_stride1_group1")
    return [
        *keys,
        f"AvgP_H{size}_W{size}_Cin{head}_Cout{head}_kernel{size}_stride1",
        f"FC_Cin{head}_Cout{space.classes}",
    ]


def cifar_table() -> dict[str, float]:
    """A row for every key; those of skips that change nothing are 0, as an identity is."""
    keys = {key for number in range(9) for key in hw_nas_keys(CIFAR, [number] * len(CIFAR.layers))}
    nothing = {key for key in keys if key.startswith("Skip") and "stride1" in key and _same_channels(key)}
    return {key: 0.0 if key in nothing else 0.001 * (5 + place) for place, key in enumerate(sorted(keys))}


def _same_channels(key: str) -> bool:
    parts = key.split("_")
    return parts[3].removeprefix("Cin") == parts[4].removeprefix("Cout")


def test_hw_nas_benchs_table_fills_fbnet_cifar(tmp_path: Path) -> None:
    table = cifar_table()
    (tmp_path / "hw.pickle").write_bytes(pickle.dumps({"fbnet": {"pixel3_latency": table}}))
    lut = import_table(ImportRequest(tmp_path / "hw.pickle", "hw-nas-bench", unit="ms"))
    assert lut.metadata.space == SpaceSection("fbnet-cifar", (32,), (1.0,))
    assert lut.metadata.origin["foreign"] == 0 and not lut.metadata.origin["left_out"]
    for net in random_nets(CIFAR, 10, 2, "net"):
        numbers = [layer.candidates.index(c) for layer, c in zip(CIFAR.layers, net.choice, strict=True)]
        found = parse_net(str(numbers), CIFAR, "net")
        expected_us = 1000 * sum(table[key] for key in hw_nas_keys(CIFAR, numbers))
        assert predict(lut, found).latency_us == pytest.approx(expected_us)


def test_of_two_spaces_in_one_table_the_other_can_be_said(tmp_path: Path) -> None:
    content = {"fbnet": {"pixel3_latency": {**cifar_table(), **hw_table()}}}
    (tmp_path / "hw.pickle").write_bytes(pickle.dumps(content))
    request = ImportRequest(tmp_path / "hw.pickle", "hw-nas-bench", unit="ms")
    assert import_table(request).metadata.space.name == "fbnet"
    said = ImportRequest(tmp_path / "hw.pickle", "hw-nas-bench", unit="ms", space="fbnet-cifar")
    assert import_table(said).metadata.space == SpaceSection("fbnet-cifar", (32,), (1.0,))
