from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lutbench.errors import LutbenchError
from lutbench.reading.files import check_regular, format_size, read_bytes
from lutbench.reading.kinds import KINDS, MIB, SPACE, Kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_no_regular_file_is_one_error(kind: Kind, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path, problem in (
            (Path("/dev/zero"), f"is a device, not {kind.name}"),
            (Path("/dev/null"), f"is a device, not {kind.name}"),
            (tmp_path, f"is a folder, not {kind.name}"),
            (tmp_path / "pipe", f"is a pipe, not {kind.name}"),
            (tmp_path / "socket", "cannot be read: No such device or address"),
            (tmp_path / "none", "no such file"),
            (tmp_path / "none" / "x", "no such file"),
            (tmp_path / ("x" * 300), "cannot be read: File name too long"),
            (Path("/" + "x/" * 5000), "cannot be read: File name too long"),
            (Path("a\0b"), "cannot be a file's name"),
            (Path("a\ud800b"), "cannot be a file's name"),
        ):
            for read in (read_bytes, check_regular):
                with pytest.raises(kind.error) as error:
                    read(path, kind)
                assert error.value.problem == problem
                assert "\n" not in str(error.value)


def test_a_pipe_that_nobody_writes_to_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    code = "import sys; from pathlib import Path; from lutbench.reading import files, kinds"
    code = f"{code}; files.read_bytes(Path(sys.argv[1]), kinds.LUT)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "pipe"], capture_output=True, timeout=20, check=False)
    assert b"is a pipe, not a LUT" in done.stderr


def test_a_file_larger_than_its_kind_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading it would end the test
    with pytest.raises(LutbenchError, match="larger than 1 MiB, which a space never is"):
        read_bytes(path, SPACE)


def test_a_file_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "space"
    path.write_bytes(b"x" * MIB)
    assert read_bytes(path, SPACE) == b"x" * MIB
    path.write_bytes(b"x" * (MIB + 1))
    with pytest.raises(LutbenchError, match="larger than"):
        read_bytes(path, SPACE)


def test_the_systems_own_files_say_0_bytes_and_are_read() -> None:
    assert read_bytes(Path("/proc/self/status"), SPACE).startswith(b"Name:")


def test_the_page_of_limits_lists_every_kind() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "limits.md").read_text()
    rows = dict(re.findall(r"^\| ([^|]+) \| (\d+ [KMG]iB) \|$", page, re.MULTILINE))
    assert rows == {kind.name: format_size(kind.largest_bytes) for kind in KINDS}
