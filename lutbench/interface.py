"""What scripts and notebooks use: `import lutbench` offers these functions, and loads what they need when called.

They do what the commands of the same names do. Everywhere a LUT may be given as a path, as the name of one of luts/
or of one that comes along ("s8"), or as what `read_lut` returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.events import Event, Report
from lutbench.lut.shipped import find_lut
from lutbench.space.macro import Space
from lutbench.space.net import Net

if TYPE_CHECKING:
    from lutbench.jobs.bench import BenchReport
    from lutbench.jobs.search import FoundNets
    from lutbench.jobs.verify import VerifyReport
    from lutbench.lut.diff import Diff
    from lutbench.lut.predict import Prediction
    from lutbench.lut.table import Lut
    from lutbench.lut.verify_file import NetResult

__all__ = ["Net", "Space", "bench", "diff", "predict", "profile", "read_lut", "search", "verify"]


def read_lut(lut: str | Path) -> Lut:
    """Read a latency lookup table; LutError where it cannot be read.

    >>> import lutbench
    >>> lut = lutbench.read_lut("s8")
    >>> lut.metadata.device, lut.metadata.provenance, lut.metadata.dtype
    ('android-s8', 'estimated', 'int8')
    >>> row = lut.by_operator["fc_1984_1000"]
    >>> row.status, row.ci_low_us < row.latency_us < row.ci_high_us
    ('ok', True)
    >>> lut.to_frame().shape[0] == len(lut.rows)
    True
    """
    from lutbench.lut.file import read_lut as read

    return read(find_lut(str(lut)))


def predict(lut: Lut | str | Path, net: Net | str) -> Prediction:
    """A net's latency under a LUT, without running it; LutError where the LUT lacks an operator.

    net: a `Net`, a name of the zoo ("fbnet_a", "fbnet_a@192x0.5"), an architecture file or a string of candidates.

    >>> import lutbench
    >>> slow, fast = (lutbench.predict("s8", name) for name in ("fbnet_c", "fbnet_a"))
    >>> slow.latency_us > fast.latency_us
    True
    >>> f"{fast.latency_us / 1000:.0f} ms, {fast.net.macs / 1e6:.0f} million multiply-accumulates"
    '20 ms, 250 million multiply-accumulates'
    """
    from lutbench.lut.predict import predict as predict_net
    from lutbench.space.zoo import find_net

    table = _table(lut)
    found = net if isinstance(net, Net) else find_net(net, table.covered(table.metadata.space.spaces))
    return predict_net(table, found)


def diff(a: Lut | str | Path, b: Lut | str | Path, *, force: bool = False) -> Diff:
    """What is slower or faster in LUT b than in LUT a, by operator and by net; ratios are b / a.

    force: compare LUTs of different dtype, threads or batch, with a warning.

    >>> import lutbench
    >>> found = lutbench.diff("s8", "iphonex")
    >>> {change.name: round(change.ratio, 1) for change in found.nets if "fbnet_a" in change.name}
    {'fbnet_a': 1.2}
    >>> worst = max(found.operators, key=lambda change: change.ratio)
    >>> worst.name.startswith("ir_k5"), worst.ratio > 2
    (True, True)
    """
    from lutbench.lut.diff import diff as compare

    return compare(_table(a), _table(b), force)


def profile(
    device: str = "host", *, output: str | Path | None = None, report: Report | None = None, **options: Any
) -> Lut:
    """Time every operator of a space on a device; write the LUT and return it.

    Called again after an interruption, it goes on; once the LUT is written, it measures the next revision.

    device: a name that `lutbench devices` lists.
    output: the LUT's file; None means the device's, luts/host.csv.
    report: is called with what happens; None means that nothing is shown.
    options: the other fields of `lutbench.jobs.profile.ProfileRequest`: space, dtype, runtime, resolutions, ...

    >>> import lutbench
    >>> from lutbench.measure.protocol import Protocol
    >>> lut = lutbench.profile("host", space="tiny.toml", output="tiny.csv", protocol=Protocol(max_rounds=12))
    >>> lut.metadata.provenance, lut.metadata.revision
    ('measured', 1)
    >>> all(row.is_ok for row in lut.rows)
    True
    """
    from lutbench.device_agents.registry import find_device
    from lutbench.jobs.profile import ProfileRequest
    from lutbench.jobs.profile import profile as run

    found = find_device(device)
    options.setdefault("threads", found.threads)
    return run(ProfileRequest(device=found, output=_path(output), **options), report or _quiet)


def verify(
    lut: str | Path, *, device: str | None = None, report: Report | None = None, **options: Any
) -> tuple[VerifyReport, list[NetResult]]:
    """Time random whole nets, and say how far the LUT's sums are off. The summary goes into the LUT's file.

    device: where to measure; None means the device that the LUT names.
    options: the other fields of `lutbench.jobs.verify.VerifyRequest`: nets, seed, rounds, cores, ...

    >>> import lutbench
    >>> found, nets = lutbench.verify("tiny.csv", nets=3, rounds=4)
    >>> found.nets, len(nets)
    (3, 3)
    >>> 0 <= found.mean_abs_error <= found.max_abs_error
    True
    """
    from lutbench.device_agents.registry import find_device
    from lutbench.jobs.verify import VerifyRequest
    from lutbench.jobs.verify import verify as run

    path = find_lut(str(lut))
    found = find_device(device or _table(path).metadata.device)
    return run(VerifyRequest(lut_path=path, device=found, **options), report or _quiet)


def bench(
    *nets: str,
    device: str = "host",
    lut: Lut | str | Path | None = None,
    report: Report | None = None,
    **options: Any,
) -> BenchReport:
    """Time whole nets and ONNX files on a device.

    nets: names of the zoo, architecture files, strings of candidates, or ONNX files.

    lut: predicts the nets that it covers, beside what is measured.
    options: the other fields of `lutbench.jobs.bench.BenchRequest`: dtype, runtime, shapes, ...

    >>> import lutbench
    >>> from lutbench.measure.protocol import Protocol
    >>> quick = Protocol(min_rounds=12, max_rounds=12)
    >>> found = lutbench.bench("k3_e1,skip|k5_e2,k3_e1", lut="tiny.csv", protocol=quick)
    >>> [(result.status, result.summary.latency_us > 0) for result in found.results]
    [('ok', True)]
    """
    from lutbench.device_agents.registry import find_device
    from lutbench.jobs.bench import BenchRequest
    from lutbench.jobs.bench import bench as run

    found = find_device(device)
    options.setdefault("threads", found.threads)
    table = None if lut is None else _table(lut)
    return run(BenchRequest(device=found, nets=nets, lut=table, **options), report or _quiet)


def search(
    *luts: Lut | str | Path,
    folder: str | Path,
    target_ms: Sequence[float] = (),
    accelerator: Any = "auto",
    report: Report | None = None,
    **options: Any,
) -> FoundNets:
    """Find nets that are accurate, and fast on the devices of the LUTs; best first. The folder gets their files.

    target_ms: a latency to keep within for each LUT; none: as fast as their accuracy is worth.
    options: the fields of the parts of `lutbench.jobs.search.SearchRequest`: data, mode, schedule, nets, ...

    >>> import lutbench
    >>> short = {"epochs": 1, "warmup": 0, "batch_size": 64}
    >>> found = lutbench.search("tiny.csv", folder="found", schedule=short, draws=2, rounds=1, views=0, nets=1)
    >>> [one.path.name for one in found.nets], list(found.nets[0].derived.predicted_us)
    (['tiny_0.json'], ['host'])
    """
    from lutbench.errors import LutbenchError
    from lutbench.jobs.search import check_request, find_nets, search_request

    tables = [_table(lut) for lut in luts]
    request = search_request(*tables, folder=Path(folder), targets_ms=tuple(target_ms), **options)
    check_request(request)
    from lutbench.search.hardware import Hardware

    found = find_nets(request, Hardware(accelerator), report or _quiet)
    if found is None:  # only where torchrun started several processes: the first one has the nets
        raise LutbenchError("the nets are with the first process", remedy="ask for them where its rank is 0")
    return found


def _table(lut: Lut | str | Path) -> Lut:
    return read_lut(lut) if isinstance(lut, (str, Path)) else lut


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _quiet(_event: Event) -> None:
    """Shows nothing."""
