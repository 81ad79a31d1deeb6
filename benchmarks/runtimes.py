"""Whole nets under every runtime and dtype, one thread, in one run: there and back, so that drift shows. Markdown.

python benchmarks/runtimes.py
"""

from __future__ import annotations

from statistics import fmean

from _machine import machine

from lutbench.device_agents.host.engines import ENGINES
from lutbench.device_agents.registry import find_device
from lutbench.export.exporters import find_exporter
from lutbench.jobs.bench import BenchRequest, bench

NETS = ("fbnet_a", "fbnet_b", "fbnet_c", "mobilenet_v2")


def main() -> None:
    device = find_device("host")
    columns = [(runtime, dtype) for dtype in ("int8", "fp32") for runtime in ENGINES]
    found: dict[tuple[str, str, str], list[float]] = {}
    for order in (columns, columns[::-1]):
        for runtime, dtype in order:
            request = BenchRequest(device=device, nets=NETS, runtime=runtime, dtype=dtype, fresh=True)
            report = bench(request, lambda _event: None)
            for net, latency_us in report.latencies_us().items():
                found.setdefault((net, runtime, dtype), []).append(latency_us)
    names = [f"{find_exporter(runtime, dtype).runtime_version}, {dtype}" for runtime, dtype in columns]
    print(machine(), end="\n\n")
    print(f"| ms | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
    for net in NETS:
        cells = [f"{fmean(found[net, runtime, dtype]) / 1000:.2f}" for runtime, dtype in columns]
        print(f"| {net} | {' | '.join(cells)} |")
    spreads = [abs(us[0] / us[-1] - 1) for us in found.values()]
    print(f"\nA cell's two measurements, there and back, differ by {fmean(spreads):.1%} (largest {max(spreads):.1%}).")


if __name__ == "__main__":
    main()
