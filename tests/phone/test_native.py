"""The phone at this machine's own speed: its times count, so its records of core and clock are looked at here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lutbench.device_agents.registry import Device
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
