"""bench and verify on the emulated phone, and the two lines of a profile's command that only a phone has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lutbench.cli.luts import open_lut
from lutbench.device_agents.fake import FakeAgent
from lutbench.device_agents.registry import Device
from lutbench.events import Event, Note
from lutbench.jobs.bench import BenchRequest, bench
from lutbench.jobs.model_options import InputOptions
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.jobs.verify import VerifyRequest, verify
from lutbench.lut.file import read_lut, write_lut
from lutbench.measure.protocol import Protocol
from tests.onnx_models import convolution, tokens


def test_bench_of_files_with_inputs_of_several_kinds(device: Device, tmp_path: Path) -> None:
    nets = (str(convolution(tmp_path / "conv.onnx")), str(tokens(tmp_path / "tokens.onnx")))
    request = BenchRequest(
        device=device,
        nets=nets,
        cores="little",
        inputs=InputOptions({"ids": (1, 6), "mask": (1, 6)}),
        protocol=Protocol(min_rounds=2, max_rounds=2),
    )
    events: list[Event] = []
    found = bench(request, events.append)
    assert [result.status for result in found.results] == ["ok", "ok"]
    assert found.cpu == "exynos8895"
    assert any(isinstance(event, Note) and "emulated" in event.text for event in events)


def test_verify_measures_on_the_cores_that_the_lut_was_measured_on(
    device: Device, tiny_file: Path, tmp_path: Path, additive_device: Callable[..., Callable[..., FakeAgent]]
) -> None:
    request = ProfileRequest(device=device, space=str(tiny_file), output=tmp_path / "phone.csv")
    lut = profile(request, lambda _event: None, additive_device(), lambda *_: None)
    context = replace(lut.metadata.context, nets=(), nets_us=())  # fewer nets to measure
    environment = {**lut.metadata.environment, "core_choice": "little", "emulated": True}
    write_lut(replace(lut, metadata=replace(lut.metadata, context=context, environment=environment)), request.lut_path)
    # a busy machine disturbs most of the rounds
    asked = VerifyRequest(lut_path=request.lut_path, device=device, nets=2, rounds=12)
    found, results = verify(asked, lambda _event: None)
    assert found.nets == len(results) == 2
    identity = next((tmp_path / "phone.journal").glob("verify-*.jsonl")).read_text().splitlines()[0]
    assert '"core_choice":"little"' in identity
    assert read_lut(request.lut_path).metadata.quality["additivity"]["nets"] == 2


def test_every_command_says_that_an_emulated_phones_times_mean_nothing(
    tmp_path: Path,
    tiny_file: Path,
    host: Device,
    additive_device: Callable[..., Callable[..., FakeAgent]],
    capsys: object,
) -> None:
    request = ProfileRequest(device=host, space=str(tiny_file), output=tmp_path / "phone.csv")
    lut = profile(request, lambda _event: None, additive_device())
    emulated = replace(lut.metadata, environment={"emulated": True})
    write_lut(replace(lut, metadata=emulated), request.lut_path)
    open_lut(request.lut_path)
    assert "measured on an emulated phone" in capsys.readouterr().err  # type: ignore[attr-defined]
