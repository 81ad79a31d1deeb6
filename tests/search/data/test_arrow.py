"""Arrow data sets: what the library `datasets` saves is read, what lacks images or classes is refused by name."""

from __future__ import annotations

import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from lutbench.errors import DataError, UsageError
from lutbench.events import Event, Note
from lutbench.search.data.find import find_data
from lutbench.search.data.options import DataOptions

OPTIONS = DataOptions(resolution=16, workers=0)
FEATURES = datasets.Features({"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["dark", "light"])})


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    datasets.disable_progress_bars()
    monkeypatch.setenv("LUTBENCH_CACHE", str(tmp_path / "cache"))


def table(images: int) -> datasets.Dataset:
    pixels = [np.full((20, 24, 3), 30 + 200 * (n % 2) + n % 20, np.uint8) for n in range(images)]
    rows = {"picture": [Image.fromarray(p) for p in pixels], "kind": [n % 2 for n in range(images)]}
    return datasets.Dataset.from_dict(rows, features=FEATURES)


def check(source: object, train: int, test: int) -> None:
    assert source.class_names == ("dark", "light")  # type: ignore[attr-defined]
    assert (source.count("all"), source.count("test")) == (train, test)  # type: ignore[attr-defined]
    for images, labels in [*source.train_batches(4, 0, 0, "all"), *source.test_batches(4)]:  # type: ignore[attr-defined]
        assert images.shape[1:] == (3, 16, 16)
        assert (images.mean(dim=(1, 2, 3)) > 0).long().equal(labels)


def test_a_saved_set_with_its_splits(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": table(12), "test": table(4)}).save_to_disk(tmp_path / "set")
    check(find_data(f"hf:{tmp_path / 'set'}", OPTIONS), 12, 4)


def test_a_set_without_splits_holds_out_a_fifth_and_says_so(tmp_path: Path) -> None:
    table(20).save_to_disk(tmp_path / "set")
    events: list[Event] = []
    source = find_data(f"hf:{tmp_path / 'set'}", OPTIONS, events.append)
    check(source, 16, 4)
    assert any("a fifth of each class is held out" in event.text for event in events if isinstance(event, Note))


def test_one_arrow_file_decoded_in_workers(tmp_path: Path) -> None:
    table(20).save_to_disk(tmp_path / "set")
    (file,) = (tmp_path / "set").glob("*.arrow")
    check(find_data(f"hf:{file}", DataOptions(resolution=16, workers=2)), 16, 4)


def test_rows_without_an_image_are_named(tmp_path: Path) -> None:
    rows = {"picture": [{"bytes": b"nonsense", "path": None}, *table(19)[:]["picture"]], "kind": [0, 1] * 10}
    datasets.Dataset.from_dict(rows, features=FEATURES).save_to_disk(tmp_path / "set")
    with pytest.raises(
        DataError, match=r"1 of \d+ images of .* cannot be read \(.* row 0: no image of a known format\)"
    ):
        find_data(f"hf:{tmp_path / 'set'}", OPTIONS)


def test_columns_that_are_lacking_are_named(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"text": ["a", "b"]}).save_to_disk(tmp_path / "set")
    with pytest.raises(DataError, match=r"has no column of images \(datasets.Image\); it has text"):
        find_data(f"hf:{tmp_path / 'set'}", OPTIONS)


def test_offsets_that_lead_out_of_the_file_are_one_line(tmp_path: Path) -> None:
    """Following one ends in any exception of Python's, or in none and another image's bytes."""
    table(19).save_to_disk(tmp_path / "set")
    (file,) = (tmp_path / "set").glob("*.arrow")
    data = file.read_bytes()
    offsets = datasets.Dataset.from_file(str(file)).data.table["picture"].chunk(0).field("bytes").buffers()[1]
    place = data.index(offsets.to_pybytes())
    (tmp_path / "bad.arrow").write_bytes(data[: place + 8] + b"\xff\xff\xff\xff" + data[place + 12 :])
    with pytest.raises(DataError, match=r"datasets cannot read it: .*offset"):
        find_data(f"hf:{tmp_path / 'bad.arrow'}", OPTIONS)


@pytest.mark.parametrize("content", [b"", b"nonsense"])
@pytest.mark.parametrize("suffix", ["arrow", "parquet"])
def test_damaged_files_end_in_one_line(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"data.{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match="datasets cannot read it") as caught:
        find_data(f"hf:{path}", OPTIONS)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_nowhere() -> None:
    with pytest.raises(DataError, match="datasets cannot read it"):
        find_data("hf:no_such_folder_here", OPTIONS)


def test_the_library_missing_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"not installed; pip install 'lutbench\[arrow\]'"):
        find_data("hf:anything", OPTIONS)
