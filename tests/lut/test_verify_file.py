from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutbench.errors import LutError
from lutbench.lut.verify_file import COLUMNS, NetResult, read_results, results_path, write_results

RESULTS = (
    NetResult("fbnet@224x1.0:1504:k3_e1,skip|k5_e6", 101.5, 100.25, 99.125, 99.0, 99.25),
    NetResult("other", 1.0, 2.0, 3.0, 4.0, 5.0),
)


def test_results_survive_their_file(tmp_path: Path) -> None:
    path = results_path(tmp_path / "host.csv", 3)
    assert path == tmp_path / "host.journal" / "verify-r3.csv"
    write_results(RESULTS, path)
    assert read_results(path) == RESULTS
    assert path.read_text().splitlines()[0] == "net,predicted_us,uncorrected_us,measured_us,half_a_us,half_b_us"


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ("", "its columns are not", 1),
        ("net,latency_us\n", "its columns are not", 1),
        (",".join(COLUMNS) + "\na,1,1,1,1\n", "5 cells", 2),
        (",".join(COLUMNS) + "\na,1,1,1,1,1\nb,1,x,1,1,1\n", "'x'", 3),
        (",".join(COLUMNS) + "\na,1,1,0,1,1\n", "0 is not a positive number", 2),
        (",".join(COLUMNS) + "\na,1,1,nan,1,1\n", "nan is not a positive number", 2),
    ],
)
def test_bad_files_are_one_line(text: str, problem: str, line: int, tmp_path: Path) -> None:
    path = tmp_path / "verify-r1.csv"
    path.write_text(text)
    with pytest.raises(LutError, match=problem) as caught:
        read_results(path)
    assert (caught.value.path, caught.value.line, caught.value.exit_status) == (path, line, 4)
    assert "\n" not in str(caught.value)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=60).map(lambda t: (",".join(COLUMNS) + "\n" + t).encode())))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_junk_is_results_or_one_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "junk.csv"
    path.write_bytes(data)
    try:
        assert all(result.measured_us > 0 for result in read_results(path))
    except LutError as error:
        assert "\n" not in str(error)


def test_a_missing_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(LutError, match="no such file"):
        read_results(tmp_path / "none.csv")
