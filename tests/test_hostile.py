"""Files that somebody made to do harm: names that are paths, values that grow, checkpoints of other types."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lutbench.errors import ArchitectureError, ExportError, LutbenchError, LutError, SpaceFileError, UsageError
from lutbench.export.model_files import read_model
from lutbench.lut.file import format_lut, parse_lut, read_lut
from lutbench.lut.latencies import read_latencies
from lutbench.lut.shipped import find_lut
from lutbench.space.architecture import Architecture, format_architecture, read_architecture
from lutbench.space.fbnet import fbnet
from lutbench.space.file import parse_space
from lutbench.space.find import find_spaces
from lutbench.space.zoo import find_net
from tests.lut.made import made_lut

FBNET = fbnet(224, 1.0)
SECRET = "the first line of a file that nobody asked for"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return path


def test_a_space_of_a_lut_is_not_opened_as_a_file(secret: Path) -> None:
    lut = made_lut()
    section = replace(lut.metadata.space, name=str(secret))
    found = parse_lut(format_lut(replace(lut, metadata=replace(lut.metadata, space=section))), Path("x.csv"))
    with pytest.raises(UsageError, match="no space is called") as error:
        _ = found.metadata.space.spaces
    assert SECRET not in str(error.value)


def test_a_space_of_an_architecture_is_not_opened_as_a_file(secret: Path) -> None:
    net = find_net("fbnet_a", (FBNET,))
    found = json.loads(format_architecture(Architecture(net, {"host": 1.0}, 0)))
    path = secret.parent / "net.json"
    for name in (str(secret), "/etc/passwd", f"{secret}.toml", "x" * 5000, "a\0b"):
        found["space"]["name"] = name
        path.write_text(json.dumps(found))
        with pytest.raises(ArchitectureError, match="no space is called") as error:
            read_architecture(path)
        assert SECRET not in str(error.value)


def test_a_net_of_a_table_is_not_opened_as_a_file(secret: Path) -> None:
    net = secret.parent / "net.json"
    net.write_text(format_architecture(Architecture(find_net("fbnet_a", (FBNET,)), {"host": 1.0}, 0)))
    table = secret.parent / "table.csv"
    table.write_text(f"net,latency_ms\n{net},20\nmodule:factory,20\nfbnet_b,20\n")
    found = read_latencies(str(table), "s8", (FBNET,))
    assert [timed.name for timed in found.nets] == ["fbnet_b"]
    assert "a file's name in a table is not followed" in found.left_out[0]


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "/" + "y/" * 3000])
def test_a_space_of_the_command_line_that_cannot_be_a_path_is_a_name(name: str) -> None:
    with pytest.raises(UsageError, match="no space is called"):
        find_spaces(name, (), (1.0,))


SPACE = """name = "big"\ncandidates = ["k3_e1"]\n[stem]\nchannels = 8\n{stages}[head]\nchannels = 8\n"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("stages", "problem"),
    [
        ("[[stage]]\nchannels = 8\nlayers = 65536\n", "more than 512 layers"),
        ("[[stage]]\nchannels = 8\n" * 30_000, "more than 512 layers"),
        (f"[[stage]]\nchannels = 8\ncandidates = {json.dumps(['k3_e1'] * 50_000)}\n", "more than 256 candidates"),
    ],
    ids=["layers", "stages", "candidates"],
)
def test_a_space_of_absurd_size_is_refused_at_once(stages: str, problem: str) -> None:
    with pytest.raises(SpaceFileError, match=problem):
        parse_space(SPACE.format(stages=stages), Path("big.toml"))


def test_the_first_stage_that_cannot_be_is_named_among_many() -> None:
    good, bad = "[[stage]]\nchannels = 8\n", '[[stage]]\nchannels = 9\ncandidates = ["k3_e1_g2"]\n'
    with pytest.raises(SpaceFileError, match="groups") as error:
        parse_space(SPACE.format(stages=good * 20 + bad + good * 20), Path("big.toml"))
    text = SPACE.format(stages=good * 20 + bad)
    assert error.value.line is not None and text.split("\n")[error.value.line - 1] == "[[stage]]"
    assert error.value.line == 5 + 40


@pytest.mark.timeout(60)
def test_millions_of_commas_are_one_error(tmp_path: Path) -> None:
    path = tmp_path / "commas.csv"
    head = format_lut(made_lut()).split("operator,")[0]
    path.write_text(head + "," * 30_000_000 + "\n")
    with pytest.raises(LutError, match="a line has more than 65,536 characters"):
        read_lut(path)
    path.write_text(head + "\n" * 3_000_000)
    with pytest.raises(LutError, match="more than 2,000,000 lines"):
        read_lut(path)


@pytest.mark.parametrize(
    ("quality", "problem"),
    [
        ({"target": "x"}, "quality.target must be a number, not 'x'"),
        ({"additivity": 3}, "quality.additivity must be a table, not 3"),
        ({"additivity": {"mean_abs_error": [1]}}, "quality.additivity.mean_abs_error must be a number"),
        ({"canary_us": "x"}, "quality.canary_us must be a table"),
        ({"clock_us": [1]}, "quality.clock_us must be a number"),
    ],
)
def test_of_a_luts_free_tables_what_is_computed_with_is_a_number(quality: dict[str, Any], problem: str) -> None:
    with pytest.raises(LutError, match=problem):
        parse_lut(format_lut(made_lut(quality=quality)), Path("x.csv"))


class _Phone:
    label, kind = "phone", "fake"

    def __init__(self, text: str) -> None:
        self.answer = SimpleNamespace(status=0, text=text, output=text.encode())

    def run(self, _script: str, timeout_s: float = 0.0) -> Any:
        del timeout_s
        return self.answer

    check = run


DIGITS = "9" * 5000


@pytest.mark.parametrize(
    "text",
    [
        f"===battery===\n  temperature: {DIGITS}\n",
        "===battery===\n  temperature: ²\n",
        f"===zones===\nthermal_zone0/type:cpu\nthermal_zone0/temp:{DIGITS}\n",
        f"===cpuinfo===\nprocessor : {DIGITS}\n",
        f"===online===\n0-{DIGITS}\n",
        "===online===\n" + ",".join(["0-9999"] * 5000),
        f"===online===\n0\n===frequencies===\ncpu0/cpufreq/cpuinfo_max_freq:{DIGITS}\n",
        f"===frequencies===\ncpu{DIGITS}/cpufreq/scaling_max_freq:1\n",
        f"/dev/dm-0 1 1 {DIGITS} 1% /data",
        "/dev/dm-0 1 1 ² 1% /data",
        f"{DIGITS}\t/data",
        f"held {DIGITS} owner",
        "held x owner",
        "",
        "mine " * 3,
    ],
    ids=range(15),
)
def test_a_phone_that_prints_5000_digits_is_one_error_or_unreadable(text: str) -> None:
    from lutbench.device_agents.android import describe, heat, install
    from lutbench.device_agents.android.lock import PhoneLock

    phone: Any = _Phone(text)
    state = describe.read_state(phone)
    actions: list[Callable[[], object]] = [
        lambda: describe.describe(state, "usb", [0]),
        lambda: (state.speeds, state.zones, state.cores),
        lambda: heat.is_capped(state),
        lambda: install.free_bytes(phone),
        lambda: install.clean(phone),
        PhoneLock(phone, "/x", "0" * 16).acquire,
    ]
    for action in actions:
        try:
            action()
        except LutbenchError as error:
            assert len(str(error)) < 1000


def checkpoint(value: object) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def whole() -> dict[str, Any]:
    import torch

    identity = {"job": "train", "net": "n", "data": "digits", "resolution": 8, "classes": 10, "data_seed": 0}
    return {"lutbench_checkpoint": 2, "identity": identity, "state": {"net": {"w": torch.zeros(2, 3)}}}


def _with(place: str, value: Callable[[], object]) -> Callable[[], bytes]:
    def made() -> bytes:
        found = whole()
        found[place]["new"] = value()
        return checkpoint(found)

    return made


def _tensor(make: Callable[[Any], object]) -> Callable[[], object]:
    def made() -> object:
        import torch

        return make(torch)

    return made


def _compressed() -> bytes:
    """A small file that unpacks to 100 MB."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 100_000_000)
    return target.getvalue()


def _nested() -> object:
    value: list[object] = []
    for _ in range(40):
        value = [value, value]
    return value


def _empty() -> object:
    import torch

    return torch.zeros(0)


CHECKPOINTS: dict[str, Callable[[], bytes]] = {
    "a tensor in the identity": _with("identity", _tensor(lambda torch: torch.zeros(2))),
    "a long number in the identity": _with("identity", lambda: 10**5000),
    "infinity in the identity": _with("identity", lambda: float("inf")),
    "a long number in the state": _with("state", lambda: 10**5000),
    "half a character": _with("state", lambda: "\ud800"),
    "bytes": _with("state", lambda: b"x"),
    "a set": _with("state", lambda: {1}),
    "a dtype": _with("state", _tensor(lambda torch: torch.int8)),
    "a sparse tensor": _with("state", _tensor(lambda torch: torch.zeros(2, 3).to_sparse())),
    "a tensor that is expanded": _with("state", _tensor(lambda torch: torch.zeros(1).expand(1 << 40))),
    "a list that doubles": _with("state", _nested),
    "a version that is a tensor": lambda: checkpoint({**whole(), "lutbench_checkpoint": _empty()}),
    "another value": lambda: checkpoint([1, 2]),
    "an identity that is a list": lambda: checkpoint({**whole(), "identity": [1]}),
    "a plain pickle": lambda: pickle.dumps(whole()["identity"]),
    "a compressed archive": _compressed,
    "nothing": bytes,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_with_other_values_inside_is_one_error(name: str, tmp_path: Path) -> None:
    from lutbench.search.checkpoint import load_checkpoint, load_weights

    path = tmp_path / "checkpoint.pt"
    path.write_bytes(CHECKPOINTS[name]())
    for load in (load_weights, lambda path: load_checkpoint(path, whole()["identity"])):
        with pytest.raises(LutbenchError) as error:
            load(path)
        assert len(str(error.value)) < 500


def test_a_checkpoint_that_is_whole_is_read(tmp_path: Path) -> None:
    from lutbench.search.checkpoint import load_weights

    path = tmp_path / "checkpoint.pt"
    path.write_bytes(checkpoint(whole()))
    assert load_weights(path).data == "digits"


@pytest.mark.parametrize("data", ["imagefolder:/etc", "hf:/etc", "/etc", "imagefolder:relative"])
def test_a_path_that_weights_name_is_not_followed(data: str) -> None:
    from lutbench.search.data.find import is_built_in

    assert not is_built_in(data)
    assert is_built_in("digits") and is_built_in("shapes:100@32")


def test_an_error_that_names_a_whole_file_is_a_line_with_both_ends() -> None:
    text = str(
        SpaceFileError(f"'k5_e6_g{'9' * 50_000}' is no candidate", path=Path("s.toml"), line=3, remedy="known: x")
    )
    assert len(text) < 1500 and text.startswith("s.toml:3: 'k5_e6_g999")
    assert text.endswith("999' is no candidate; known: x")


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "x" * 5000 + ".csv", "a\0b", "a\0b.csv", "/dev/zero", "."])
def test_a_name_that_no_file_can_have_is_one_line(name: str) -> None:
    """A LUT's name may be one that comes along; a model's file may be of a format that nothing here runs."""
    with pytest.raises(LutError) as refused:
        read_lut(find_lut(name))
    assert "\n" not in str(refused.value)
    for suffix in (".onnx", ".ort", ".pte", ".tflite", ".safetensors"):
        with pytest.raises(ExportError):
            read_model(Path(name + suffix))
