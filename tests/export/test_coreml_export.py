"""Core ML's converter is slow to load: these tests are few, and convert small things."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lutbench.errors import ExportError, UsageError
from lutbench.export import coreml_export
from lutbench.export.artifact import Exported
from lutbench.export.check import MAX_ERROR
from lutbench.export.exporters import exporter_of, find_exporter
from lutbench.jobs.export import File, file_summary
from lutbench.nn.coreml_compute import OPERATIONS, compute
from lutbench.nn.coreml_package import read_package
from lutbench.space.candidate import parse_candidate
from lutbench.space.chain import OperatorChain
from lutbench.space.operator import OVERHEAD, block_operator, parse_operator
from tests.export.small import NAMES

pytestmark = pytest.mark.slow
BLOCKS = ("ir_k3_e4_g1_hswish_se0.25", "mqa_h4_d8_r2", "shuffle_k5")  # a gate, an attention, halves that take turns


def operations(data: bytes) -> list[Any]:
    (function,) = read_package(data).functions.values()
    return [operation for operation in function.operations if operation.op_type != "const"]


def test_every_kind_computes_what_torch_computes_in_the_dtype_it_says() -> None:
    blocks = [block_operator(parse_candidate(name), 16, 8, 8, 16, 1) for name in BLOCKS]
    made = {}
    for operator in (parse_operator(NAMES[1]), *blocks, OVERHEAD):
        exported = find_exporter("coreml", "fp16").export(operator, "fp16")
        assert 0 < exported.check_error <= MAX_ERROR["fp16"], operator.name  # 16 bits are never torch's own
        made[operator.name] = exported.data
        dtypes = {var.dtype.__name__ for op in operations(exported.data) for var in op.outputs}
        assert dtypes == {"fp16"}, operator.name  # no conversion from and to 32 bits is timed
    assert [op.op_type for op in operations(made[OVERHEAD.name])] == ["identity"]
    # the same bytes, whatever was exported before
    again = find_exporter("coreml", "fp16", "coreml-ane").export(parse_operator(NAMES[1]), "fp16").data
    assert hashlib.sha256(again).hexdigest() == hashlib.sha256(made[NAMES[1]]).hexdigest()
    whole = find_exporter("coreml", "fp32", "coreml-gpu").export(parse_operator(NAMES[1]), "fp32")
    assert whole.check_error <= MAX_ERROR["fp32"]
    run = find_exporter("coreml", "fp32").open(whole)
    assert tuple(run(torch.zeros(parse_operator(NAMES[1]).input_shape)).shape) == parse_operator(NAMES[1]).output_shape

    for name in (NAMES[1], NAMES[3]):  # one that fits itself, one that does not
        operator = parse_operator(name)
        chain = OperatorChain(operator, 3)
        kinds = [op.op_type for op in operations(coreml_export.export_coreml(chain, "fp16", "coreml-ane").data)]
        assert kinds.count("conv") == 3 * (3 if name == NAMES[1] else 1)
    links_alone = OperatorChain(operator, 3, links=True)
    links = [op.op_type for op in operations(coreml_export.export_coreml(links_alone, "fp16", "coreml-ane").data)]
    joined = [kind for kind in kinds if kind not in ("conv", "relu")]
    assert "add" in links and sorted(links) == sorted(joined)  # the chain's own, without its copies


def test_a_chain_whose_values_grow_out_of_its_numbers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreml_export, "build_workload", lambda *_given: torch.nn.Threshold(1e9, 1e5))
    with pytest.raises(ExportError, match=r"the values of its chain are 1e\+05: fp16 does not hold them"):
        coreml_export.export_coreml(OperatorChain(parse_operator("fc_32_10"), 3), "fp16", "coreml-ane")


def test_what_cannot_be_converted_or_computes_something_else_costs_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = parse_operator("fc_32_10")
    with monkeypatch.context() as patched:
        patched.setattr(coreml_export, "convert", lambda *_given: 1 / 0)
        with pytest.raises(ExportError, match="fc_32_10: Core ML export failed: division by zero"):
            coreml_export.export_coreml(operator, "fp16", "coreml-cpu")
    monkeypatch.setattr(coreml_export, "compute", lambda _program, given: torch.ones(1, 10) + given.sum())
    with pytest.raises(ExportError, match=r"the fp16 artifact is .* off torch's output"):
        coreml_export.export_coreml(operator, "fp16", "coreml-cpu")


def test_units_and_dtypes_are_told_apart() -> None:
    assert find_exporter("coreml", "fp16").engine == "coreml-cpu"
    assert exporter_of(find_exporter("coreml", "fp16", "coreml-ane").runtime_version).engine == "coreml-ane"
    for runtime, dtype, engine, problem in (
        ("coreml", "int8", "", "coreml has no dtype 'int8'; it has fp16, fp32"),
        ("coreml", "fp16", "onednn", "coreml fp16 has no engine 'onednn'; it has coreml-cpu, coreml-ane, coreml-gpu"),
        ("onnx", "int8", "coreml-ane", "onnx int8 has no engine 'coreml-ane'; leave --engine out"),
    ):
        with pytest.raises(UsageError, match=problem):
            find_exporter(runtime, dtype, engine)
    with pytest.raises(UsageError, match="the Neural Engine computes in 16 bits"):
        coreml_export.export_coreml(OVERHEAD, "fp32", "coreml-ane")


def program(op_type: str, shape: tuple[int, ...], **inputs: Any) -> Any:
    """A program of one operation on one input, as coremltools' classes show it."""

    def var(name: str, shape: tuple[int, ...] = (), val: Any = None) -> Any:
        return SimpleNamespace(name=name, shape=shape, val=val, dtype=type("fp32", (), {}))

    given = {"x": var("input"), **{key: var(key, val=value) for key, value in inputs.items()}}
    made = SimpleNamespace(op_type=op_type, inputs=given, outputs=[var("output", shape)])
    function = SimpleNamespace(inputs={"input": None}, operations=[made], outputs=[var("output", shape)])
    return SimpleNamespace(functions={"main": function})


def test_an_operation_or_a_setting_that_nothing_here_computes_is_said() -> None:
    given = torch.randn(1, 4, 2, 2)
    assert torch.equal(compute(program("relu", (1, 4, 2, 2)), given), given.relu())
    for made, problem in (
        (program("cumsum", (1, 4, 2, 2)), "operation cumsum"),
        (program("relu", (1, 4, 2, 2), ceiling=3.0), "relu with ceiling"),
        (program("relu", (1, 2, 2, 4)), r"output is \(1, 4, 2, 2\), its program says \(1, 2, 2, 4\)"),
        (program("max_pool", (1, 4, 2, 2), kernel_sizes=[3, 3], pad_type="same"), "padding same"),
    ):
        with pytest.raises(ExportError, match=problem):
            compute(made, given)


X = torch.arange(1 * 4 * 3 * 3, dtype=torch.float32).reshape(1, 4, 3, 3) - 7
BY_HAND: dict[str, tuple[dict[str, Any], Callable[[torch.Tensor], torch.Tensor]]] = {
    "slice_by_index": (
        {"begin": [0, 1, 0, 0], "end": [1, 3, 3, 3], "stride": [1, 1, 2, 1], "end_mask": [True, False, True, True]},
        lambda x: x[:, 1:3, ::2],
    ),
    "slice_by_size": ({"begin": [0, 1, 0, 0], "size": [1, 2, -1, 3]}, lambda x: x[:, 1:3]),
    "expand_dims": ({"axes": [0, -1]}, lambda x: x[None, ..., None]),
    "squeeze": ({"axes": [0]}, lambda x: x[0]),
    "layer_norm": (
        {"axes": [1], "gamma": torch.full((4,), 2.0), "beta": torch.ones(4), "epsilon": 0.0},
        lambda x: 2 * (x - x.mean(1, True)) / x.std(1, correction=0, keepdim=True) + 1,
    ),
    "sigmoid_hard": ({"alpha": 0.1, "beta": 0.5}, lambda x: (x / 10 + 0.5).clamp(0, 1)),
    "thresholded_relu": ({"alpha": 3.0}, lambda x: x * (x >= 3.0)),
    "avg_pool": (
        {"kernel_sizes": [2, 2], "strides": [1, 1], "pad_type": "custom", "pad": [1, 0, 0, 0],
         "exclude_padding_from_average": True},
        lambda x: torch.cat([(x[:, :, :1, :-1] + x[:, :, :1, 1:]) / 2,
                             (x[:, :, :-1, :-1] + x[:, :, :-1, 1:] + x[:, :, 1:, :-1] + x[:, :, 1:, 1:]) / 4], 2),
    ),
    "gelu": ({"mode": "SIGMOID_APPROXIMATION"}, lambda x: x / (1 + torch.exp(-1.702 * x))),
    "reduce_mean": ({"axes": [2, 3], "keep_dims": False}, lambda x: x.mean((2, 3))),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_operations_by_hand(name: str) -> None:
    inputs, expected = BY_HAND[name]
    found = OPERATIONS[name]({"x": X, **inputs})
    assert isinstance(found, torch.Tensor)
    torch.testing.assert_close(found, expected(X))


def test_concatenated_channels_may_take_turns() -> None:
    found = OPERATIONS["concat"]({"values": [X, X + 100], "axis": 1, "interleave": True})
    assert isinstance(found, torch.Tensor)
    assert torch.equal(found[0, :4, 0, 0], torch.tensor([-7.0, 93.0, 2.0, 102.0]))


def test_what_goes_into_a_file_is_said_as_it_is() -> None:
    exported = Exported(b"", 0.0)
    for dtype, said in (("fp16", "float16"), ("fp32", "float32")):
        about = file_summary(File(Path("x"), "coremltools 9.0 (coreml-cpu)", dtype, exported, None, None))
        assert about["input"] == about["output"] == {"dtype": said}
