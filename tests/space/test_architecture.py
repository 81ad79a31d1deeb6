from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.errors import ArchitectureError
from lutbench.space.architecture import (
    Architecture,
    format_architecture,
    own_versions,
    parse_architecture,
    read_architecture,
    write_architecture,
)
from lutbench.space.fbnet import fbnet
from lutbench.space.find import find_spaces
from lutbench.space.sampling import random_nets
from lutbench.space.zoo import zoo_nets
from tests.conftest import TINY_TOML

PATH = Path("net.json")
GOOD = Architecture(
    zoo_nets()[0], {"s8": 19_812.345, "iphonex": 20_100.0}, 7, search={"mode": "hard"}, versions=own_versions()
)
TEXT = format_architecture(GOOD)


def parsed(text: str) -> Architecture:
    return parse_architecture(text.encode(), PATH)


@pytest.mark.parametrize("number", range(len(zoo_nets())))
def test_what_is_written_is_read(number: int, tmp_path: Path) -> None:
    architecture = replace(GOOD, net=zoo_nets()[number])
    write_architecture(architecture, tmp_path / "net.json")
    assert read_architecture(tmp_path / "net.json") == architecture


def test_random_nets_of_scaled_and_own_spaces_come_back(tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(TINY_TOML)
    (tiny,), definition = find_spaces(str(file), (), (1.0,))
    file.unlink()  # the definition comes along
    for space, text in ((tiny, definition), (fbnet(96, 0.35), "")):
        for net in random_nets(space, 5, 0, "architecture"):
            architecture = replace(GOOD, net=net, definition=text)
            assert parsed(format_architecture(architecture)) == architecture


def test_the_file_says_what_a_person_wants_to_know() -> None:
    found = json.loads(TEXT)
    assert found["candidates"].startswith("skip|k3_e3,k3_e1,skip,skip|")
    assert found["predicted_us"] == {"s8": 19812.345, "iphonex": 20100.0}
    assert (found["macs"], found["params"], found["seed"]) == (GOOD.net.macs, GOOD.net.params, 7)
    assert found["space"] == {"name": "fbnet", "resolution": 224, "width": 1.0, "definition": ""}
    assert found["versions"].keys() == {"lutbench", "torch"}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["lutbench_architecture"], 2, "schema 2"),
        (["lutbench_architecture"], True, "is not an architecture"),
        (["candidates"], "skip", "1 candidates"),
        (["candidates"], "skip," * 21 + "k9_e99", "k9_e99"),
        (["macs"], 1, "macs says 1"),
        (["params"], 1, "params says 1"),
        (["seed"], "x", "seed"),
        (["head_channels"], 0, "head_channels 0"),
        (["space", "name"], "nowhere", "nowhere"),
        (["space", "resolution"], 1, "resolution 1"),
        (["space", "resolution"], "224", "space.resolution"),
        (["space", "width"], 0, "width 0"),
        (["space", "definition"], "name = 1", "net.json"),
        (["predicted_us", "s8"], -1, "predicted_us"),
        (["predicted_us", "s8"], None, "predicted_us"),
        (["predicted_us"], [], "predicted_us"),
        (["versions", "torch"], 2, "versions"),
    ],
)
def test_what_is_wrong_is_named(path: list[str], value: Any, says: str) -> None:
    found = json.loads(TEXT)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ArchitectureError) as caught:
        parsed(json.dumps(found))
    assert says in str(caught.value) and "net.json" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("key", sorted(json.loads(TEXT)))
def test_a_key_that_is_missing_is_an_error(key: str) -> None:
    found = json.loads(TEXT)
    del found[key]
    with pytest.raises(ArchitectureError):
        parsed(json.dumps(found))


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ArchitectureError, match=r"no such file|is a folder, not an architecture"):
            read_architecture(path)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from([*json.loads(TEXT), "space.name", "space.resolution", "space.width"]), value=JSON_VALUES)
def test_any_value_anywhere_is_read_or_refused(key: str, value: Any) -> None:
    found = json.loads(TEXT)
    if key.startswith("space."):
        found["space"][key[6:]] = value
    else:
        found[key] = value
    try:
        parsed(json.dumps(found))
    except ArchitectureError as error:
        assert error.path == PATH


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_refused_or_still_an_architecture(data: st.DataObject) -> None:
    raw = bytearray(TEXT.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        parse_architecture(bytes(raw), PATH)
    except ArchitectureError as error:
        assert error.path == PATH


@given(st.binary(max_size=200))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(ArchitectureError):
        parse_architecture(junk, PATH)
