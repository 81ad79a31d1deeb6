"""The nets of FBNet's tables: which of them can be timed here, and a device's ranking beside the phones'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lutbench.errors import UsageError
from lutbench.space.fbnet import FBNET, fbnet
from lutbench.space.graph import Model
from lutbench.space.net import Net
from lutbench.space.published import Published, published
from lutbench.space.zoo import find_whole_net
from lutbench.units import US_PER_MS

TABLES = tuple(sorted({row.table for row in published()}))


@dataclass(frozen=True)
class PaperTable:
    """One of the paper's tables: its nets and their published latencies.

    nets: what a net is called here -> its published latency by phone (s8, iphonex), microseconds.

    left_out: (net, why) of those that cannot be timed here.
    apart: net -> why its published latencies must not stand beside the others; rank agreement is without it.
    """

    number: int
    phones: tuple[str, ...]
    nets: Mapping[str, Mapping[str, float]]
    left_out: tuple[tuple[str, str], ...]
    apart: Mapping[str, str]


@dataclass(frozen=True)
class Comparison:
    """A table beside a device.

    ratios: net -> phone -> here over there.
    taus: phone -> Kendall's (NaN below 2).
    """

    table: PaperTable
    latency_us: Mapping[str, float]
    ratios: Mapping[str, Mapping[str, float]]
    taus: Mapping[str, float]


def paper_table(number: int) -> PaperTable:
    """One table of the paper, in its order."""
    rows = [row for row in published() if row.table == number]
    nets: dict[str, dict[str, float]] = {}
    left_out: dict[str, str] = {}
    apart: dict[str, str] = {}
    for row in rows:
        try:
            text = _name_here(row)
        except UsageError:
            left_out[row.names[1]] = row.left_out or "it is not in this version's zoo"
        else:
            nets.setdefault(text, {})[row.device] = row.latency_ms * US_PER_MS
            if row.left_out:
                apart[text] = row.left_out
    phones = tuple(dict.fromkeys(row.device for row in rows))
    return PaperTable(number, phones, nets, tuple(left_out.items()), apart)


def _name_here(row: Published) -> str:
    """The shorter of the row's names that stands for its net at its resolution and width."""
    net = find_whole_net(row.net, (fbnet(FBNET.resolution, 1.0),))
    short, long = row.names
    return short if _variant(net) == (row.resolution, row.width) else long


def _variant(net: Net | Model) -> tuple[int, float]:
    return (net.space.resolution, net.space.width) if isinstance(net, Net) else (net.resolution, net.width)


def compare(table: PaperTable, latency_us: Mapping[str, float]) -> Comparison:
    """The table's nets beside what they take here; those without a latency here are left out of the figures."""
    from scipy.stats import kendalltau

    ran = {net: latency_us[net] for net in table.nets if net in latency_us}
    ratios = {net: {phone: ran[net] / us for phone, us in table.nets[net].items()} for net in ran}
    taus = {}
    ranked = [net for net in ran if net not in table.apart]
    for phone in table.phones:
        pairs = [(ran[net], table.nets[net][phone]) for net in ranked if phone in table.nets[net]]
        enough = len(pairs) >= 2
        taus[phone] = float(kendalltau(*zip(*pairs, strict=True)).statistic) if enough else float("nan")
    return Comparison(table, ran, ratios, taus)
