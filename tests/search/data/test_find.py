"""What a person may write for --data: names, near names, and whatever else."""

from __future__ import annotations

from pathlib import Path

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutbench.errors import LutbenchError, UsageError
from lutbench.search.data.find import find_data
from lutbench.search.data.options import DataOptions


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("digit", "did you mean digits?"),
        ("shape:100", "did you mean shapes?"),
        ("imagefodler:x", "did you mean imagefolder?"),
        (
            "cifar10",
            "known: digits, shapes[:N@RES], glyphs[:N@RES], fashion-mnist[:N], idx:FOLDER, imagefolder:PATH or hf:PATH",
        ),
        ("digits:8", "digits takes nothing behind it"),
        ("imagefolder", "no path is given; --data imagefolder:PATH"),
        ("hf:", "no path is given; --data hf:PATH"),
        ("", "no data is called ''"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_right(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_data(text)
    assert message in str(caught.value)


def test_a_folder_without_its_kind_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"did you mean imagefolder:{tmp_path}"):
        find_data(str(tmp_path))


@pytest.mark.parametrize(
    "wrong",
    [{"resolution": 4}, {"resolution": 5000}, {"classes": 1}, {"seed": -1}, {"workers": -2}],
)
def test_options_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        DataOptions(**wrong)


KINDS = st.sampled_from(
    ["digits", "shapes", "glyphs", "imagefolder", "hf", "idx", "fashion-mnist", "", "SHAPES", " digits "]
)
RESTS = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"\d{0,3}(@\d{0,2})?", fullmatch=True),
    st.sampled_from(["/", ".", "~", "/dev/null", "a" * 5000, "\0", "..", "~nobody_of_this_name/x"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.one_of(st.text(max_size=40), st.builds("{}:{}".format, KINDS, RESTS)))
def test_any_text_ends_in_a_source_or_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("LUTBENCH_CACHE", str(tmp_path))
    try:
        source = find_data(text, DataOptions(workers=0))
    except LutbenchError as error:
        assert "\n" not in str(error)
    else:
        assert source.count("all") > 0
