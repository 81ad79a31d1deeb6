"""Image folders: right ones are read whatever the format, wrong ones end in one line that names what is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lutbench.errors import DataError, UsageError
from lutbench.events import Event, Note, StepProgress
from lutbench.search.data.find import find_data
from lutbench.search.data.options import DataOptions

OPTIONS = DataOptions(resolution=16, workers=0)
COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


def save(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 30), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).integers(0, 40, (size[1], size[0], 3))
    pixels = np.clip(np.array(colour) * 0.8 + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUTBENCH_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "photos"
    for name, colour in COLOURS.items():
        for number in range(5):
            save(root / "train" / name / f"{number}.jpg", colour)
        save(root / "val" / name / "0.png", colour)
    return root


def test_images_come_as_they_are_labelled(folder: Path) -> None:
    source = find_data(f"imagefolder:{folder}", OPTIONS)
    assert source.class_names == ("blue", "green", "red")
    assert (source.classes, source.resolution) == (3, 16)
    assert [source.count(part) for part in ("all", "w", "theta", "test")] == [15, 12, 3, 3]
    for images, labels in [*source.train_batches(4, 0, 0, "all"), *source.test_batches(2)]:
        assert images.shape[1:] == (3, 16, 16)
        brightest = images.mean(dim=(2, 3)).argmax(1)
        assert brightest.equal(2 - labels)  # blue is channel 2


def test_every_mode_and_shape_of_image_is_read(folder: Path) -> None:
    for name, mode in (("grey.png", "L"), ("palette.gif", "P"), ("cmyk.jpg", "CMYK"), ("alpha.png", "RGBA")):
        save(folder / "train" / "red" / name, COLOURS["red"], mode=mode)
    save(folder / "train" / "red" / "WIDE.JPEG", COLOURS["red"], size=(300, 9))
    (folder / "train" / "red" / "notes.txt").write_text("not an image, and not taken for one")
    (folder / "train" / "red" / ".hidden.jpg").write_text("neither")
    source = find_data(f"imagefolder:{folder}", OPTIONS)
    assert sum(len(labels) for _, labels in source.train_batches(8, 0, 0, "all")) == 20


def test_the_number_of_workers_changes_no_bit(folder: Path) -> None:
    one, other = (
        find_data(f"imagefolder:{folder}", DataOptions(resolution=16, workers=workers)).train_batches(4, 1, 2, "w")
        for workers in (0, 2)
    )
    for (images, labels), (same_images, same_labels) in zip(one, other, strict=True):
        assert images.equal(same_images)
        assert labels.equal(same_labels)


def test_classes_are_chosen_at_random_by_the_seed(folder: Path) -> None:
    chosen = {
        find_data(f"imagefolder:{folder}", DataOptions(16, classes=2, seed=seed, workers=0)).class_names
        for seed in range(8)
    }
    assert len(chosen) > 1
    assert all(len(names) == 2 for names in chosen)


def break_images(folder: Path) -> list[Path]:
    cut, empty, text = (folder / "train" / "red" / f"{n}.jpg" for n in (0, 1, 2))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    empty.write_bytes(b"")
    text.write_text("<html>not found</html>")
    return [cut, empty, text]


@pytest.mark.parametrize("workers", [0, 2])
def test_images_that_cannot_be_read_are_counted_and_named(folder: Path, workers: int) -> None:
    broken = break_images(folder)
    with pytest.raises(DataError) as caught:
        find_data(f"imagefolder:{folder}", DataOptions(resolution=16, workers=workers))
    assert str(caught.value).startswith("3 of 15 images of")
    assert all(str(path) in str(caught.value) for path in broken)
    assert "--skip-broken leaves them out" in str(caught.value)


def test_they_are_left_out_where_that_is_asked_for(folder: Path) -> None:
    break_images(folder)
    events: list[Event] = []
    options = DataOptions(resolution=16, workers=0, skip_broken=True)
    source = find_data(f"imagefolder:{folder}", options, events.append)
    (note,) = [event for event in events if isinstance(event, Note)]
    assert note.warning
    assert note.text.startswith("3 of 15 images of")
    assert source.count("all") == 12
    assert sum(len(labels) for _, labels in source.train_batches(4, 0, 0, "all")) == 12


def test_images_are_checked_once_and_again_when_one_changes(folder: Path) -> None:
    events: list[Event] = []

    def checks() -> int:
        events.clear()
        find_data(f"imagefolder:{folder}", OPTIONS, events.append)
        return sum(isinstance(event, StepProgress) for event in events)

    assert checks() > 0
    assert checks() == 0
    save(folder / "train" / "red" / "new.png", COLOURS["red"])
    assert checks() > 0


def test_an_image_damaged_after_the_check_is_named(folder: Path) -> None:
    source = find_data(f"imagefolder:{folder}", OPTIONS)
    damaged = folder / "train" / "green" / "3.jpg"
    damaged.write_bytes(b"")
    with pytest.raises(DataError, match="not a readable image") as caught:
        list(source.train_batches(4, 0, 0, "all"))
    assert caught.value.path == damaged


def rename_val(folder: Path) -> None:
    (folder / "val").rename(folder / "validation")


def flatten_val(folder: Path) -> None:
    shutil.rmtree(folder / "val")
    save(folder / "val" / "ILSVRC2012_val_00000001.JPEG", COLOURS["red"])


def empty_class(folder: Path) -> None:
    for path in (folder / "train" / "red").iterdir():
        path.unlink()


def one_class(folder: Path) -> None:
    for part in ("train", "val"):
        for name in ("red", "blue"):
            shutil.rmtree(folder / part / name)


def one_image(folder: Path) -> None:
    for number in range(4):
        (folder / "train" / "red" / f"{number}.jpg").unlink()


WRONG = {
    "no val": (rename_val, "val: is not there; the layout is train/CLASS"),
    "val without classes": (flatten_val, "val: holds no folder of a class"),
    "a class without images": (empty_class, "train: 1 of 3 classes have no image (red)"),
    "a class missing in val": (lambda f: shutil.rmtree(f / "val" / "red"), "val: 1 of 3 classes are missing (red)"),
    "a class missing in train": (lambda f: shutil.rmtree(f / "train" / "red"), "train: 1 of 3 classes are missing"),
    "one class": (one_class, "holds 1 class, and 2 or more are needed"),
    "one image": (one_image, "too few images to split: 1 of 3 classes have fewer than 2 to train with (red)"),
    "train is a file": (
        lambda f: (shutil.rmtree(f / "train"), (f / "train").write_text("")),
        "train: cannot be read as a folder",
    ),
    "nothing": (shutil.rmtree, "train: is not there"),
}


@pytest.mark.parametrize("case", WRONG)
def test_folders_that_are_wrong(folder: Path, case: str) -> None:
    spoil, message = WRONG[case]
    spoil(folder)
    with pytest.raises(DataError) as caught:
        find_data(f"imagefolder:{folder}", OPTIONS)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_image_that_no_memory_holds_is_a_broken_one(folder: Path) -> None:
    """Its header claims 13,000 x 13,000 pixels; in a process of its own, in which nothing before has left room."""
    program = f"""
import resource
from pathlib import Path
from lutbench.errors import DataError
from lutbench.search.data.find import find_data
from lutbench.search.data.options import DataOptions
options = DataOptions(resolution=16, workers=0)
find_data("imagefolder:{folder}", options)
Path("{folder}/train/red/0.jpg").write_bytes(b"P6 13000 13000 255\\n" + b"x" * 1000)
own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (own + (300 << 20), -1))
try:
    find_data("imagefolder:{folder}", options)
except DataError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert re.search(r"1 of 15 images .*0\.jpg: decoding it takes more memory than there is", said), said


def test_a_class_whose_only_test_image_is_broken(folder: Path) -> None:
    (folder / "val" / "red" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 of 3 classes have no image to test with \(red\)"):
        find_data(f"imagefolder:{folder}", DataOptions(resolution=16, workers=0, skip_broken=True))


def test_more_classes_than_the_folder_has(folder: Path) -> None:
    with pytest.raises(UsageError, match="has 3 classes, not 100"):
        find_data(f"imagefolder:{folder}", DataOptions(classes=100))
