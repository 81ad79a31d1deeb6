"""Parts of a training set are disjoint, whole, stratified, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.errors import DataError, UsageError
from lutbench.search.data.split import W_SHARE, choose_classes, hold_out, name_some, stratified_split


@given(st.lists(st.integers(2, 60), min_size=1, max_size=8), st.integers(0, 2**31))
def test_the_parts_are_disjoint_whole_and_stratified(sizes: list[int], seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    parts = stratified_split(labels, [str(n) for n in range(len(sizes))], seed)
    assert np.array_equal(np.sort(np.concatenate([parts["w"], parts["theta"]])), np.arange(len(labels)))
    assert np.array_equal(parts["all"], np.arange(len(labels)))
    for label, size in enumerate(sizes):
        in_w, in_theta = (int((labels[parts[part]] == label).sum()) for part in ("w", "theta"))
        assert in_w >= 1
        assert in_theta >= 1
        assert abs(in_w - W_SHARE * size) <= 1


def test_the_seed_decides_the_split() -> None:
    labels = np.arange(100) % 4
    one, same, other = (stratified_split(labels, "abcd", seed)["theta"] for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_classes_with_too_few_images_are_named() -> None:
    with pytest.raises(DataError, match=r"2 of 3 classes have fewer than 2 to train with \(cat, eel\)"):
        stratified_split(np.array([0, 1, 1, 1]), ["cat", "dog", "eel"], 0)


def test_what_is_held_out_is_a_share_of_each_class() -> None:
    labels = np.repeat(np.arange(5), 10)
    kept, held = hold_out(labels, 0.2, 0)
    assert not set(kept) & set(held)
    assert np.array_equal(np.bincount(labels[held]), [2] * 5)


def test_classes_are_chosen_by_the_seed() -> None:
    names = [str(n) for n in range(1000)]
    chosen = choose_classes(names, 100, 3, "imagenet")
    assert chosen == sorted(set(chosen))
    assert len(chosen) == 100
    assert chosen == choose_classes(names, 100, 3, "imagenet")
    assert chosen != choose_classes(names, 100, 4, "imagenet")
    assert choose_classes(names, None, 3, "imagenet") == list(range(1000))


@pytest.mark.parametrize("classes", [1, 4])
def test_more_classes_than_there_are_is_an_error(classes: int) -> None:
    with pytest.raises(UsageError, match=f"photos has 3 classes, not {classes}; ask for 2 to 3"):
        choose_classes("abc", classes, 0, "photos")


def test_long_lists_are_cut() -> None:
    assert name_some("ab") == "a, b"
    assert name_some("abcde") == "a, b, c and 2 more"
