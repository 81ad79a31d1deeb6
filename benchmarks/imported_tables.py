"""A net's sum in an imported table against what the table's own authors compute from the same file.

python benchmarks/imported_tables.py [TABLE.yaml ...] [--nets 1000] [--seed 1]

Without a file: ProxylessNAS's table of a Pixel 1, which lies beside the tests. The authors' code looks a layer up by a
key that it writes from the net's configuration: the kind of layer, its input and output (height, width, channels; a
stride of 2 halves and rounds up), and for a block its expansion, kernel, stride and whether it has a residual. A
skipped block has no key. Their prediction is the sum of the means found, in milliseconds:

    ProxylessNAS   Conv, blocks (expansion as a ratio), Conv_1, Logits with the map as its input
    MobileNetV3    Conv, blocks (expanded channels, se and hs as well), Conv_1, AvgPool2D, Conv_2, Logits

The same is done here with no more of lutbench than a net's choice of kernels and expansions; then the file is imported
and the same nets are predicted. They differ by the rounding of a LUT's rows to nanoseconds, and by nothing else.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lutbench.lut.importers.build import ImportRequest, import_table
from lutbench.lut.predict import predict
from lutbench.space.net import Net
from lutbench.space.sampling import random_nets

OWN = Path(__file__).parent.parent / "tests" / "lut" / "importers" / "pixel1.yaml"
ROW_US = 0.0005  # a row is rounded to thousandths of a microsecond


def authors_ms(table: Mapping[str, Mapping[str, Any]], net: Net) -> float:
    """The sum of the means under the keys that the authors' code writes for the net."""
    return sum(float(table[key]["mean"]) for key in _keys(net, any(key.startswith("Conv_2-") for key in table)))


def _keys(net: Net, is_v3: bool) -> Iterator[str]:
    resolution, channels = net.space.resolution, net.space.stem_channels
    size = (resolution + 1) // 2
    yield f"Conv-input:{resolution}x{resolution}x3-output:{size}x{size}x{channels}"
    for layer, candidate in zip(net.space.layers, net.choice, strict=True):
        if candidate.is_skip:
            continue
        wide, stride = layer.c_out, layer.stride
        out = (size - 1) // stride + 1
        ratio = candidate.expansion or 1
        expand = round(channels * ratio) if is_v3 else round(ratio)
        key = f"expanded_conv-input:{size}x{size}x{channels}-output:{out}x{out}x{wide}-expand:{expand}"
        key += f"-kernel:{candidate.kernel}-stride:{stride}-idskip:{int(stride == 1 and channels == wide)}"
        if is_v3:
            usual = dict(layer.usual)
            key += f"-se:{int(bool(usual.get('squeeze')))}-hs:{int(usual.get('activation') == 'hswish')}"
        yield key
        size, channels = out, wide
    wide = net.head_channels
    yield f"Conv_1-input:{size}x{size}x{channels}-output:{size}x{size}x{wide}"
    if not is_v3:
        yield f"Logits-input:{size}x{size}x{wide}-output:{net.space.classes}"
        return
    hidden = net.operators[-1].c_in
    yield f"AvgPool2D-input:{size}x{size}x{wide}-output:1x1x{wide}"
    yield f"Conv_2-input:1x1x{wide}-output:1x1x{hidden}"
    yield f"Logits-input:1x1x{hidden}-output:{net.space.classes}"


def compare(path: Path, count: int, seed: int) -> tuple[str, float]:
    """A line on the table, and the largest difference of a net's two sums over what rounding allows."""
    lut = import_table(ImportRequest(path, "ofa"))
    spaces = lut.metadata.space.spaces
    if not spaces:
        raise SystemExit(f"{path}: its rows are not the whole of a space that comes along")
    table = yaml.safe_load(path.read_text("utf-8"))
    (space, *_) = spaces
    largest_us, share = 0.0, 0.0
    for net in random_nets(space, count, seed, "net"):
        apart_us = abs(predict(lut, net).latency_us - 1000 * authors_ms(table, net))
        largest_us = max(largest_us, apart_us)
        share = max(share, apart_us / (ROW_US * len(net.operators)))
    wanted = {op.name for op in space.searchable_operators if op.is_measured}
    found = len(wanted & set(lut.by_operator))
    line = (
        f"{path.name}: {space.name} at {space.label}, {found} of {len(wanted)} operators, {len(lut.rows)} rows,"
        f" {lut.metadata.origin['foreign']} foreign; {count} nets: the two sums differ by at most {largest_us:.4f} us,"
        f" {share:.2f} of what rounding its rows allows"
    )
    return line, share


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("tables", nargs="*", type=Path, default=[OWN])
    parser.add_argument("--nets", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    found = [compare(path, chosen.nets, chosen.seed) for path in chosen.tables or [OWN]]
    print("\n".join(line for line, _ in found))
    return int(any(share > 1 for _, share in found))


if __name__ == "__main__":
    raise SystemExit(main())
