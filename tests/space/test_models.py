"""The published nets' figures, computed in the ways their authors count."""

from __future__ import annotations

import math

import pytest

from lutbench.errors import LutbenchError, SpaceError, UsageError
from lutbench.space.expand import net_graph
from lutbench.space.fbnet import fbnet
from lutbench.space.find import known_space
from lutbench.space.graph import Graph, GraphBuilder, Model
from lutbench.space.models.fbnetv2 import FBNETV2
from lutbench.space.operator import parse_operator
from lutbench.space.zoo import MODELS, find_net, find_whole_net, net_of_blocks, retargeted, zoo_models, zoo_nets

SPACES = (fbnet(224, 1.0),)

# multiply-accumulates and parameters by this project's count
GOLDEN = {
    "mobilenet_v2": (300_774_272, 3_470_760),
    "mobilenet_v2@224x1.3": (509_374_560, 5_342_536),
    "mobilenet_v2@224x1.4": (582_195_824, 6_060_840),
    "mobilenet_v2@224x0.35": (59_285_808, 1_663_048),
    "mobilenet_v2@192x0.5": (71_701_760, 1_950_136),
    "mobilenet_v2@128x1.0": (99_074_048, 3_470_760),
    "mobilenet_v2@128x0.5": (32_578_560, 1_950_136),
    "mobilenet_v2@96x0.35": (11_934_128, 1_663_048),
    "mnasnet": (314_415_872, 4_345_392),
    "mnasnet@224x0.35": (76_060_272, 1_851_376),
    "mnasnet@128x1.0": (103_528_448, 4_345_392),
    "shufflenet_v2": (295_759_392, 3_480_184),
    "shufflenet_v2@224x2.0": (583_253_464, 7_360_280),
    "shufflenet_v2@224x1.0": (144_907_992, 2_262_424),
    "shufflenet_v2@224x0.5": (40_476_448, 1_358_840),
    "condensenet_g4": (516_640_576, 4_710_488),
    "condensenet_g8": (261_545_792, 2_871_960),
    "mobilenet_v3_large": (216_589_760, 5_458_632),
    "mobilenet_v3_large@224x0.75": (154_560_624, 3_974_440),
    "mobilenet_v3_large@224x1.25": (355_221_920, 7_520_968),
    "mobilenet_v3_small": (56_510_400, 2_530_744),
    "mobilenet_v3_small@224x0.75": (43_399_344, 2_032_192),
    "efficientnet_b0": (385_814_752, 5_246_532),
    "proxyless_mobile": (320_427_584, 4_046_016),
    "fbnetv2_f1": (56_231_936, 6_004_496),
    "fbnetv2_f2": (85_163_192, 6_004_496),
    "fbnetv2_f3": (121_423_712, 6_904_592),
    "fbnetv2_f4": (237_605_592, 7_000_096),
    "fbnetv2_l1": (325_025_344, 8_504_600),
    "fbnetv2_l2": (422_610_304, 8_504_600),
    "efficientnet_lite0": (385_187_552, 4_609_992),
    "efficientnet_lite1": (600_185_232, 5_363_016),
    "efficientnet_lite2": (859_736_272, 6_033_976),
    "efficientnet_lite3": (1_383_321_872, 8_120_424),
    "efficientnet_lite4": (2_553_034_336, 12_894_200),
    "mobilenet_v4_conv_s": (186_005_568, 3_748_936),
    "mobilenet_v4_conv_m": (1_080_244_224, 9_647_608),
    "mobilenet_v4_conv_l": (6_376_220_672, 32_441_312),
    "mobilenet_v4_hybrid_m": (1_271_183_360, 10_992_632),
    "mobileone_s0": (275_110_400, 2_078_504),
    "mobileone_s1": (825_057_024, 4_764_840),
    "mobileone_s2": (1_298_426_496, 7_808_168),
    "mobileone_s3": (1_895_790_592, 10_078_312),
    "mobileone_s4": (2_979_269_760, 14_838_352),
    "repvit_m0_9": (815_617_344, 5_067_056),
    "repvit_m1_1": (1_337_124_608, 8_244_312),
    "ghostnet": (141_150_512, 5_160_540),
}
FIRST_GATHERED = (1, 3, 4, 13)


def model(text: str) -> Model:
    found = find_whole_net(text, SPACES)
    assert isinstance(found, Model)
    return found


def pooled(graph: Graph) -> int:
    """Elements that global pools read."""
    return sum(graph.read(node) for node in graph.nodes if node.kind == "global_pool")


def test_golden_figures() -> None:
    assert {m.name: (m.macs, m.params) for m in zoo_models()} == GOLDEN


@pytest.mark.parametrize(
    ("name", "flops", "params"),
    [
        ("fbnetv2_f1", 56_410_560, 5_999_408),
        ("fbnetv2_f2", 85_441_392, 5_999_408),
        ("fbnetv2_f3", 121_824_000, 6_899_504),
        ("fbnetv2_f4", 238_351_984, 6_994_824),
        ("fbnetv2_l2", 423_912_768, 8_496_520),
    ],
)
def test_fbnetv2_counted_as_its_releasers_do(name: str, flops: int, params: int) -> None:
    """Convolutions, classifier and global average pools, that before the classifier too; weights without biases."""
    graph = model(name).graph
    assert graph.macs + pooled(graph) == flops
    assert sum(graph.node_weights(node) for node in graph.nodes) == params


@pytest.mark.parametrize(("name", "flops_m", "params_m"), [("condensenet_g4", 529, 4.8), ("condensenet_g8", 274, 2.9)])
def test_condensenet_counted_as_its_authors_do(name: str, flops_m: int, params_m: float) -> None:
    """Elements of ReLUs and pools and the classifier's bias are operations; batch norms have two parameters each."""
    graph = model(name).graph
    relu = sum(math.prod(node.shape) for node in graph.nodes if node.activation == "relu")
    pools = sum(4 * math.prod(node.shape) for node in graph.nodes if node.kind == "avg_pool") + pooled(graph)
    assert round((graph.macs + relu + pools + 1000) / 1e6) == flops_m
    norms = sum(2 * node.shape[0] for node in graph.nodes if node.norm)
    assert round((graph.params + norms) / 1e6, 1) == params_m


def test_condensenet_gathers_as_many_channels_as_there_are_each_group_its_own_share() -> None:
    graph = model("condensenet_g4@64").graph
    *gathers, last = [node for node in graph.nodes if node.kind == "gather"]
    assert len(gathers) == 4 + 6 + 8 + 10 + 8
    for node in gathers:
        channels = graph.nodes[node.inputs[0]].shape[0]
        share = channels // 4
        assert node.shape[0] == channels
        for group in range(4):
            picked = node.indices[group * share : (group + 1) * share]
            assert len(set(picked)) == share and list(picked) == sorted(picked)
    assert len({node.indices for node in gathers}) == len(gathers)
    assert last.shape[0] == graph.nodes[last.inputs[0]].shape[0] // 2
    assert [node.indices for node in model("condensenet_g4@96").graph.nodes if node.indices] == [
        node.indices for node in (*gathers, last)
    ]
    assert gathers[0].indices[:4] == FIRST_GATHERED  # the same on every machine


def test_fbnetv2_blocks_are_all_read() -> None:
    """What the pattern does not match would be left out silently."""
    for name, blocks in (("fbnetv2_f1", 13), ("fbnetv2_f4", 17), ("fbnetv2_l1", 23)):
        graph = model(name).graph
        assert sum(graph.is_depthwise(node) for node in graph.nodes) == blocks
    assert set(FBNETV2) <= set(MODELS)


@pytest.mark.parametrize("entry", MODELS.values(), ids=lambda entry: entry.name)
def test_parameters_do_not_depend_on_the_resolution(entry: object) -> None:
    name = entry.name  # type: ignore[attr-defined]
    width = MODELS[name].variants[0][1]
    assert len({model(f"{name}@{size}x{width}").params for size in (32, 97, 160)}) == 1


def test_a_variant_without_a_width_keeps_the_nets_own() -> None:
    assert model("shufflenet_v2@192").width == 1.5
    assert model("shufflenet_v2@192").name == "shufflenet_v2@192x1.5"
    assert model("mobilenet_v2@224x1.0").name == "mobilenet_v2"
    assert model("fbnetv2_f1").key == "fbnetv2_f1@128x1.0"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mobilnet_v2", "did you mean mobilenet_v2"),
        ("condensenet", "did you mean condensenet_g8 or condensenet_g4"),
        ("fbnetv2_f5", "did you mean fbnetv2_f"),
        ("zzz", "`lutbench nets` lists the names"),
        ("shufflenet_v2@224x0.7", "it has 0.5, 1, 1.5, 2"),
        ("condensenet_g4@224x2", "has no width 2"),
        ("mobilenet_v2@31", "not between 32 and 4096"),
        ("mobilenet_v2@224x11", "width 11 is not between"),
    ],
)
def test_nets_that_are_not_there(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        find_whole_net(text, SPACES)


def test_a_lut_does_not_predict_what_is_not_made_of_its_operators() -> None:
    for text in ("shufflenet_v2@192x0.5", "ghostnet", "timm:resnet18"):
        with pytest.raises(UsageError, match=f"`lutbench bench {text}` times it"):
            find_net(text, SPACES)


OF_OTHER_LAYERS = ("shufflenet_v2", "condensenet", "fbnetv2", "mobileone", "repvit", "ghostnet")


@pytest.mark.parametrize("found", zoo_models(), ids=lambda found: found.name)
def test_nets_made_of_blocks_are_nets_of_operators(found: Model) -> None:
    if found.name.startswith(OF_OTHER_LAYERS):
        assert net_of_blocks(found) is None
        return
    net = find_net(found.name, ())
    assert net == net_of_blocks(found) and net.name == found.name
    assert (net.macs, net.params, net.input_shape) == (found.macs, found.params, found.graph.input_shape)
    assert net_graph(net) == found.graph
    assert all(parse_operator(operator.name) == operator for operator in net.operators)


def test_mobilenet_v4_conv_m_is_a_net_of_its_space() -> None:
    space = known_space("mobilenetv4-conv").scaled(256, 1.0)
    names = {operator.name for operator in space.operators}
    assert {operator.name for operator in find_net("mobilenet_v4_conv_m", ()).operators} <= names


def test_once_for_alls_blocks_are_mobilenet_v3s() -> None:
    """The layers that both have, and the head; MobileNetV3's other expansions are not in the space."""
    names = {operator.name for operator in known_space("ofa-mobilenetv3").operators}
    missing = {op.name for op in find_net("mobilenet_v3_large", ()).operators} - names
    assert missing == {"ir_k3_e2.5_g1_hswish_80x14x14_80_s1", "ir_k3_e2.3_g1_hswish_80x14x14_80_s1"}


def test_every_model_is_found_by_its_own_name() -> None:
    for one in zoo_models():
        assert find_whole_net(one.name, SPACES) == one
    for net in zoo_nets():
        assert find_whole_net(net.name, SPACES) == net


def test_what_cannot_be_built_is_refused() -> None:
    net = GraphBuilder(3, 1, 2)
    for build in (
        lambda: net.conv(0, 8, groups=2),
        lambda: net.gather(0, []),
        lambda: net.gather(0, [0, 3]),
        lambda: net.gather(0, [-1]),
        lambda: net.slice(0, 2, 2),
        lambda: net.shuffle(0, 2),
        lambda: net.fc(0, 10),
        lambda: net.mul(0, 0),
        lambda: net.pool("avg_pool", 0, 2, 2),
    ):
        with pytest.raises(SpaceError):
            build()
    assert net.graph().nodes[-1].kind == "input"
    assert issubclass(SpaceError, LutbenchError)


@pytest.mark.parametrize("name", ["fbnet_c", "fbnet_96_035_1", "mobilenet_v2@192x0.5", "shufflenet_v2", "fbnetv2_f1"])
def test_a_net_for_other_images(name: str) -> None:
    net = find_whole_net(name, ())
    other = retargeted(net, 64, 7)
    assert other.input_shape == (1, 3, 64, 64) and other.name.split("@")[0] == net.name.split("@")[0]
    graph = net_graph(other)
    assert graph.nodes[-1].shape == (7, 1, 1)
    features = graph.nodes[graph.nodes[-1].inputs[0]].shape[0]
    assert net.params - other.params == (1000 - 7) * (features + 1)
