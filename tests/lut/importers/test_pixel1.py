"""ProxylessNAS's own table: every operator of its space, and a net's sum as its authors' code computes it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml

from lutbench.errors import LutError, UsageError
from lutbench.lut.importers.build import ImportRequest, import_table
from lutbench.lut.metadata import SpaceSection
from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.search.latency import latency_model
from lutbench.space.find import known_space
from lutbench.space.sampling import random_nets
from lutbench.space.zoo import find_net

TABLE = Path(__file__).parent / "pixel1.yaml"


@pytest.fixture(scope="module")
def pixel1() -> Lut:
    return import_table(ImportRequest(TABLE, "ofa", device="pixel1"))


def test_every_operator_of_the_space_is_there_and_nothing_is_foreign(pixel1: Lut) -> None:
    assert pixel1.metadata.space == SpaceSection("proxyless", (224,), (1.0,))
    origin = pixel1.metadata.origin
    assert (origin["rows"], origin["foreign"], origin["left_out"]) == (72, 0, [])
    space = known_space("proxyless")
    missing = {op.name for op in space.operators if op.is_measured} - set(pixel1.by_operator)
    assert missing == {"runtime_overhead", "pool_1280x7x7", "fc_1280_1000"}  # the last two are one row there
    assert "poolfc_1280x7x7_1000" in pixel1.by_operator


def test_a_nets_sum_is_its_authors(pixel1: Lut) -> None:
    """By their keys, from a net's kernels and expansions alone."""
    means = {key: entry["mean"] for key, entry in yaml.safe_load(TABLE.read_text()).items()}
    model = latency_model(pixel1, known_space("proxyless"))
    for net in random_nets(known_space("proxyless"), 20, 3, "net"):
        total, size, channels = means["Conv-input:224x224x3-output:112x112x32"], 112, 32
        for layer, candidate in zip(net.space.layers, net.choice, strict=True):
            if candidate.is_skip:
                continue
            out = (size - 1) // layer.stride + 1
            total += means[
                f"expanded_conv-input:{size}x{size}x{channels}-output:{out}x{out}x{layer.c_out}"
                f"-expand:{int(candidate.expansion) or 1}-kernel:{candidate.kernel}-stride:{layer.stride}"
                f"-idskip:{int(layer.stride == 1 and channels == layer.c_out)}"
            ]
            size, channels = out, layer.c_out
        total += means["Conv_1-input:7x7x320-output:7x7x1280"] + means["Logits-input:7x7x1280-output:1000"]
        rounding_us = 0.0005 * len(net.operators)
        assert predict(pixel1, net).latency_us == pytest.approx(1000 * total, abs=rounding_us)
        assert model.net_us(net) == pytest.approx(predict(pixel1, net).latency_us)


def of_net(name: str) -> str:
    """A table in the form of ProxylessNAS's with the operators of a net of the zoo."""
    lines = []
    for op in find_net(name, ()).operators:
        given, made = f"{op.h_in}x{op.w_in}x{op.c_in}", f"{op.h_out}x{op.w_out}x{op.c_out}"
        if op.kind == "ir":
            key = f"expanded_conv-input:{given}-output:{made}-expand:{int(op.expansion) or 1}-kernel:{op.kernel}"
            key += f"-stride:{op.stride}-idskip:{int(op.has_residual)}"
        elif op.kind == "fc":
            key = f"Logits-input:7x7x{op.c_in}-output:{op.c_out}"
        elif op.kind == "pool":
            continue
        else:
            key = f"{'Conv' if op.kind == 'stem' else 'Conv_1'}-input:{given}-output:{made}"
        lines.append(f"{key}: {{count: 9, mean: {max(op.macs / 1e7, 0.01)!r}, var: 0.0}}\n")
    return "".join(dict.fromkeys(lines))


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v2@192x0.5", "proxyless_mobile", "mnasnet"])
def test_a_table_of_a_nets_blocks_predicts_it_by_name(name: str, tmp_path: Path) -> None:
    text = of_net(name)
    if "@192" in name:
        text = text.replace("Logits-input:7x7x", "Logits-input:6x6x")
    (tmp_path / "table.yaml").write_text(text)
    lut = import_table(ImportRequest(tmp_path / "table.yaml", "ofa"))
    net = find_net(name, ())
    assert lut.metadata.origin["foreign"] == 0
    expected = sum(max(op.macs / 1e4, 10) for op in net.operators if op.kind != "pool")
    assert predict(lut, net).latency_us == pytest.approx(expected, abs=0.05)


def test_a_published_net_is_answered_by_name(pixel1: Lut) -> None:
    """MnasNet's first version has the table's channels."""
    net = find_net("mnasnet", ())
    pooled = [op for op in net.operators if op.kind not in ("pool", "fc")]
    expected_us = sum(pixel1.by_operator[op.name].latency_us for op in pooled) + 934.826
    assert predict(pixel1, net).latency_us == pytest.approx(expected_us)
    assert expected_us == pytest.approx(88_056, abs=1)


def test_a_net_of_other_channels_names_what_is_missing(pixel1: Lut) -> None:
    with pytest.raises(LutError, match=r"no row of \d+ of the operators of mobilenet_v2; measure it: lutbench bench"):
        predict(pixel1, find_net("mobilenet_v2", ()))


@pytest.mark.parametrize(("resolution", "width"), [(160, 1.2), (176, 1.0), (208, 1.2)])
def test_the_space_is_known_at_every_resolution(resolution: int, width: float, tmp_path: Path) -> None:
    from tests.lut.importers.test_spaces import table

    (tmp_path / "note.yaml").write_text(table(known_space("ofa-mobilenetv3").scaled(resolution, width)))
    lut = import_table(ImportRequest(tmp_path / "note.yaml", "ofa"))
    assert lut.metadata.space == SpaceSection("ofa-mobilenetv3", (resolution,), (width,))


def test_a_space_of_ones_own_can_be_said(tmp_path: Path) -> None:
    definition = "\n".join(
        [
            'name = "short"',
            'candidates = ["k3_e3", "k7_e6"]',
            "stem = {channels = 32}",
            "head = {channels = 1280}",
            '[[stage]]\nchannels = 16\nblock = "k3_e0"',
            "[[stage]]\nchannels = 24\nlayers = 3\nstride = 2",
        ]
    )
    (tmp_path / "short.toml").write_text(definition)
    lut = import_table(ImportRequest(TABLE, "ofa", space=str(tmp_path / "short.toml"), fixed_us=8000))
    assert lut.metadata.space.definition == definition
    (space,) = lut.metadata.space.spaces
    for net in random_nets(space, 3, 1, "net"):
        stem = lut.by_operator["stem_k3_3x224x224_32_s2"].latency_us
        blocks = sum(lut.latency_us(op) for op in net.operators if op.kind == "ir")
        assert predict(lut, net).latency_us == pytest.approx(stem + blocks + 8000)
    (tmp_path / "short.toml").write_text(definition.replace("k7_e6", "k9_e6"))
    with pytest.raises(UsageError, match=r"names its operators' shapes, and 2 of space short at 224x1.0 are not"):
        import_table(ImportRequest(TABLE, "ofa", space=str(tmp_path / "short.toml")))


def test_any_rows_that_are_gone_leave_the_others(tmp_path: Path) -> None:
    lines = TABLE.read_text().splitlines()[1:]
    rows = ["\n".join(lines[place : place + 4]) for place in range(0, len(lines), 4)]
    rng = random.Random(5)
    for count in (1, 5, 40):
        kept = sorted(rng.sample(rows, len(rows) - count))
        (tmp_path / "less.yaml").write_text("\n".join(kept))
        lut = import_table(ImportRequest(tmp_path / "less.yaml", "ofa"))
        assert len(lut.rows) == len(kept)
