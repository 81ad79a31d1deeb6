"""A phone that becomes hot while it measures, by scripted temperatures."""

from __future__ import annotations

import threading
import time

import pytest

from lutbench.device_agents.android import watch
from lutbench.device_agents.registry import Device
from tests.phone.emulated import Phone
from tests.phone.profiling import Profiler


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(watch, "_ASK_EVERY_S", 0.0)


def test_a_hot_phone_is_waited_for(device: Device, phone: Phone) -> None:
    profiler = Profiler(device, device.lut.parent)
    phone.set_temperature(81)

    def cool_down() -> None:
        while "waiting: the phone is hot (its processor is at 81 °C by BIG)" not in profiler.notes:
            time.sleep(0.1)
        time.sleep(1)
        phone.set_temperature(68)  # below the limit, but not by enough
        time.sleep(1)
        phone.set_temperature(40)

    thread = threading.Thread(target=cool_down)
    thread.start()
    lut = profiler.run()
    thread.join()
    profiler.check(lut)
    assert "the phone is ready again after" in profiler.notes
    assert lut.metadata.environment["hottest_c_after"] < 70
