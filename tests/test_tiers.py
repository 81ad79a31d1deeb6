from __future__ import annotations

import pytest

from tests.tiers import LONG, TESTS, is_left_out, share_of

PLACES = [(TESTS / f"{file}.py", f"test_{name}{end}") for file, names in LONG.items() for name in names for end in "ab"]


def test_every_one_of_the_longest_tests_is_in_one_share() -> None:
    for path, name in PLACES:
        assert [is_left_out(path, name, (number, 3)) for number in range(3)].count(False) == 1
        assert is_left_out(path, name, None) and not is_left_out(path, name, (0, 1))
    for number in range(3):
        share = [place for place in PLACES if not is_left_out(*place, (number, 3))]
        assert len(PLACES) / 4 < len(share) < len(PLACES) / 2


def test_others_are_in_all_of_them() -> None:
    assert not any(is_left_out(TESTS / "test_tiers.py", "test_x", share) for share in (None, (0, 3), (2, 3), (0, 1)))


def test_files_and_tests_that_are_named_are_there() -> None:
    for file, names in LONG.items():
        text = (TESTS / f"{file}.py").read_text()
        assert [name for name in names if f"def test_{name.split('[')[0]}" not in text] == []


def test_what_the_variable_may_say() -> None:
    assert [share_of(text) for text in ("", "1", "0/3", "2/3")] == [None, (0, 1), (0, 3), (2, 3)]
    for text in ("3/3", "-1/3"):
        with pytest.raises(ValueError, match="is no share"):
            share_of(text)
