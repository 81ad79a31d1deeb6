"""The phone at this machine's own speed: its times count, so its records of core and clock are looked at here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.android.agent import AndroidAgent
from lutbench.device_agents.android.find import Wanted
from lutbench.device_agents.android.opening import open_phone
from lutbench.device_agents.registry import Device
from lutbench.device_agents.remote.agent import Patience
from lutbench.jobs.bench import BenchRequest, bench
from lutbench.jobs.model_options import InputOptions
from lutbench.measure.protocol import Protocol
from tests.phone.conftest import unavailable
from tests.phone.emulated import REQUIRE_VARIABLE, NoPhoneError, Phone, built_phone
from tests.phone.profiling import Profiler


@pytest.fixture(scope="module")
def native_phone() -> Iterator[Phone]:
    if not os.environ.get(REQUIRE_VARIABLE):
        pytest.skip(f"needs root; `make test-phone` (or {REQUIRE_VARIABLE}=1) runs it")
    try:
        phone = Phone(built_phone("amd64"))
    except NoPhoneError as error:
        unavailable(str(error))
        raise
    yield phone
    phone.close()


def test_a_profile_through_adb_on_this_machines_own_processor(native_phone: Phone, tmp_path: Path) -> None:
    """With the usual bundle, which the phone's ABI decides: nothing of it is emulated, and the LUT says so."""
    profiler = Profiler(Device("native", "android", tmp_path / "phone.csv", "", address=native_phone.address), tmp_path)
    lut = profiler.run()
    profiler.check(lut)
    environment = lut.metadata.environment
    assert "android-x86_64" in environment["bundle"]
    assert "emulated" not in environment and "emulated" not in profiler.notes
    assert environment["pinned_to"] == [1] and "pinned_to_after" not in environment
    assert environment["cpus_allowed"] != "unreadable"
    assert 0 < environment["clock_ns_after"] < 100_000
    assert not environment.get("cycles_on_other_cores_after")
    (agent,) = profiler.agents
    assert 0 < agent.runner_s < 60


def test_a_program_of_several_inputs_runs_on_the_phone(native_phone: Phone, tmp_path: Path) -> None:
    """A .pte: float images, float scales and whole numbers, each as the user gives them or from a seed."""
    program = Path(__file__).parent.parent / "models" / "three_inputs.pte"
    device = Device("native", "android", tmp_path / "phone.csv", "", address=native_phone.address)
    request = BenchRequest(
        device=device,
        nets=(str(program),),
        runtime="executorch",
        inputs=InputOptions(values={"input2": (3.0, 5.0)}),
        protocol=Protocol(min_rounds=3, max_rounds=3),
    )

    def open_device(chosen: Device, settings: AgentSettings) -> AndroidAgent:
        wanted = Wanted(chosen.name, chosen.serial, chosen.address, chosen.model, chosen.bundle)
        return open_phone(wanted, tmp_path / "config", settings, Patience(reconnect_s=15.0))

    (result,) = bench(request, lambda _event: None, open_device).results
    assert result.status == "ok" and result.summary is not None
    assert 1 < result.summary.latency_us < 100_000 and result.summary.samples >= 3
    told = [(given.name, given.dtype, given.shape, given.said) for given in result.net.inputs]
    assert told == [
        ("input0", "float32", (1, 3, 8, 8), "random normal"),
        ("input1", "float32", (1, 4), "random normal"),
        ("input2", "int64", (2,), "3,5"),
    ]
