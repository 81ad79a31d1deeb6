from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from lutbench.errors import UsageError
from lutbench.export.artifact import Artifact, Exported, Recipe
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import EXPORTERS, find_exporter
from lutbench.export.pool import export_all
from lutbench.space.operator import parse_operator

OPERATOR = parse_operator("conv_k1_16x8x8_24_s2")
EXPORTER = EXPORTERS["onnx"]
RECIPE = EXPORTER.recipe(OPERATOR, "int8")


@pytest.fixture
def cache(tmp_path: Path) -> ArtifactCache:
    return ArtifactCache(tmp_path)


def test_what_was_put_is_got(cache: ArtifactCache) -> None:
    assert cache.get(RECIPE, ".onnx") is None
    put = cache.put(RECIPE, ".onnx", Exported(b"model", 0.01))
    assert cache.get(RECIPE, ".onnx") == put
    assert put.path.read_bytes() == b"model"
    assert (put.name, put.size_bytes, put.check_error) == (OPERATOR.name, 5, 0.01)


@pytest.mark.parametrize("damage", [b"", b"mode", b"modem", b"model and more"])
def test_a_corrupt_artifact_is_removed(cache: ArtifactCache, damage: bytes) -> None:
    put = cache.put(RECIPE, ".onnx", Exported(b"model", 0.01))
    put.path.write_bytes(damage)
    assert cache.get(RECIPE, ".onnx") is None
    assert not put.path.exists()


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b"\xff", b'{"sha256": 1}'])
def test_a_corrupt_note_is_removed(cache: ArtifactCache, damage: bytes) -> None:
    put = cache.put(RECIPE, ".onnx", Exported(b"model", 0.01))
    put.path.with_suffix(".json").write_bytes(damage)
    assert cache.get(RECIPE, ".onnx") is None


def test_a_corrupt_entry_is_exported_again(cache: ArtifactCache) -> None:
    ((_, first),) = export_all([OPERATOR], EXPORTER, "int8", cache)
    assert isinstance(first, Artifact)
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[:-1])
    ((_, again),) = export_all([OPERATOR], EXPORTER, "int8", cache)
    assert again == first
    assert first.path.read_bytes() == whole


def test_other_dtypes_and_versions_are_other_entries() -> None:
    other = EXPORTER.recipe(OPERATOR, "fp32")
    assert len({RECIPE.key, other.key}) == 2
    newer = {**RECIPE.versions, "onnx": "99"}
    assert RECIPE.key != type(RECIPE)(RECIPE.workload, RECIPE.runtime, RECIPE.dtype, newer).key


def test_keys_are_those_that_caches_are_full_of() -> None:
    recipe = Recipe("fc_32_10", "onnx", "int8", {"exporter": "1", "onnx": "1.18"})
    assert recipe.key == "ad469a8fad9710b60ac44cfac77d50ca244a88df5537f1540e10bdd36336b37b"


def _put_many(folder: Path) -> None:
    cache = ArtifactCache(folder)
    for _ in range(200):
        cache.put(RECIPE, ".onnx", Exported(b"model" * 1000, 0.01))


def test_two_writers_and_a_reader_at_once(tmp_path: Path) -> None:
    """A reader sees the whole artifact or none, whatever two other processes write."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_put_many, args=(tmp_path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    cache = ArtifactCache(tmp_path)
    while any(writer.is_alive() for writer in writers):
        found = cache.get(RECIPE, ".onnx")
        assert found is None or found.path.read_bytes() == b"model" * 1000
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert cache.get(RECIPE, ".onnx") is not None


def test_unknown_runtime_and_dtype() -> None:
    with pytest.raises(UsageError, match="no runtime is called 'tflite'"):
        find_exporter("tflite", "int8")
    with pytest.raises(UsageError, match="no dtype 'int4'"):
        find_exporter("onnx", "int4")
