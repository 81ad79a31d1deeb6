from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.errors import SpaceFileError
from lutbench.space.file import parse_space, read_space
from tests.conftest import TINY_TOML

PATH = Path("space.toml")


def test_a_space_of_ones_own(tiny_file: Path) -> None:
    space = read_space(tiny_file)
    assert (space.name, space.resolution, space.classes) == ("tiny", 32, 10)
    assert [layer.shape for layer in space.layers] == [
        (8, 16, 16, 8, 1), (8, 16, 16, 8, 1), (8, 16, 16, 16, 2), (16, 8, 8, 16, 1),
    ]  # fmt: skip
    assert [candidate.name for candidate in space.candidates] == ["k3_e1", "k3_e2_g2", "k5_e2", "skip"]


def test_a_stage_may_have_candidates_of_its_own() -> None:
    space = parse_space(TINY_TOML.replace("stride = 2\n", 'stride = 2\ncandidates = ["k7_e4"]\n'), PATH)
    assert [len(layer.candidates) for layer in space.layers] == [4, 4, 1, 1]


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("resolution = 32", "resolution = 'big'", 2, "resolution must be a whole number"),
        ("resolution = 32", "resolution = 0", 2, "resolution 0 is not between"),
        ("resolution = 32", "resolution = true", 2, "must be a whole number"),
        ("resolution = 32", "resolution = = 3", 2, "not TOML"),
        ("classes = 10", "clases = 10", 3, "unknown key 'clases'"),
        ('"k5_e2"', '"k5e"', 4, "is not a candidate"),
        ('"k5_e2"', '"k4_e2"', 4, "odd"),
        ('"k5_e2"', '"k3_e1"', 4, "there twice"),
        ('"k5_e2"', "7", 4, "7 is not a candidate"),
        ("[stem]\nchannels = 8", "[stem]\nchannels = -8", 7, "channels -8 is not between"),
        ("[stem]\nchannels = 8", "[stem]\nwidth = 8", 7, "unknown key 'width'"),
        (
            "channels = 16\nlayers = 2",
            "channels = 15\nlayers = 2",
            13,
            "candidate k3_e2_g2: ir: 15 output channels do not divide",
        ),
        ("channels = 16\nlayers = 2", "channels = 16\nlayers = 2.5", 15, "layers must be a whole number"),
        ("stride = 2", "stride = 9", 16, "stride 9 is larger"),
        ("[head]\nchannels = 32", "[haed]\nchannels = 32", 18, "unknown key 'haed'"),
        ("[head]\nchannels = 32", "[head]", 18, "channels is missing"),
        ("[head]\nchannels = 32", "", 1, "head is missing"),
        ('name = "tiny"', 'name = "a b"', 1, "name must be"),
    ],
)
def test_errors_name_the_line(old: str, new: str, line: int, problem: str) -> None:
    assert old in TINY_TOML
    with pytest.raises(SpaceFileError, match=problem) as caught:
        parse_space(TINY_TOML.replace(old, new), PATH)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"space.toml:{line}: ")


def test_the_line_of_a_candidate_in_a_list_over_several_lines() -> None:
    text = TINY_TOML.replace('"k5_e2", ', '\n  "k5_e2",\n  "kx",\n')
    with pytest.raises(SpaceFileError) as caught:
        parse_space(text, PATH)
    assert caught.value.line == 6


def test_missing_file_and_binary_junk(tmp_path: Path) -> None:
    with pytest.raises(SpaceFileError, match="no such file"):
        read_space(tmp_path / "none.toml")
    junk = tmp_path / "junk.toml"
    junk.write_bytes(b"\xff\x00\xfe")
    with pytest.raises(SpaceFileError, match="is not a space: it is not UTF-8"):
        read_space(junk)


@given(st.text(max_size=200))
def test_junk_is_one_error(text: str) -> None:
    with pytest.raises(SpaceFileError):
        parse_space(text, PATH)


@given(st.integers(0, len(TINY_TOML)), st.integers(0, 12), st.text(max_size=6))
def test_a_damaged_file_is_a_space_or_one_error(start: int, length: int, insert: str) -> None:
    try:
        parse_space(TINY_TOML[:start] + insert + TINY_TOML[start + length :], PATH)
    except SpaceFileError as error:
        assert error.line is not None and error.line >= 1
