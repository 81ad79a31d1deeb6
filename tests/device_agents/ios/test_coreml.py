"""Core ML from end to end, but for Core ML: what stands in for it in the app answers from a table that is made here.

Few programs are exported, for that takes seconds each: the other operators of the space fail, as such an export may.
Whole LUTs, and nets predicted from them, are tests/jobs/test_chain_profile.py's.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.ios.agent import IphoneAgent
from lutbench.device_agents.ios.find import WantedIphone
from lutbench.device_agents.ios.opening import open_iphone
from lutbench.device_agents.registry import Device
from lutbench.device_agents.remote.agent import Patience
from lutbench.device_agents.runner.checksum import coreml_output
from lutbench.errors import DeviceError
from lutbench.events import Event
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import find_exporter
from lutbench.export.pool import export_all
from lutbench.jobs.chain_rounds import programs_of
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.measure.protocol import Batch, Canary, Cycle, Failure, Samples
from lutbench.space.chain import OperatorChain
from lutbench.space.operator import OVERHEAD, parse_operator
from lutbench.space.workload import Workload, workload_name
from tests.cli.running import run
from tests.device_agents.ios.app import App, program
from tests.device_agents.ios.fake_usbmuxd import FakeUsbmuxd
from tests.phone.profiling import SPACE_TOML

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("LUTBENCH_IOS_COREML"), reason="loads coremltools: LUTBENCH_IOS_COREML=1"),
]
ENGINE, UNIT = "coreml-ane", "ane"
CALL_NS, COPY_NS, LINK_NS = 150_000, 60_000, 1_000
FC = parse_operator("fc_16_4")
FITS = parse_operator("ir_k3_e1_g1_8x8x8_8_s1")
Exports = list[tuple[OperatorChain, Artifact]]


@pytest.fixture(scope="module")
def exports(shared_cache: Path) -> Exports:
    """All programs of two operators: one whose copies fit together, and one whose copies do not."""
    program()  # nothing is exported where there is no app to run it
    chains = {chain.key: chain for operator in (FITS, FC) for chain in programs_of(operator).all}
    made = export_all(
        list(chains.values()), find_exporter("coreml", "fp16", ENGINE), "fp16", ArtifactCache(shared_cache)
    )
    found = {artifact.name: artifact for _, artifact in made if isinstance(artifact, Artifact)}
    return [(chain, found[key]) for key, chain in chains.items()]


def time_ns(chain: OperatorChain) -> int:
    return CALL_NS + chain.copies * (LINK_NS if chain.links else COPY_NS)


def table(folder: Path, exports: Exports, **changes: Mapping[str, Any]) -> Path:
    """What the stand-in answers: each program's own output, by what this machine computes of its file.

    changes: artifact's name, with _ for * -> other answers.
    """
    programs = {}
    for chain, artifact in exports:
        output = folder / f"{artifact.sha256}.bin"
        output.write_bytes(coreml_output(artifact.name, artifact.path).tobytes())
        inputs = math.prod(chain.input_shape)
        entry = {"half": True, "inputs": inputs, "output": str(output), "units": {UNIT: 7}, "ns": time_ns(chain)}
        programs[artifact.sha256] = entry | dict(changes.get(artifact.name.replace("*", "_"), {}))
    path = folder / "table.json"
    path.write_text(json.dumps({ENGINE: {"runtime": "Core ML of iOS 17.5", "programs": programs}}))
    return path


OpenApp = Callable[[Path], App]


@pytest.fixture
def open_app(mux: FakeUsbmuxd, tmp_path: Path) -> Iterator[OpenApp]:
    apps: list[App] = []

    def start(programs: Path) -> App:
        apps.append(App(tmp_path / "phone", mux, programs=programs))
        return apps[-1]

    yield start
    for app in apps:
        app.close()


def opened(device: Device, settings: AgentSettings) -> IphoneAgent:
    return open_iphone(WantedIphone(device.name), settings, "", Patience(reconnect_s=20.0))


def test_a_profile_by_chains_becomes_a_lut(
    open_app: OpenApp, exports: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space_file = tmp_path / "few.toml"
    space_file.write_text(SPACE_TOML)
    by_name = {artifact.name: artifact for _, artifact in exports}

    def export(workloads: Sequence[Workload], *_rest: object) -> tuple[list[Artifact], list[Failure]]:
        names = [workload_name(workload) for workload in workloads]
        lacking = [Failure(name, "not exported") for name in names if name not in by_name]
        return [by_name[name] for name in names if name in by_name], lacking

    monkeypatch.setattr("lutbench.jobs.profile.export_workloads", export)
    open_app(table(tmp_path, exports))
    device = Device("mine", "ios", tmp_path / "phone.csv", "")
    request = ProfileRequest(
        device=device, space=str(space_file), runtime="coreml", dtype="fp16", engine=ENGINE, output=tmp_path / "ane.csv"
    )
    events: list[Event] = []
    lut = profile(request, events.append, opened, look_first=lambda *_: None)
    rows = {row.operator: row for row in lut.rows if row.is_ok}
    assert set(rows) == {FITS.name, FC.name, OVERHEAD.name} and {row.unit for row in rows.values()} == {UNIT}
    assert all(row.latency_us > 0 for row in rows.values())
    assert {row.status for row in lut.rows if not row.is_ok} == {
        f"failed: {row.operator}*4: not exported" for row in lut.rows if not row.is_ok
    }
    environment = lut.metadata.environment
    assert environment["app_runtimes"][ENGINE] == environment["runner_runtime_after"] == "Core ML of iOS 17.5"
    assert lut.metadata.quality["units"] == {UNIT: len(rows)} and lut.metadata.runtime.endswith(f"({ENGINE})")

    shown = run("show", str(request.lut_path), cwd=tmp_path)
    assert shown.returncode == 0 and "what a copy adds to chains" in shown.stdout


def test_what_it_is_told_of_programs_and_what_they_compute(open_app: OpenApp, exports: Exports, tmp_path: Path) -> None:
    """Placements, a refusal, an output that is another one's, cycles; and an engine that the phone has not."""
    few = [(chain, artifact) for chain, artifact in exports if chain.operator == FC and not chain.links]
    wrong = tmp_path / "wrong.bin"
    wrong.write_bytes(bytes(2 * FC.c_out))
    programs = table(
        tmp_path, few,
        fc_16_4_8={"output": str(wrong)}, fc_16_4_16={"refused": "no memory on this unit"},
    )  # fmt: skip
    open_app(programs)
    device, settings = Device("mine", "ios", tmp_path / "x.csv", ""), AgentSettings("coreml", "fp16", 1, engine=ENGINE)
    with opened(device, settings) as agent:
        failures = {f.artifact: f.reason for f in agent.install([artifact for _, artifact in few])}
        assert set(failures) == {"fc_16_4*8", "fc_16_4*16"}
        assert "computes something else" in failures["fc_16_4*8"]
        assert failures["fc_16_4*16"] == "no memory on this unit"
        assert (agent.units("fc_16_4*4"), agent.units("nobody")) == ({UNIT: 7}, {})
        batch = Batch((Cycle(("fc_16_4*4",), 0, 1, 3, "c"),), (Canary("c", "fc_16_4*4", 1, 1.0),))
        (found,) = (outcome for outcome in agent.measure(batch) if isinstance(outcome, Samples))
        assert min(found.durations_ns) >= time_ns(OperatorChain(FC, 4)) * 0.99  # less what reading the clock takes
        assert not [outcome for outcome in agent.measure(batch) if isinstance(outcome, Failure)]
    with pytest.raises(DeviceError, match=r"the app has no coreml-gpu \(it has: .*coreml-ane.*give another --engine"):
        opened(device, AgentSettings("coreml", "fp16", 1, engine="coreml-gpu"))
