from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from lutbench.measure.chains import CHAIN_LENGTHS, UNREADABLE, Chain, Slope, slope_of, without_link
from lutbench.measure.protocol import Failure

ANE = {"ane": 12}
ROUNDS = 20


def timed(
    copy_us: float,
    call_us: float = 150.0,
    noise_us: float = 0.0,
    units: Mapping[int, Mapping[str, int]] | None = None,
    extra_us: Mapping[int, float] | None = None,
    rounds: int = ROUNDS,
) -> list[Chain]:
    """Chains of an operator that takes copy_us, each round a little slower than the one before: what all share."""
    rng = random.Random(0)
    return [
        Chain(
            copies,
            (units or {}).get(copies, ANE),
            {
                n: call_us + n + copies * copy_us + (extra_us or {}).get(copies, 0.0) + rng.gauss(0, noise_us)
                for n in range(rounds)
            },
        )
        for copies in reversed(CHAIN_LENGTHS)
    ]


def slope(chains: list[Chain], canary: Mapping[str, int] = ANE) -> Slope:
    found = slope_of("op", chains, "ane", canary)
    assert isinstance(found, Slope), found
    return found


def refusal(chains: list[Chain], canary: Mapping[str, int] = ANE, asked: str = "ane") -> str:
    found = slope_of("op", chains, asked, canary)
    assert isinstance(found, Failure) and found.artifact == "op", found
    return found.reason


def test_a_copy_is_what_it_adds_whatever_a_call_costs_and_however_the_phone_slows() -> None:
    found = slope(timed(7.5))
    assert (found.latency_us, found.ci_low_us, found.ci_high_us) == pytest.approx((7.5, 7.5, 7.5))
    assert (found.call_us, found.unit, found.rounds) == (pytest.approx(150 + (ROUNDS - 1) / 2), "ane", ROUNDS)
    assert slope(timed(7.5, call_us=900.0)).latency_us == pytest.approx(7.5)


def test_noise_is_in_the_interval_and_the_interval_holds_the_truth() -> None:
    found = slope(timed(7.5, noise_us=3.0))
    assert found.ci_low_us < 7.5 < found.ci_high_us
    assert slope(timed(7.5, noise_us=0.3)).ci_high_us - 7.5 < found.ci_high_us - found.ci_low_us


def test_only_rounds_that_all_lengths_have_count() -> None:
    chains = timed(7.5)
    lacking = Chain(chains[0].copies, ANE, {n: us for n, us in chains[0].rounds_us.items() if n >= 5})
    assert slope([lacking, *chains[1:]]).rounds == ROUNDS - 5
    assert "rounds in common, too few" in refusal(timed(7.5, rounds=3))


@pytest.mark.parametrize(
    ("units", "canary", "asked", "problem"),
    [
        ({4: {"cpu": 12}}, ANE, "ane", "4 copies on cpu, 8 copies on ane, 16 copies on ane, the canary on ane"),
        ({8: {"cpu": 3, "ane": 9}}, ANE, "ane", "8 copies run on several units: 9 of its operations on ane, 3 of its"),
        ({}, {"cpu": 3}, "ane", "the canary on cpu"),
        ({}, ANE, "gpu", "it was to run on gpu, and runs on ane"),
        ({16: {}}, ANE, "ane", "16 copies on unreadable"),
        ({}, {}, "ane", "the canary on unreadable"),
    ],
)
def test_chains_that_do_not_run_where_they_should_have_no_latency(
    units: Mapping[int, Mapping[str, int]], canary: Mapping[str, int], asked: str, problem: str
) -> None:
    assert problem in refusal(timed(7.5, units=units), canary, asked)


def test_where_the_system_tells_no_units_the_row_says_so() -> None:
    assert slope(timed(7.5, units={copies: {} for copies in CHAIN_LENGTHS}), canary={}).unit == UNREADABLE
    assert slope(timed(7.5, units={copies: {"ane": 9, "cpu": 0} for copies in CHAIN_LENGTHS})).unit == "ane"


def test_copies_that_take_no_time_or_less_have_no_latency() -> None:
    assert "more copies do not take longer" in refusal(timed(0.0, noise_us=1.0))
    assert "more copies do not take longer" in refusal(timed(-2.0))


def test_what_joins_copies_may_take_no_time_but_not_less() -> None:
    free = slope_of("op", timed(0.0, noise_us=1.0), "ane", ANE, may_be_free=True)
    assert isinstance(free, Slope) and free.ci_low_us < 0 < free.ci_high_us
    assert isinstance(slope_of("op", timed(-2.0, noise_us=1.0), "ane", ANE, may_be_free=True), Failure)


@pytest.mark.parametrize("extra_us", [40.0, -40.0])
def test_a_chain_off_the_line_has_no_latency_and_a_little_noise_is_no_bend(extra_us: float) -> None:
    """As where a longer program is cut in two: its own calls are in the slope."""
    assert "time does not grow evenly with its copies: 8 take" in refusal(timed(7.5, extra_us={8: extra_us}))
    slope(timed(7.5, noise_us=5.0, extra_us={8: extra_us / 20}))


def test_two_lengths_do_not_tell_a_line_from_a_bend() -> None:
    assert "its chains have 2 lengths" in refusal(timed(7.5)[:2])
    assert "its chains have 1 lengths" in refusal([timed(7.5)[0]] * 3)


def made(latency_us: float, low_us: float, high_us: float, unit: str = "ane") -> Slope:
    return Slope(latency_us, low_us, high_us, unit, (low_us, latency_us, high_us), {0: 140.0, 1: 150.0, 2: 160.0})


def test_what_joins_copies_is_taken_off_and_its_doubt_is_added() -> None:
    whole, link = made(9.0, 8.7, 9.4), made(2.0, 1.7, 2.4)
    found = without_link("op", whole, link)
    assert isinstance(found, Slope)
    assert found.latency_us == pytest.approx(7.0) and found.rounds == 3 and found.calls_us == whole.calls_us
    assert [found.quantile_us(share) for share in (0.0, 0.5, 1.0)] == pytest.approx([6.7, 7.0, 7.4])
    assert (found.ci_low_us, found.ci_high_us) == (pytest.approx(7.0 - 0.5), pytest.approx(7.0 + 0.5))
    for other, problem in (
        (made(2.0, 1.9, 2.1, "cpu"), "run on ane, and what joins their copies on cpu"),
        (made(9.0, 8.9, 9.1), "no longer than what joins its copies"),
    ):
        refused = without_link("op", whole, other)
        assert isinstance(refused, Failure) and problem in refused.reason
