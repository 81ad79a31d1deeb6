"""Units: conversion and printing of times, and the bytes of elements, nowhere else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

BYTES_PER_ELEMENT: Mapping[str, int] = MappingProxyType({"int8": 1, "fp16": 2, "fp32": 4})

NS_PER_US = 1_000
US_PER_MS = 1_000
US_PER_S = 1_000_000


def us_from_ns(duration_ns: float) -> float:
    return duration_ns / NS_PER_US


def us_from_ms(duration_ms: float) -> float:
    return duration_ms * US_PER_MS


def us_from_s(duration_s: float) -> float:
    return duration_s * US_PER_S


TO_US: dict[str, Callable[[float], float]] = {"s": us_from_s, "ms": us_from_ms, "us": float, "ns": us_from_ns}


def ms_from_us(duration_us: float) -> float:
    return duration_us / US_PER_MS


def format_latency(latency_us: float) -> str:
    """A latency for people: microseconds below a millisecond, milliseconds above; "unknown" for NaN."""
    if math.isnan(latency_us):
        return "unknown"
    if latency_us < US_PER_MS:
        return f"{latency_us:.1f} us"
    return f"{ms_from_us(latency_us):.3f} ms"


def format_seconds(duration_s: float) -> str:
    if duration_s < 100:
        return f"{duration_s:.0f} s" if duration_s >= 10 else f"{duration_s:.1f} s"
    minutes, seconds = divmod(round(duration_s), 60)
    return f"{minutes} min {seconds:02d} s"


def format_percent(fraction: float, digits: int = 1) -> str:
    """A fraction for people; "unknown" for one that is not finite."""
    if not math.isfinite(fraction):
        return "unknown"
    return f"{100 * fraction:.{digits}f} %"


def format_change(ratio: float) -> str:
    """What a ratio of two latencies says of the first: 1.23x slower, 1.10x faster; as fast, where it rounds to 1."""
    factor = ratio if ratio > 1 else 1 / ratio if ratio else math.inf
    if f"{factor:.3f}" == "1.000":
        return "as fast"
    return f"{factor:.3f}x {'slower' if ratio > 1 else 'faster'}"
