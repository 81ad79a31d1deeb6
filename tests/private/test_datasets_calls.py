"""A table's identity, by its fingerprint and without."""

from __future__ import annotations

import pytest

from lutbench.private.datasets_calls import identity


def test_tables_are_told_apart_with_and_without_their_fingerprints() -> None:
    datasets = pytest.importorskip("datasets")
    short, long = (datasets.Dataset.from_dict({"label": list(range(size))}) for size in (3, 4))
    other = datasets.Dataset.from_dict({"text": ["a", "b", "c"]})
    assert identity(short) == short._fingerprint
    assert len({identity(table) for table in (short, long, other)}) == 3
    for table in (short, long, other):
        del table._fingerprint
    assert len({identity(table) for table in (short, long, other)}) == 3
    assert identity(short) == identity(short)
