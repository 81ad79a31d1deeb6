"""Inputs and sums that the runner computes in C++ and the host in Python."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lutbench.device_agents.runner.checksum import check_input, checksum_of, difference, fnv1a, splitmix64


def test_the_sequences_are_the_published_ones() -> None:
    assert [hex(value) for value in splitmix64(0, 2)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]
    assert (fnv1a(""), fnv1a("a")) == (0xCBF29CE484222325, 0xAF63DC4C8601EC8C)


def test_the_check_input_is_decided_by_name_and_index() -> None:
    values = check_input("op", 0, np.uint8, (8, 8))
    assert values.shape == (8, 8)
    assert values.ravel()[:4].tolist() == [156, 31, 0, 198]  # as in tests/test_tensor.cpp
    assert not np.array_equal(values, check_input("op", 1, np.uint8, (8, 8)))
    assert np.array_equal(check_input("op", 0, np.int8, (64,)).view(np.uint8), values.ravel())
    assert np.array_equal(check_input("op", 0, np.float32, (64,)), values.ravel() / np.float32(255))
    assert set(check_input("op", 0, np.int64, (64,)).tolist()) == {0, 1}
    assert check_input("op", 0, np.bool_, (64,)).dtype == np.bool_


def test_the_sums_of_known_values() -> None:
    found = checksum_of([np.array([-1, 2, -3, 4], np.int8)])
    assert (found.size, found.mean, found.rms) == (4, 0.5, math.sqrt(30 / 4))
    assert found.sketch == (4.0, 2.0, -2.0, 0.0)  # as in tests/test_tensor.cpp
    assert checksum_of([np.array([-1, 2], np.int8), np.array([-3, 4], np.int8)]) == found


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_rounding_is_told_from_a_wrong_output(dtype: type) -> None:
    integer = dtype is np.uint8
    rng = np.random.default_rng(0)
    values = rng.integers(0, 255, 20_000).astype(dtype) if integer else rng.standard_normal(20_000).astype(dtype)
    step = 1 if integer else dtype(1e-4)
    rounded = values + (rng.random(20_000) < 0.2).astype(dtype) * step
    host = checksum_of([values])
    assert difference(host, host, integer) == 0
    assert 0 < difference(checksum_of([rounded]), host, integer) < 1
    assert difference(checksum_of([values[::-1]]), host, integer) > 1  # the same mean, in the wrong places
    assert difference(checksum_of([np.roll(values, 1)]), host, integer) > 1
    assert difference(checksum_of([values[:-1]]), host, integer) == math.inf


def test_a_value_that_is_no_number_agrees_with_nothing() -> None:
    host = checksum_of([np.array([1.0, 2.0], np.float32)])
    assert difference(replace(host, sha256="other", mean=math.nan), host, integer=False) == math.inf
