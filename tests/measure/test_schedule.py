from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.measure.protocol import Cycle, Protocol, Samples
from lutbench.measure.schedule import in_turn, net_cycles, operator_cycles, turns_of, windows

names = st.lists(st.sampled_from([f"op{n}" for n in range(12)]), min_size=1, max_size=20, unique=True)


@given(names, st.integers(0, 8), st.integers(0, 30))
def test_windows_cover_the_chain_with_neighbours(chain: list[str], depth: int, offset: int) -> None:
    found = windows(chain, depth, offset)
    assert {name for window in found for name in window} == set(chain)
    size = min(depth + 1, len(chain))
    for window in found:
        assert len(window) == size
        start = chain.index(window[0])
        assert list(window) == chain[start : start + size]


@given(names, st.integers(0, 5), st.integers(0, 1000), st.data())
def test_cycles_visit_every_wanted_operator_and_no_window_in_vain(
    chain: list[str], depth: int, seed: int, data: st.DataObject
) -> None:
    wanted = set(data.draw(st.lists(st.sampled_from(chain), unique=True)))
    cycles = operator_cycles(
        [chain, chain[::-1]],
        wanted,
        depth,
        random.Random(seed),
        Protocol(),
        lambda _name: None,
        lambda _window: "canary",
    )
    visited = [name for cycle in cycles for name in cycle.artifacts if name in wanted]
    assert set(visited) == wanted
    assert all(wanted & set(cycle.artifacts) for cycle in cycles)
    if depth == 0:
        assert len(visited) == len(wanted)  # once each


def test_order_is_new_in_each_round_and_the_same_for_a_seed() -> None:
    chain = [f"op{n}" for n in range(20)]

    def order(seed: int) -> list[tuple[str, ...]]:
        cycles = operator_cycles(
            [chain], chain, 0, random.Random(seed), Protocol(), lambda _name: 100.0, lambda _window: "canary"
        )
        return [cycle.artifacts for cycle in cycles]

    assert order(1) == order(1)
    assert order(1) != order(2)


@given(st.floats(1, 1e6))
def test_small_nets_are_warm_before_they_are_timed(latency_us: float) -> None:
    protocol = Protocol()
    (cycle,) = net_cycles(["net"], "canary", lambda _net: protocol.net_visit(latency_us))
    assert cycle.artifacts == ("net",) and cycle.repeats == protocol.net_repeats
    assert protocol.net_warmup <= cycle.warmup <= protocol.net_warmup_most
    assert cycle.warmup == protocol.net_warmup_most or cycle.warmup * latency_us >= protocol.net_warm_us
    assert cycle.warmup == protocol.net_warmup or (cycle.warmup - 1) * latency_us < protocol.net_warm_us


def test_a_net_is_warm_in_its_first_visit_too() -> None:
    protocol = Protocol()
    assert protocol.net_visit(None) == (protocol.net_warmup_most, protocol.net_repeats)


def test_short_operators_get_more_repeats() -> None:
    protocol = Protocol(slice_us=300, min_repeats=3, max_repeats=30)
    assert [protocol.repeats(us) for us in (None, 1.0, 20.0, 100.0, 5000.0)] == [3, 30, 15, 3, 3]


def test_impossible_values_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="positive"):
        Samples("op", 0, "canary", (5, 0), (5, 5))
    with pytest.raises(ValueError, match="canaries"):
        Samples("op", 0, "canary", (5, 6), (5,))
    with pytest.raises(ValueError, match="not a cycle"):
        Cycle((), 0, 1, 3, "canary")
    with pytest.raises(ValueError, match="contradict"):
        Protocol(min_rounds=9, max_rounds=8)


@given(st.integers(0, 150), st.integers(1, 60), st.integers(0, 40))
def test_every_net_has_its_turn_once_before_any_has_another(count: int, most: int, cycle: int) -> None:
    nets = [f"net{number}" for number in range(count)]
    turns = turns_of(nets, most)
    rounds = [in_turn(nets, cycle * turns + turn, most) for turn in range(turns)]
    assert Counter(net for due in rounds for net in due) == dict.fromkeys(nets, 1)
    assert max(map(len, rounds)) <= most


def test_nets_share_rounds_with_others_time_after_time() -> None:
    nets = [f"net{number}" for number in range(96)]
    beside = {other for number in range(12) for due in [in_turn(nets, number, 50)] if nets[0] in due for other in due}
    assert len(beside) > 90
    assert in_turn(nets, 5, 50) == in_turn(nets, 5, 50)  # a round that was cut off is taken up again
