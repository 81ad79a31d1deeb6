from __future__ import annotations

import pytest

from lutbench.device_agents.android.cores import check_choice, choose_cores
from lutbench.errors import DeviceError, UsageError

S8 = dict.fromkeys(range(4), 1690) | dict.fromkeys(range(4, 8), 2314)
THREE = dict.fromkeys(range(4), 1800) | dict.fromkeys(range(4, 7), 2400) | {7: 2840}


@pytest.mark.parametrize(
    ("choice", "speeds", "threads", "cores"),
    [
        ("big", S8, 1, [4, 5, 6, 7]),
        ("little", S8, 4, [0, 1, 2, 3]),
        ("all", S8, 1, list(range(8))),
        ("0xf0", S8, 2, [4, 5, 6, 7]),
        ("0x81", S8, 2, [0, 7]),
        ("big", THREE, 1, [7]),
        ("big", THREE, 2, [4, 5, 6, 7]),
        ("little", THREE, 1, [0, 1, 2, 3]),
        ("big", dict.fromkeys(range(4), 0), 1, [0, 1, 2, 3]),  # unreadable frequencies: one cluster
    ],
)
def test_clusters(choice: str, speeds: dict[int, int], threads: int, cores: list[int]) -> None:
    assert choose_cores(choice, speeds, threads, "phone") == cores


def test_cores_that_are_not_there_or_too_few() -> None:
    with pytest.raises(DeviceError, match="no core 8, 9"):
        choose_cores("0x300", S8, 1, "phone")
    with pytest.raises(DeviceError, match="are 4 cores, 5 threads"):
        choose_cores("little", S8, 5, "phone")


def test_choices_and_their_usual_form() -> None:
    assert [check_choice(text) for text in ("big", " ALL ", "0xF0", "0x00f0")] == ["big", "all", "0xf0", "0xf0"]
    for text in ("", "huge", "0x", "0x0", "f0", "0xg", "4-7", "0x" + "f" * 65):
        with pytest.raises(UsageError, match="--cores"):
            check_choice(text)
