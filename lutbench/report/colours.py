"""Ranges of colours for maps: latency and ratio, both logarithmic, both read by colour-blind eyes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

LATENCY_MAP = "YlGnBu"  # fast is light, slow is dark
RATIO_MAP = "PuOr_r"  # B faster is purple, slower is orange
_COLOURS = 256
_LEAST_RATIO_RANGE = 1.25  # so that noise of a per cent does not look like a difference


@dataclass(frozen=True)
class ColourRange:
    """A range of values shown in colours: low and high stand at the ends of matplotlib's colour map."""

    colour_map: str
    low: float
    high: float

    def position(self, value: float) -> float:
        """0 at low, 1 at high, by the logarithm."""
        if self.high <= self.low:
            return 0.5
        return min(1.0, max(0.0, math.log(value / self.low) / math.log(self.high / self.low)))

    def colour(self, value: float) -> str:
        return colour_at(self.colour_map, self.position(value))

    @property
    def ticks(self) -> tuple[float, ...]:
        """Values to write beside the colours, low and high among them."""
        return self.low, math.sqrt(self.low * self.high), self.high


def latency_colours(low: float, high: float) -> ColourRange:
    return ColourRange(LATENCY_MAP, low, high)


def ratio_colours(low: float, high: float) -> ColourRange:
    """Symmetrical about 1."""
    reach = max(high, 1 / low, _LEAST_RATIO_RANGE)
    return ColourRange(RATIO_MAP, 1 / reach, reach)


def colour_at(colour_map: str, position: float) -> str:
    """#rrggbb at a position between 0 and 1."""
    return _colours(colour_map)[round(position * (_COLOURS - 1))]


@lru_cache
def _colours(colour_map: str) -> tuple[str, ...]:
    """A matplotlib colour map from one end to the other."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    drawn = colormaps[colour_map]
    return tuple(to_hex(drawn(step / (_COLOURS - 1))) for step in range(_COLOURS))


def ink_on(background: str) -> str:
    """Black or white, whichever has more contrast on #rrggbb (WCAG 2; never below 4.5)."""
    channels = (int(background[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "#ffffff"
