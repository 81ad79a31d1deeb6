"""The readers that are fuzzed: real files of each kind, and what reads them and goes through what they hold.

Text is here; fuzz_binaries.py has what is none, or has checksums.
"""

from __future__ import annotations

import contextlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fuzz_binaries import BINARIES
from fuzz_links import LINKS
from fuzz_reader import ROOT, Reader
from fuzz_results import RESULTS

from lutbench.errors import LutbenchError
from lutbench.measure.protocol import Canary

_CANARY = Canary("canary", "op", 1, 0.04)
_IDENTITY = {"device": "fake", "dtype": "int8", "artifacts": {"op": "0" * 64}}


def _run(module: str, *arguments: str) -> None:
    """A command of the command line in this process, its output thrown away."""
    from importlib import import_module

    from click.testing import CliRunner

    result = CliRunner().invoke(import_module(module).command, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception


def _lut_seeds(_: Path) -> list[bytes]:
    from lutbench.lut.file import format_lut
    from lutbench.lut.row import failed_row
    from tests.lut.made import made_lut, with_row

    quality = {"target": 0.01, "within_target": 0.9, "additivity": {"nets": 20, "mean_abs_error": 0.01}}
    small = made_lut(quality=quality, environment={"cpu": "x", "cores": 8, "temperature_c": 41.5})
    small = with_row(small, failed_row("fc_1504_1000", "no kernel, it says"))
    estimated = (ROOT / "luts" / "s8.csv").read_bytes()
    return [format_lut(small).encode(), _head(estimated, 40), _head(estimated, 3)]


def _head(lut: bytes, rows: int) -> bytes:
    """The LUT with its first rows only."""
    lines = lut.splitlines(keepends=True)
    start = next(n for n, line in enumerate(lines) if not line.startswith(b"#"))
    text = b"".join(lines[: start + 1 + rows])
    return text.replace(b"# rows = %d" % (len(lines) - start - 1), b"# rows = %d" % rows)


def _read_lut(path: Path) -> None:
    from lutbench.lut.file import format_lut, read_lut

    lut = read_lut(path)
    format_lut(lut)
    _ = lut.measure_command
    _run("lutbench.cli.show", str(path), "--slowest", "2")
    _run("lutbench.cli.show", str(path), "--json")
    with contextlib.suppress(LutbenchError):  # it may lack a row
        _run("lutbench.cli.predict", "--lut", str(path), "fbnet_a")


def _large_seeds(_: Path) -> list[bytes]:
    """A LUT of more rows than are read one by one."""
    from lutbench.lut.file import format_lut
    from lutbench.lut.large import LARGE
    from lutbench.lut.metadata import SpaceSection
    from lutbench.lut.row import identity_row
    from lutbench.lut.table import Lut
    from lutbench.space.fbnet import fbnet
    from lutbench.space.macro import distinct_operators
    from tests.lut.made import METADATA, made_row

    resolutions, widths = (224, 192, 160, 128, 96), (1.0, 1.3, 0.75, 0.5, 0.35)
    operators = distinct_operators([fbnet(r, w) for r in resolutions for w in widths])
    rows = tuple(made_row(op.name, 12.0) if op.is_measured else identity_row(op.name) for op in operators)
    assert len(rows) > LARGE
    return [format_lut(Lut(replace(METADATA, space=SpaceSection("fbnet", resolutions, widths)), rows)).encode()]


def _read_large(path: Path) -> None:
    from lutbench.lut.file import read_lut

    lut = read_lut(path)
    _ = lut.columns, lut.rows[0], lut.rows[-1]


def _nets_seeds(_: Path) -> list[bytes]:
    published = (ROOT / "lutbench" / "space" / "published_latency.csv").read_bytes()
    bench = b"net,resolution,width,device,latency_us,ci_low_us,ci_high_us,mmacs,params_m,runtime,dtype,threads\n"
    bench += b"fbnet_a,224,1.0,s8,12000.0,11900.0,12100.0,249,4.3,onnxruntime 1.22,int8,1\n"
    bench += b"mobilenet_v2,224,1.0,s8,22000.0,21900.0,22100.0,300,3.4,onnxruntime 1.22,int8,1\n"
    return [published, bench]


def _read_nets(path: Path) -> None:
    from lutbench.lut.latencies import read_latencies
    from lutbench.space.fbnet import fbnet

    read_latencies(str(path), "s8", (fbnet(224, 1.0),))


def _bench_seeds(_: Path) -> list[bytes]:
    """As `bench -o` writes it, and as spreadsheets and editors save that."""
    from tests.lut.test_spreadsheets import saved

    columns = "net,resolution,width,device,latency_us,ci_low_us,ci_high_us,mmacs,params_m,runtime,dtype,threads,batch"
    figures = "s8,12000.125,11900.250,12100.375,249.000,4.3000,onnxruntime 1.22,int8,1,1"
    key = f"tiny@32x1.0:32:{'k3_e1,k5_e6|skip'}"
    text = f'{columns},inputs,key\nfbnet_a,224,1.0,{figures},,\nnet.json,32,1.0,{figures},,"{key}"\n'
    text += f'model.onnx,,,{figures},x 1x3x8x8 (batch assumed),\n"{key}",32,1.0,{figures},,"{key}"\n'
    sheets = [
        saved(text, ";", ","),
        saved(text, "\t", ","),
        f"sep=;\n{saved(text, ';')}",
        saved(text, ",", split=False),
    ]
    encoded = [text.encode("utf-16"), text.replace("\n", "\r\n").encode("utf-8-sig"), text.encode("utf-32")]
    return [text.encode(), *(sheet.encode() for sheet in sheets), *encoded]


def _read_bench(path: Path) -> None:
    from lutbench.lut.latencies import read_latencies
    from lutbench.space.fbnet import fbnet
    from lutbench.space.file import parse_space

    read_latencies(str(path), "s8", (fbnet(224, 1.0),))
    read_latencies(str(path), "s8", (parse_space(_space_seeds(Path())[0].decode(), Path("x")),))


def _sheet_seeds(_: Path) -> list[bytes]:
    """A LUT as spreadsheets and editors save it."""
    from tests.lut.test_spreadsheets import TEXT, saved, without_header_touched

    few = _head(TEXT.encode(), 12).decode()
    sheets = [
        saved(few, ";", ","),
        saved(few, "\t", ","),
        saved(few, ";", split=False),
        without_header_touched(few, ";"),
    ]
    sheets += [saved(few, ",", pad=False), f"sep=;\n{saved(few, ';', ',')}", few + ",,,,,,,\n\n"]
    encoded = [few.encode("utf-16"), few.encode("utf-8-sig"), few.replace("\n", "\r").encode()]
    return [*(sheet.encode() for sheet in sheets), *encoded]


def _space_seeds(_: Path) -> list[bytes]:
    small = b"""name = "tiny"\nresolution = 32\ncandidates = ["k3_e1", "k3_e6", "skip"]\n\n[stem]\nchannels = 8\n
[[stage]]\nchannels = 8\n\n[[stage]]\nchannels = 16\nlayers = 2\nstride = 2\ncandidates = ["k3_e1", "k5_e6"]\n
[head]\nchannels = 32\n"""
    return [
        small,
        small.replace(b"\n\n", b"\n# a remark\n"),
        small.replace(b'["k3_e1", "k5_e6"]', b'[\n  "k5_e6_g2",\n]'),
    ]


def _read_space(path: Path) -> None:
    from lutbench.space.find import find_spaces, kept_spaces

    spaces, definition = find_spaces(str(path), (), (1.0, 0.5))
    for space in spaces:
        _ = space.operators
    kept_spaces(spaces[0].name, (64,), (1.0,), definition)


def _devices_seeds(_: Path) -> list[bytes]:
    return [
        b'[devices.bench-pi]\nkind = "host"\nthreads = 2\nlut = "luts/bench-pi.csv"\n'
        b'\n[devices.pixel]\nkind = "android"\n'
        b'serial = "8A2X0T3BQ"\ncores = "little"\nmodel = "SM-G950*"\n\n[devices.other]\nkind = "android"\n'
        b'address = "192.168.1.20:5555"\ndescription = "a phone"\nbundle = "build/runner"\ncores = "0xf0"\n'
    ]


def _read_devices(path: Path) -> None:
    from lutbench.device_agents.registry import _read_registry

    for device in _read_registry(path):
        _ = device.lock_name, device.can_measure
        if device.kind == "android":
            device.cores_for("")


def _architecture_seeds(_: Path) -> list[bytes]:
    from lutbench.space.architecture import Architecture, format_architecture
    from lutbench.space.fbnet import fbnet
    from lutbench.space.file import parse_space
    from lutbench.space.net import parse_net
    from lutbench.space.zoo import find_net

    found = [format_architecture(Architecture(find_net("fbnet_a", (fbnet(224, 1.0),)), {"host": 1000.5}, 3))]
    definition = _space_seeds(Path())[0].decode()
    net = parse_net("k3_e1 k5_e6 k3_e1", parse_space(definition, Path("x")), "n")
    found.append(
        format_architecture(Architecture(net, {"s8": 20.0}, 0, definition, {"mode": "soft"}, {"lutbench": "1"}))
    )
    return [text.encode() for text in found]


def _read_architecture(path: Path) -> None:
    from lutbench.space.architecture import format_architecture, read_architecture

    format_architecture(read_architecture(path))


def _verify_seeds(folder: Path) -> list[bytes]:
    from lutbench.lut.verify_file import NetResult, write_results

    write_results([NetResult(f"net_{n}", 10.5 + n, 11, 12, 12.5, 11.5) for n in range(6)], folder / "v.csv")
    return [(folder / "v.csv").read_bytes()]


def _read_verify(path: Path) -> None:
    from lutbench.lut.verify_file import read_results

    for result in read_results(path):
        _ = result.error, result.noise


def _journal_records() -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = [{"note": "depth_trials", "value": [{"depth": 1, "error": 0.1}]}]
    for number in range(4):
        for name in ("op", "other"):
            ns, canary = [100 + number, 120, 110], [50, 51, 50]
            records.append(
                {"round": number, "operator": name, "depth": 1, "ns": ns, "canary": "canary", "canary_ns": canary}
            )
        records += [{"runtime_ns": 10_000 + number}, {"end": number}]
    return [*records, {"failed": "third", "reason": "no kernel"}]


def _journal_seeds(folder: Path) -> list[bytes]:
    from lutbench.measure.journal import Journal

    path = folder / "seed.jsonl"
    with Journal(path, _IDENTITY, [_CANARY]) as journal:
        journal.append(_journal_records())
    head = {"lutbench_journal": 1, "identity": _IDENTITY}
    old = "".join(json.dumps(record) + "\n" for record in (head, *_journal_records())).encode()
    return [path.read_bytes(), old, old]  # the old format has no checksums to get past


def _read_journal(path: Path) -> None:
    from lutbench.measure.journal import Journal

    with Journal(path, _IDENTITY, [_CANARY]) as journal:
        data = journal.measurements
        _ = data.current_round, data.rounds_ended, journal.problem, data.disturbed_share, data.canary_drift("canary")
        for name in data.artifacts:
            data.best_summary(name, 1)
        journal.append([{"end": data.current_round}])


def _import_seeds(name: str) -> Callable[[Path], list[bytes]]:
    def seeds(_: Path) -> list[bytes]:
        from tests.lut.importers.test_readers import SAMPLES

        data = SAMPLES[name]
        more = []
        if name == "ofa":
            more = [(ROOT / "tests" / "lut" / "importers" / "pixel1.yaml").read_bytes()]
        if name == "fbnet-text":
            more = [data.replace(b"ir_k3_s2", b"ir_k9_s9"), data.replace(b"5.0", b"0")]
        if name == "hw-nas-bench":
            more = [pickle.dumps(pickle.loads(data), protocol=protocol) for protocol in (0, 1, 4)]
        if name == "nni":
            more = [b'{"op_name": "mb_k3_e2_res", "op_data_shape": [14, 14, 32, 32, 1], "op_latency": 1.5}\n' * 3]
        return [data, *more]

    return seeds


def _import(name: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        from lutbench.lut.coverage import lacking_note
        from lutbench.lut.diff import diff
        from lutbench.lut.file import format_lut, parse_lut
        from lutbench.lut.importers.build import ImportRequest, import_table

        lut = import_table(ImportRequest(path, name, "pixel3" if name == "hw-nas-bench" else ""))
        again = parse_lut(format_lut(lut), path)
        lacking_note(again)
        diff(again, again)

    return read


class _Phone:
    """A connection whose phone answers with what a file holds."""

    label, kind = "phone", "fake"

    def __init__(self, data: bytes) -> None:
        self._text = data.decode("utf-8", "replace")

    def run(self, script: str, timeout_s: float = 0.0) -> Any:
        del script, timeout_s
        from types import SimpleNamespace

        return SimpleNamespace(status=0, text=self._text)

    check = run


def _phone_seeds(_: Path) -> list[bytes]:
    recorded = ROOT / "tests" / "phone" / "recorded"
    sections = {"properties": "getprop", "battery": "dumpsys_battery", "thermal": "dumpsys_thermalservice"}
    parts = [f"==={section}===\n{(recorded / name).read_text()}" for section, name in sections.items()]
    parts += ["===kernel===\n4.4.111-14315050\n", "===cpuinfo===\nprocessor : 0\nprocessor : 1\n"]
    parts += ["===online===\n0-7\n", "===possible===\n0-7\n"]
    frequencies = "".join(
        f"cpu{n}/cpufreq/{file}:{khz}\n"
        for n in range(8)
        for file, khz in (
            ("cpuinfo_max_freq", 2314000),
            ("scaling_max_freq", 1690000),
            ("scaling_governor", "schedutil"),
        )
    )
    zones = "".join(
        f"thermal_zone{n}/type:{name}\nthermal_zone{n}/temp:{41000 + n}\n" for n, name in enumerate(("BIG", "G3D"))
    )
    parts += [f"===frequencies===\n{frequencies}", f"===zones===\n{zones}"]
    disk = "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/block/dm-0 55000000 44000000 11000000 80% /data\n"
    return [
        "".join(parts).encode(),
        disk.encode(),
        b"12345\t/data/local/tmp/lutbench\n",
        b"held 12 1234567890abcdef-x\n",
    ]


def _read_phone(path: Path) -> None:
    from lutbench.device_agents.android import describe, heat, install
    from lutbench.device_agents.android.cores import choose_cores
    from lutbench.device_agents.android.lock import PhoneLock
    from lutbench.device_agents.android.zones import Thermometer

    phone: Any = _Phone(path.read_bytes())
    state = describe.read_state(phone)
    for action in (
        lambda: describe.describe(state, "usb", state.cores[:1]),
        lambda: heat.is_capped(state),
        lambda: (state.battery_temperature_c, state.thermal_status, state.wakefulness, state.is_powered, state.usable),
        lambda: Thermometer(state.zones).hottest(state.zones),
        lambda: Thermometer(state.zones).hottest_of_service(state.service_temperatures),
        lambda: choose_cores("big", state.speeds, 1, "phone"),
        lambda: install.free_bytes(phone),
        lambda: install.clean(phone),
        lambda: PhoneLock(phone, "/x", "0" * 16).acquire(),
    ):
        try:
            action()
        except LutbenchError:
            continue


_ALL = (
    Reader("lut", ".csv", _lut_seeds, _read_lut),
    Reader("lut-large", ".csv", _large_seeds, _read_large),
    Reader("nets-table", ".csv", _nets_seeds, _read_nets),
    Reader("bench-table", ".csv", _bench_seeds, _read_bench),
    Reader("lut-spreadsheet", ".csv", _sheet_seeds, _read_large),
    Reader("space", ".toml", _space_seeds, _read_space),
    Reader("devices", ".toml", _devices_seeds, _read_devices),
    Reader("architecture", ".json", _architecture_seeds, _read_architecture),
    Reader("verify", ".csv", _verify_seeds, _read_verify),
    Reader("journal", ".jsonl", _journal_seeds, _read_journal),
    *(
        Reader(f"import-{name}", ".txt", _import_seeds(name), _import(name))
        for name in ("ofa", "hw-nas-bench", "nni", "fbnet-text")
    ),
    Reader("phone", ".txt", _phone_seeds, _read_phone),
    *BINARIES,
    *LINKS,
    *RESULTS,
)
READERS = {reader.name: reader for reader in _ALL}
