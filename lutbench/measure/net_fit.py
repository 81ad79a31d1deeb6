"""Fits what operators cost inside a net to whole nets, by terms that the nets have to ask for.

Linear in scale, operator_us and the terms of `in_net`, on relative errors. Each has a normal prior: the scale around 1,
the others around 0, as wide as that a term is expected to make up a share of a usual net's latency. How wide that share
is, is found by the likelihood of the nets: where rows and nets agree but for a scale, terms stay near 0 and cost no
accuracy; where they do not, a few dozen nets are enough to tell. A net that was disturbed does not carry the others
along (Huber). Likelihood also tells whether small nets save or pay something as a whole (`warmth`) or large ones pay
something (`spill`), and how small and how large they are, and how far single operators may deviate (`deviations`),
whose prior is of their own time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lutbench.measure.deviations import freedom
from lutbench.measure.in_net import (
    COLDER,
    SIDES,
    TERMS,
    InNet,
    Setting,
    amounts,
    fitted_terms,
    side_powers,
    weights_of,
)
from lutbench.measure.neighbours import EVICTED, NEIGHBOUR_TERMS, SLOWED, SLOWED_WEIGHTS, pairs_of
from lutbench.measure.one_thread import on_one_thread
from lutbench.measure.spill import Spill
from lutbench.measure.statistics import SPREAD_PER_MAD
from lutbench.measure.warmth import LEAST_SHARE, MOST_SHARE, Warmth
from lutbench.units import US_PER_MS

Array = npt.NDArray[np.float64]

_SCALE_SPREAD = 0.1
_BEFORE_TERMS = 2  # unknowns: the scale and operator_us
_SHARES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.06, 0.1, 0.2)  # of a usual net's latency, widths to choose from
# the width that most of 47 LUTs were predicted best by, a standard deviation of it as a factor, and odds of any other
_USUAL_SHARE, _SHARE_FACTOR, _ANY_SHARE = 0.1, 2.0, math.exp(-12)
# Of terms that only few nets tell of, which ask for 2 to 3 times too much of it: what wide kernels slow.
_OWN_SHARES = {SLOWED: 0.0034, SLOWED_WEIGHTS: 0.005}
# How far operators of large tensors may deviate, fractions of their time: widths to choose from, and logarithms of
# their odds. Likelihood of a few dozen nets tells little of it; the first is for nets that are known exactly.
_WIDTHS = {0.001: -8.0, 0.05: 0.0, 0.1: -2.5, 0.2: -5.0}
# Sizes of warmth to choose from, of a usual net's sum, by how sharply it ends.
_WARM_SIZES = {1.0: (0.2, 0.3, 0.5, 0.8, 1.2), 3.0: (0.5, 0.65, 0.8, 1.0, 1.2)}
# Of what nets are large by, sizes to choose from beyond which it is paid for, and the logarithm of how likely one of
# them is before any net is seen: one of several finds something by luck.
_SPILL_QUANTILES, _SPILL_CHANCE = (0.3, 0.5, 0.65, 0.8), -2.0
_PAYING_CHANCE = -3.0  # the same logarithm, of small nets that pay: on most runtimes they save something, or nothing
_FEWEST_SPILLING = 4  # nets beyond it: one that was disturbed is no size
_WARM_PASSES = 5  # after which sum and warmth agree
_REWEIGHTINGS = 6
_HUBER = 1.5  # standard deviations within which a net counts in full
_LEAST_SPREAD = 1e-5  # of a net's relative error


@dataclass(frozen=True)
class NetMeasurement:
    """A whole net that was measured beside its operators.

    operators: names, in order, one entry per use.
    """

    net: str
    operators: tuple[str, ...]
    latency_us: float


@dataclass(frozen=True)
class Problem:
    """Nets as relative quantities: what each unknown is multiplied by, and what is above the scale of 1.

    columns: (nets, 2 + terms + operators), of work, the number of operators, terms, and the work of single operators.
    latencies_us: of the nets.
    setting: it says which terms the columns are of.
    colder: how much more operators take behind others, as `InNet` has it.
    free: the operators that may deviate, and how far each, as `freedom` has it.
    weights: of the nets, millions.
    spill: where it is given, one column more is of what a net is beyond its size (`with_spill`).
    warm_us: where it is not 0, one column more is of what a small net pays (`with_warmth`), and this its size.
    warm_power: how sharply that ends.
    """

    columns: Array
    targets: Array
    latencies_us: Array
    setting: Setting
    colder: Mapping[str, float]
    free: Mapping[str, float]
    weights: Array
    spill: Spill | None = None
    warm_us: float = 0.0
    warm_power: float = 1.0

    def without(self, number: int) -> Problem:
        columns, targets, latencies_us, weights = (
            np.delete(part, number, axis=0) for part in (self.columns, self.targets, self.latencies_us, self.weights)
        )
        return replace(self, columns=columns, targets=targets, latencies_us=latencies_us, weights=weights)

    def without_term(self, number: int) -> Problem:
        """The same where nets have nothing of one of the terms, by its number among those that are fitted."""
        columns = self.columns.copy()
        columns[:, _BEFORE_TERMS + number] = 0.0
        return replace(self, columns=columns)

    @property
    def work_us(self) -> Array:
        """What the nets' operators take by their rows, (nets,), microseconds."""
        return self.columns[:, 0] * self.latencies_us

    def with_spill(self, spill: Spill) -> Problem:
        """The same, of a problem without warmth, with a column of what the nets pay at the spill's price."""
        pays_us = [spill.us(weights, work_us) for weights, work_us in zip(self.weights, self.work_us, strict=True)]
        return replace(self, columns=np.column_stack([self.columns, pays_us / self.latencies_us]), spill=spill)

    def sums_us(self, unknowns: Array) -> Array:
        """The nets' sums over operators under these unknowns, without what a small net pays."""
        plain = self.columns.shape[1] - bool(self.warm_us)
        return (self.columns[:, 0] + self.columns[:, :plain] @ unknowns[:plain]) * self.latencies_us

    def with_warmth(self, sums_us: Array, warm_us: float, power: float) -> Problem:
        """The same with a column of what small nets pay, times the share that is to be found; sums as of `sums_us`."""
        plain = self.columns[:, : self.columns.shape[1] - bool(self.warm_us)]
        column = sums_us * np.exp(-((sums_us / warm_us) ** power)) / self.latencies_us
        return replace(self, columns=np.column_stack([plain, column]), warm_us=warm_us, warm_power=power)


@dataclass(frozen=True)
class Solution:
    """What makes the nets likeliest, and how sure it is.

    problem: what it solves.
    unknowns: scale minus 1, operator_us, terms, deviations, what large nets pay, and what small ones do.
    scale_spread: the scale's standard deviation.
    spread: that of nets about the model.
    share: the prior's width, of a usual net's latency.
    width: the prior's width of deviations, of an operator's time.
    evidence: the logarithm of the nets' likelihood under them, and of how likely such widths are before any net is
        seen, but for a constant. By the nets alone a few that agree by luck would have no terms at all.
    """

    problem: Problem
    unknowns: Array
    scale_spread: float
    spread: float
    share: float
    width: float
    evidence: float

    @property
    def in_net(self) -> InNet:
        scale, operator_us, *others = (float(value) for value in self.unknowns)
        setting, warm_us, power = self.problem.setting, self.problem.warm_us, self.problem.warm_power
        # without one of few small or large nets the others may ask for a share that there is not
        warmth = Warmth(min(MOST_SHARE, max(LEAST_SHARE, -others.pop())), warm_us, power) if warm_us else Warmth()
        spill = self.problem.spill.times(max(0.0, others.pop())) if self.problem.spill else Spill()
        names = fitted_terms(setting)
        terms = dict(zip(names, others[: len(names)], strict=True))
        deviations = dict(zip(self.problem.free, others[len(names) :], strict=True))
        return InNet(
            1 + scale,
            operator_us,
            terms,
            self.problem.colder,
            deviations,
            block_channels=setting.block_channels,
            warmth=warmth,
            spill=spill,
        )


def problem_of(
    nets: Sequence[NetMeasurement],
    rows_us: Mapping[str, float],
    overhead_us: float,
    setting: Setting,
    colder: Mapping[str, float],
) -> Problem:
    latencies_us = np.array([net.latency_us for net in nets])
    work_us = [[rows_us[name] - overhead_us for name in net.operators] for net in nets]
    sums_us = np.array([math.fsum(own) for own in work_us])
    counts = np.array([len(own) for own in work_us], dtype=np.float64)
    terms = np.array(
        [term_columns(net.operators, own, setting, colder) for net, own in zip(nets, work_us, strict=True)]
    )
    free = _free_operators(nets, setting)
    own_us = np.array([[work.get(name, 0.0) for name in free] for work in map(_by_operator, nets, work_us)])
    columns = np.column_stack([sums_us, counts, terms, own_us]) / latencies_us[:, None]
    targets = (latencies_us - overhead_us - sums_us) / latencies_us
    weights = np.array([weights_of(net.operators) for net in nets])
    return Problem(columns, targets, latencies_us, setting, colder, free, weights)


def _free_operators(nets: Sequence[NetMeasurement], setting: Setting) -> dict[str, float]:
    """The operators of the nets that may deviate, by name, and how far."""
    names = sorted({name for net in nets for name in net.operators})
    found = {name: freedom(name, setting.dtype, setting.batch) for name in names}
    return {name: free for name, free in found.items() if free > 0}


def _by_operator(net: NetMeasurement, work_us: Sequence[float]) -> dict[str, float]:
    """What the net's uses of each operator take together, microseconds."""
    found: dict[str, float] = {}
    for name, own_us in zip(net.operators, work_us, strict=True):
        found[name] = found.get(name, 0.0) + own_us
    return found


def term_columns(
    operators: Sequence[str], work_us: Sequence[float], setting: Setting, colder: Mapping[str, float]
) -> list[float]:
    """What each term that is fitted is multiplied by in a net: million elements, or MACs; microseconds of the others.

    work_us: of each operator, without the overhead of a call.
    """
    found = dict(zip(TERMS, np.sum([amounts(name) for name in operators], axis=0), strict=True))
    found |= dict(zip(SIDES, np.array(work_us) @ np.array([side_powers(name) for name in operators]), strict=True))
    pairs = pairs_of(operators, setting.block_channels)
    found |= {name: term.amount(pairs) for name, term in NEIGHBOUR_TERMS.items()}
    found[COLDER] = math.fsum(colder.get(name, 0.0) * own for name, own in zip(operators, work_us, strict=True))
    return [float(found[term]) for term in fitted_terms(setting)]


def solve(problem: Problem) -> Solution:
    """The unknowns under the priors' widths, with spill and warmth of some size or without, that are likeliest."""
    with on_one_thread():
        plain = _of_what_tensors_evict(_likeliest(problem))
        spilling = _with_spill(plain)
        cold = (plain, spilling) if spilling else (plain,)
        ways = [(power, size) for power, sizes in _WARM_SIZES.items() for size in sizes]
        warm = (_with_warmth(one, size, power) for one in cold for power, size in ways)
        tried: list[Solution] = [*cold, *(found for found in warm if found)]
    return max(tried, key=lambda found: found.evidence)


def _of_what_tensors_evict(found: Solution) -> Solution:
    """The same, or without that term where nets would save by it: large tensors make no weights cheaper."""
    terms = fitted_terms(found.problem.setting)
    if EVICTED not in terms or found.unknowns[_BEFORE_TERMS + terms.index(EVICTED)] >= 0:
        return found
    return _likeliest(found.problem.without_term(terms.index(EVICTED)))


def _likeliest(problem: Problem) -> Solution:
    tried = (_solve(problem, share, width) for share in _SHARES for width in _WIDTHS)
    return max(tried, key=lambda found: found.evidence)


def _with_spill(plain: Solution) -> Solution | None:
    """The likeliest solution in which large nets pay for weights that no cache keeps; None where they would save."""
    # widths hardly tell sizes apart, and to look for them is what takes the time
    tried = [_solve(plain.problem.with_spill(spill), plain.share, plain.width) for spill in _spills(plain.problem)]
    paying = [one for one in tried if one.unknowns[-1] > 0]
    if not paying:
        return None
    found = _likeliest(max(paying, key=lambda one: one.evidence).problem)
    return found if found.unknowns[-1] > 0 else None


def _spills(problem: Problem) -> list[Spill]:
    """Those to choose from, at a price of 1 microsecond: nets are large by weights, or by weights and time alike."""
    weights, work_us = problem.weights, problem.work_us
    usual_us, usual_weights = float(np.median(work_us)), float(np.median(weights))
    found = []
    for per_us in sorted({0.0, usual_weights / usual_us if usual_us > 0 else 0.0}):
        amounts = weights + per_us * work_us
        sizes = {float(size) for size in np.quantile(amounts, _SPILL_QUANTILES)}
        found += [
            Spill(1.0, size, US_PER_MS * per_us)
            for size in sorted(sizes)
            if size > 0 and np.count_nonzero(amounts > size) >= _FEWEST_SPILLING
        ]
    return found


def _with_warmth(cold: Solution, size: float, power: float) -> Solution | None:
    """The solution with warmth of a size of so many usual nets; None where small nets would save or pay all.

    What they save or pay depends on their sums, and the sums follow from what is fitted: each is found from the other.
    """
    warm_us, found = size * float(np.median(cold.problem.sums_us(cold.unknowns))), cold
    for number in range(_WARM_PASSES):
        sums_us = found.problem.sums_us(found.unknowns)
        if warm_us <= 0 or sums_us.min() <= 0:  # rows that make no sense of their nets
            return None
        problem, is_last = cold.problem.with_warmth(sums_us, warm_us, power), number == _WARM_PASSES - 1
        # widths hardly move the sums, and to look for them is what takes the time
        found = _likeliest(problem) if is_last else _solve(problem, cold.share, cold.width)
    has_no_spill = found.problem.spill is not None and found.unknowns[-2] <= 0
    share = -found.unknowns[-1]
    if has_no_spill or not LEAST_SHARE <= share <= MOST_SHARE:
        return None
    return replace(found, evidence=found.evidence + _PAYING_CHANCE) if share < 0 else found


def _solve(problem: Problem, share: float, width: float) -> Solution:
    """In the space of nets, of which there are fewer than unknowns."""
    columns, targets = problem.columns, problem.targets
    prior = _prior(problem, share, width)
    by_unknown = columns * prior**2
    expected = by_unknown @ columns.T  # of the nets' targets, before any is seen
    spread = max(_LEAST_SPREAD, SPREAD_PER_MAD * float(np.median(np.abs(targets - np.median(targets)))))
    weights = np.ones(len(targets))
    for _ in range(_REWEIGHTINGS):
        known: Array = np.asarray(np.linalg.inv(expected + np.diag(spread**2 / weights)), dtype=np.float64)
        unknowns: Array = by_unknown.T @ (known @ targets)
        errors = np.abs(targets - columns @ unknowns)
        used = float(np.einsum("ij,ji->", known, expected))
        free = max(1.0, len(targets) - used)
        spread = max(_LEAST_SPREAD, SPREAD_PER_MAD * float(np.median(errors)) * math.sqrt(len(targets) / free))
        weights = np.minimum(1.0, _HUBER * spread / np.maximum(errors, 1e-12))
    scale_spread = math.sqrt(max(0.0, prior[0] ** 2 - float(by_unknown[:, 0] @ known @ by_unknown[:, 0])))
    factor = np.linalg.cholesky(expected + np.diag(spread**2 / weights))
    whitened_targets = np.linalg.solve(factor, targets)
    evidence = -float(whitened_targets @ whitened_targets) / 2 - float(np.log(np.diag(factor)).sum())
    evidence += _log_chance(share) + _WIDTHS[width] + (_SPILL_CHANCE if problem.spill else 0.0)
    return Solution(problem, unknowns, scale_spread, spread, share, width, evidence)


def _prior(problem: Problem, share: float, width: float) -> Array:
    """The prior's standard deviations of the unknowns, in their order."""
    usual = np.abs(problem.columns).mean(axis=0)
    found: Array = share / np.where(usual > 0, usual, 1.0)  # what no net has stays 0
    found[0] = _SCALE_SPREAD
    names = fitted_terms(problem.setting)
    for number, term in enumerate(names, start=_BEFORE_TERMS):
        if term in _OWN_SHARES:
            found[number] *= _OWN_SHARES[term] / share
    first = _BEFORE_TERMS + len(names)
    found[first : first + len(problem.free)] = [width * free for free in problem.free.values()]
    return found


def _log_chance(share: float) -> float:
    """The logarithm of how likely such a width is before any net is seen, but for a constant."""
    distance = math.log(share / _USUAL_SHARE, _SHARE_FACTOR)
    return math.log(math.exp(-(distance**2) / 2) + _ANY_SHARE)


def left_out_errors(found: Solution) -> list[float]:
    """Each net's relative error, prediction over measurement minus 1, under what was fitted to the others.

    found: of all nets together, whose priors' widths and warmth's size are taken: one net hardly moves them, and to
        find them is what takes the time.
    """
    problem = found.problem
    return [
        float(problem.columns[number] @ other.unknowns - problem.targets[number])
        for number, other in enumerate(solutions_without(found))
    ]


def solutions_without(found: Solution) -> list[Solution]:
    """What is fitted to all nets but one, for each that is left out, under the same priors' widths."""
    problem = found.problem
    with on_one_thread():
        return [_solve(problem.without(number), found.share, found.width) for number in range(len(problem.targets))]
