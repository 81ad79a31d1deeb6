from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.errors import UsageError
from lutbench.lut.compare import Change
from lutbench.lut.diff import diff, worst_over
from lutbench.lut.file import format_lut, parse_lut
from lutbench.lut.predict import predict
from lutbench.lut.row import ColumnRows, Row, failed_row
from lutbench.lut.table import Lut
from lutbench.space.fbnet import fbnet
from lutbench.space.find import known_space
from lutbench.space.operator import Operator, parse_operator
from lutbench.space.zoo import find_net
from tests.lut.made import CANARIES, METADATA, clocked, fitted, made_lut, made_row, with_row, without
from tests.tiers import examples

SPACE = fbnet(224, 1.0)
BLOCK = "ir_k5_e6_g1_64x14x14_64_s1"
SMALLEST = parse_operator(CANARIES[0]).touched


def large_kernels_slower(operator: Operator) -> float:
    return 1.5 if operator.kind == "ir" and operator.kernel == 5 else 1.0


def test_a_lut_is_as_fast_as_itself() -> None:
    found = diff(made_lut(), made_lut())
    assert found.geomean_ratio == 1
    assert len(found.operators) == sum(op.is_measured for op in SPACE.operators)
    assert not found.operators.significant.any()
    assert not (found.failed or found.only_in_a or found.only_in_b or found.warnings or found.clock_note)
    assert [net.ratio for net in found.nets] == [1.0] * 5
    assert found.nets_not_covered == ("fbnet_96_035_1",)
    assert worst_over(found, 1.0) == ""


def test_rows_are_sorted_by_ratio_and_groups_say_what_changed() -> None:
    a, b = made_lut(), made_lut(large_kernels_slower)
    found = diff(a, b)
    blocks = [op for op in SPACE.operators if op.kind == "ir"]
    slow = [op.name for op in blocks if op.kernel == 5]
    assert [row.name for row in found.operators[: len(slow)]] == slow  # equal ratios: by name
    assert found.operators[0] == Change(slow[0], 12.0, 12 * 0.995, 12 * 1.005, 18.0, 18 * 0.995, 18 * 1.005)
    assert [row.significant for row in found.operators] == found.operators.significant.tolist()
    assert int(found.operators.significant.sum()) == len(slow)
    assert found.geomean_ratio == pytest.approx(1.5 ** (len(slow) / len(found.operators)))
    kernels = {group.value: group for group in found.groups["kernel"]}
    assert kernels["5"].geomean_ratio == pytest.approx(1.5) and kernels["3"].geomean_ratio == 1
    assert (kernels["5"].count, kernels["5"].significant) == (len(slow), len(slow))
    assert kernels["3"].significant == 0
    for by in ("expansion", "groups", "feature map"):
        assert [group.geomean_ratio for group in found.groups[by]] == pytest.approx(
            [math.sqrt(1.5)] * len(found.groups[by])
        )
        assert sum(group.count for group in found.groups[by]) == len(blocks)
    assert [group.value for group in found.groups["feature map"]] == ["7x7", "14x14", "28x28", "56x56", "112x112"]
    assert [group.value for group in found.groups["expansion"]] == ["1", "3", "6"]
    kinds = {group.value: group.count for group in found.groups["kind"]}
    assert set(kinds) == {"conv", "fc", "ir", "overhead", "pool", "stem"}
    assert sum(kinds.values()) == len(found.operators)


def test_blocks_of_every_kind_are_grouped_by_what_their_names_say() -> None:
    space = known_space("mobilenetv4-conv")
    lut = made_lut(space=space)
    found = diff(lut, made_lut(lambda op: 2.0 if op.kind == "uib" and op.kernel == 5 else 1.0, space))
    kernels = {group.value: (group.count, group.geomean_ratio) for group in found.groups["kernel"]}
    counts = Counter(op.kernel for op in space.operators if op.kind in ("uib", "fused"))
    assert kernels == {str(k): (n, pytest.approx(2.0 if k == 5 else 1.0)) for k, n in counts.items()}
    assert [group.count for group in found.groups["groups"]] == [1]  # the fused block's; the other kind has none
    assert found.block_kinds == ("fused", "uib") and diff(made_lut(), made_lut()).block_kinds == ("ir",)
    shuffles = made_lut(space=known_space("spos-shufflenet"))
    groups = diff(shuffles, shuffles).groups
    assert {group.value for group in groups["kernel"]} == {"3", "5", "7"} and groups["expansion"] == ()


def test_significant_only_where_the_difference_is_beyond_both_intervals() -> None:
    a = with_row(made_lut(), Row(BLOCK, 10.0, 9.0, 11.0, 10.0, 10.0, 10.0, 36, 12))
    cases = ((10.41, 12.41, False), (10.42, 12.42, True), (7.59, 9.59, False), (7.58, 9.58, True))
    for low_us, high_us, expected in cases:
        us = (low_us + high_us) / 2
        found = diff(a, with_row(made_lut(), Row(BLOCK, us, low_us, high_us, us, us, us, 36, 12)))
        (row,) = (row for row in found.operators if row.name == BLOCK)
        assert row.significant is expected and (row.ratio == us / 10)
        assert int(found.operators.significant.sum()) == expected


def test_what_the_clock_explains_is_no_difference() -> None:
    """All rows and the canary 5 % slower: none differs; one that is 5 % slower beyond that does."""
    a = clocked(made_lut(), 40.0)
    slower = clocked(made_lut(lambda _: 1.05), 42.0)
    assert not diff(a, slower).operators.significant.any()
    assert diff(made_lut(), made_lut(lambda _: 1.05)).operators.significant.all()
    one = clocked(made_lut(lambda op: 1.1025 if op.name == BLOCK else 1.05), 42.0)
    assert [row.name for row in diff(a, one).operators if row.significant] == [BLOCK]
    unchanged = clocked(made_lut(), 42.0)  # as fast as before although the clock is slower: said by the note alone
    assert not diff(a, unchanged).operators.significant.any()


def test_what_shared_caches_explain_is_no_difference() -> None:
    """A neighbour slows what fetches through shared caches; the small canary feels nothing of it."""
    a = clocked(made_lut(), 40.0, large=100.0, nets=150.0)
    disturbed = diff(a, clocked(made_lut(lambda _: 1.08), 40.1, large=108.0, nets=178.0))
    assert not disturbed.operators.significant.any() and not any(net.significant for net in disturbed.nets)
    assert "small 1.002x, large 1.080x, nets 1.187x" in disturbed.machine_note and not disturbed.clock_note
    assert disturbed.notes == (disturbed.machine_note,)
    beyond = diff(a, clocked(made_lut(lambda op: 1.3 if op.name == BLOCK else 1.08), 40.1, large=108.0, nets=178.0))
    assert [row.name for row in beyond.operators if row.significant] == [BLOCK]
    faster = clocked(made_lut(lambda op: 0.8 if op.name == BLOCK else 0.92), 40.1, large=108.0, nets=178.0)
    assert [row.name for row in diff(a, faster).operators if row.significant] == [BLOCK]
    quiet = diff(a, clocked(made_lut(lambda _: 1.05), 40.1, large=102.0, nets=148.0))
    assert quiet.operators.significant.all() and quiet.machine_note == ""
    slower_clock = diff(a, clocked(made_lut(lambda _: 1.12), 42.0, large=105.0, nets=157.5))
    assert slower_clock.operators.significant.all() and slower_clock.machine_note == ""  # which the clock note tells


def test_in_another_state_a_row_is_held_against_the_others() -> None:
    """Canaries that moved by more than a change leave one found that few rows have, and none that all have."""
    a = clocked(made_lut(), 40.0, large=100.0, nets=150.0)

    def called(factor: Callable[[Operator], float], nets_us: float = 172.0) -> list[str]:
        found = diff(a, clocked(made_lut(factor), 40.1, large=108.0, nets=nets_us)).operators
        assert [row.significant for row in found] == found.significant.tolist()
        return [row.name for row in found if row.significant]

    assert called(lambda _: 1.05) == []
    assert called(lambda op: 1.05 if op.name == BLOCK else 1.0) == [BLOCK]
    assert called(lambda op: 0.95 if op.name == BLOCK else 1.02) == [BLOCK]
    assert called(lambda op: 1.05 if op.name == BLOCK else 1.0, nets_us=300.0) == []  # no row is what a row was
    assert called(lambda op: 2.2 if op.name == BLOCK else 1.0, nets_us=300.0) == [BLOCK]
    assert called(lambda op: 1.05 if op.name == BLOCK else 1.0, nets_us=250.0) == [BLOCK]
    assert called(lambda op: 1.02 if op.name == BLOCK else 1.06) == []  # no less than unchanged
    scattered = {op.name: 1 + 0.06 * (number % 5 - 2) / 2 for number, op in enumerate(SPACE.operators)}
    assert called(lambda op: scattered[op.name]) == []
    others = clocked(made_lut(), 40.1, large=108.0, nets=172.0)
    assert "only where it stands out from others that touch as much" in diff(a, others).machine_note
    far = clocked(made_lut(), 40.1, large=108.0, nets=300.0)
    assert "is not called significant;" in diff(a, far).machine_note
    few = made_lut().rows[:10]
    one = replace(a, rows=tuple(few))
    slower = tuple(
        made_row(row.operator, 1.05 * row.latency_us) if row.operator == few[-1].operator else row for row in few
    )
    assert not diff(one, replace(clocked(a, 40.1, large=108.0, nets=172.0), rows=slower)).operators.significant.any()


def test_nets_are_predicted_by_each_luts_own_fit() -> None:
    a = made_lut()
    b = fitted(made_lut(large_kernels_slower), scale=1.1, scale_ci_low=1.0, scale_ci_high=1.2, operator_us=1.0)
    net = find_net("fbnet_a", (SPACE,))
    (change,) = (change for change in diff(a, b).nets if change.name == "fbnet_a")
    one, other = predict(a, net), predict(b, net)
    assert change == Change(
        "fbnet_a", one.latency_us, one.ci_low_us, one.ci_high_us, other.latency_us, other.ci_low_us, other.ci_high_us
    )


def test_failed_rows_and_rows_of_one_lut_only_stand_apart() -> None:
    a = with_row(without(made_lut(), "fc_1504_1000"), failed_row("pool_1504x7x7", "crashed"))
    b = with_row(without(made_lut(), BLOCK), failed_row("stem_k3_3x224x224_16_s2", "no memory"))
    found = diff(a, b)
    assert found.only_in_a == (BLOCK,) and found.only_in_b == ("fc_1504_1000",)
    assert [(pair.operator, pair.a_status, pair.b_status) for pair in found.failed] == [
        ("pool_1504x7x7", "failed: crashed", "ok"),
        ("stem_k3_3x224x224_16_s2", "ok", "failed: no memory"),
    ]
    compared = {row.name for row in found.operators}
    assert compared.isdisjoint({BLOCK, "fc_1504_1000", "pool_1504x7x7", "stem_k3_3x224x224_16_s2"})
    assert found.nets == () and len(found.nets_not_covered) == 6


def test_fbnets_nets_are_missed_in_its_own_space_alone() -> None:
    spos = made_lut(space=known_space("spos-shufflenet"))
    assert diff(spos, spos).nets == () and diff(spos, spos).nets_not_covered == ()
    proxyless = made_lut(space=known_space("proxyless"))
    found = diff(proxyless, proxyless)
    assert [net.name for net in found.nets] == ["mnasnet"] and found.nets_not_covered == ()
    assert len(diff(made_lut(), proxyless).nets_not_covered) == 6


@pytest.mark.parametrize(("field", "value"), [("dtype", "fp32"), ("threads", 4), ("batch", 8)])
def test_different_things_are_refused_unless_forced(field: str, value: object) -> None:
    a, b = made_lut(), made_lut(**{field: value})
    with pytest.raises(UsageError, match=f"{field} {getattr(METADATA, field)} in A and {value} in B") as caught:
        diff(a, b)
    assert caught.value.exit_status == 2
    (warning,) = diff(a, b, force=True).warnings
    assert f"{field} {getattr(METADATA, field)} in A and {value} in B" in warning


def test_other_runtimes_and_contexts_are_warned_of_and_other_devices_are_not() -> None:
    assert diff(made_lut(), made_lut(device="android-s8")).warnings == ()
    (warning,) = diff(made_lut(), made_lut(runtime="executorch 0.5")).warnings
    assert "onnxruntime 1.31.1 in A, executorch 0.5 in B" in warning
    (warning,) = diff(made_lut(), fitted(made_lut(), depth=3)).warnings
    assert "depth 0 in A, 3 in B" in warning


def test_no_operator_in_both_names_what_each_covers() -> None:
    with pytest.raises(UsageError, match=r"A is fbnet at 224, width 1, B is fbnet at 192, width 0\.5"):
        diff(made_lut(), made_lut(space=fbnet(192, 0.5)))
    with pytest.raises(UsageError, match="no operator in both"):
        diff(made_lut(), replace(made_lut(), rows=()))


def test_no_latency_in_both_is_an_error() -> None:
    failed = replace(made_lut(), rows=tuple(failed_row(row.operator, "crashed") for row in made_lut().rows))
    with pytest.raises(UsageError, match="has a latency in both"):
        diff(made_lut(), failed)


def test_a_row_is_held_against_those_that_touch_as_much() -> None:
    """Other programs slow an operator the more, the more it goes through the caches that it shares with them."""
    a = clocked(made_lut(), 40.0, large=100.0, nets=150.0)

    def slowed(operator: Operator, by: float = 0.02) -> float:
        return (max(operator.touched, SMALLEST) / SMALLEST) ** by

    def called(factor: Callable[[Operator], float], large_us: float = 125.0, nets_us: float = 172.0) -> list[str]:
        found = diff(a, clocked(made_lut(factor), 40.1, large=large_us, nets=nets_us)).operators
        assert [row.significant for row in found] == found.significant.tolist()
        return [row.name for row in found if row.significant]

    largest = max(SPACE.operators, key=slowed)
    assert slowed(largest) > 1.07
    assert called(slowed) == []
    assert called(lambda op: slowed(op) * (1.05 if op.name == BLOCK else 1)) == [BLOCK]
    assert called(lambda op: slowed(op) / (1.08 if op.name == BLOCK else 1)) == [BLOCK]
    assert called(lambda op: 1.02 if op is largest else slowed(op)) == []  # no less than unchanged
    # what no canary tells of is a change, of those that touch most
    changed = called(lambda op: slowed(op, by=0.03), large_us=100.0, nets_us=150.0)
    assert largest.name in changed and "pool_1504x7x7" not in changed


def test_rows_may_follow_another_clock_further_than_the_canary_does() -> None:
    """Two LUTs of an unchanged machine: the small canary took 1.14 times as long, most rows 1.17 times."""
    a = clocked(made_lut(), 40.0, large=100.0, nets=150.0)

    def called(factor: Callable[[Operator], float], small_us: float, rows: Lut = a) -> list[str]:
        other = clocked(made_lut(factor), small_us, large=100.0, nets=150.0)
        names = {row.operator for row in rows.rows}
        other = replace(other, rows=tuple(row for row in other.rows if row.operator in names))
        compared = diff(rows, other)
        found = compared.operators
        assert [row.significant for row in found] == found.significant.tolist()
        assert ("only rows that stand out from the others" in compared.clock_note) == found.follow_clock
        return [row.name for row in found if row.significant]

    everything = [row.name for row in diff(a, a).operators]
    assert called(lambda _: 1.17, 45.6) == []
    assert diff(a, clocked(made_lut(lambda _: 1.17), 45.6)).operators.follow_clock
    assert not diff(a, clocked(made_lut(lambda _: 1.4), 45.6)).operators.follow_clock
    assert called(lambda op: 1.25 if op.name == BLOCK else 1.17, 45.6) == [BLOCK]
    assert called(lambda op: 1.1 if op.name == BLOCK else 1.17, 45.6) == []  # between unchanged and most
    assert called(lambda _: 0.84, 35.2) == []
    assert called(lambda op: 0.78 if op.name == BLOCK else 0.84, 35.2) == [BLOCK]
    assert sorted(called(lambda _: 1.4, 45.6)) == sorted(everything)  # further than any clock was seen to be followed
    assert sorted(called(lambda _: 0.9, 45.6)) == sorted(everything)  # the other way
    assert sorted(called(lambda _: 1.05, 41.0)) == sorted(everything)  # a clock that two quiet runs may have
    few = replace(a, rows=a.rows[:10])
    assert len(called(lambda _: 1.17, 45.6, few)) == len(diff(few, few).operators)  # too few to tell what most do


def test_a_change_of_the_clock_is_said_and_not_divided_by() -> None:
    a, b = clocked(made_lut(), 40.0), clocked(made_lut(lambda _operator: 1.05), 42.0)
    found = diff(a, b)
    assert found.clock_ratio == pytest.approx(1.05)
    assert found.geomean_ratio == pytest.approx(1.05)
    assert "1.050x" in found.clock_note and "the overall one is 1.000" in found.clock_note
    assert diff(a, clocked(made_lut(), 40.3)).clock_note == ""


@pytest.mark.parametrize(
    "other",
    [
        made_lut(),
        clocked(made_lut(device="android-s8"), 50.0),
        clocked(made_lut(provenance="estimated"), 50.0),
        clocked(made_lut(runtime="onnxruntime 2"), 50.0),
        clocked(made_lut(environment={"cpu": "another"}), 50.0),
        clocked(made_lut(dtype="fp32"), 50.0),
        clocked(made_lut(threads=2), 50.0),
        clocked(made_lut(batch=8), 50.0),
        clocked(made_lut(), 0.0),
        clocked(made_lut(), 5e-324),
        replace(made_lut(), metadata=replace(METADATA, quality={"canary_us": {"small": 50.0}})),  # of another operator
        replace(made_lut(), metadata=replace(METADATA, quality={"canary_us": 5})),
    ],
)
def test_clocks_of_different_things_are_not_compared(other: Lut) -> None:
    assert diff(clocked(made_lut(), 40.0), other, force=True).clock_ratio is None


def usual(lut: Lut, clock_us: float) -> Lut:
    return replace(lut, metadata=replace(lut.metadata, quality={**lut.metadata.quality, "clock_us": clock_us}))


@pytest.mark.parametrize(
    ("a_us", "b_us", "ratio"), [(44.0, 45.1, 1.025), (44.0, 0.0, 1.05), (float("nan"), 45.1, 1.05)]
)
def test_the_clock_is_that_of_usual_rounds_where_both_luts_say_it(a_us: float, b_us: float, ratio: float) -> None:
    a, b = usual(clocked(made_lut(), 40.0, large=90.0), a_us), usual(clocked(made_lut(), 42.0, large=99.0), b_us)
    found = diff(a, b)
    assert found.clock_ratio == pytest.approx(ratio) and found.canary_ratios["large"] == pytest.approx(1.1)
    assert diff(a, clocked(made_lut(), 42.0)).clock_ratio == pytest.approx(1.05)  # of an earlier version


def test_worst_over_names_the_worst() -> None:
    b = with_row(made_lut(), made_row(BLOCK, 60.0))
    found = diff(made_lut(), b)
    assert f"5 for operator {BLOCK}, above 1.2 (1 of 110 operators" in worst_over(found, 1.2, each_operator=True)
    assert "for net fbnet_c" in worst_over(found, 1.2)
    assert worst_over(found, 5.0, each_operator=True) == ""
    unsure = diff(made_lut(), with_row(made_lut(), made_row(BLOCK, 60.0, half_width=0.9)))
    assert "net fbnet" in worst_over(unsure, 1.05)  # the operator itself is not significant
    everything = diff(made_lut(half_width=0.5), made_lut(lambda _op: 1.1, half_width=0.5))
    assert "the geometric mean of all operators" in worst_over(everything, 1.05) or "net" in worst_over(
        everything, 1.05
    )
    assert worst_over(everything, 1.2) == ""


def test_rows_kept_as_columns_compare_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = with_row(made_lut(), failed_row(BLOCK, "crashed")), made_lut(large_kernels_slower)
    monkeypatch.setattr("lutbench.lut.file.LARGE", 0)
    a_read, b_read = (parse_lut(format_lut(lut), Path("x.csv")) for lut in (a, b))
    assert isinstance(a_read.rows, ColumnRows)
    read = diff(a_read, b_read)
    made = diff(replace(a_read, rows=tuple(a_read.rows)), replace(b_read, rows=tuple(b_read.rows)))
    assert read.groups == made.groups and read.failed == made.failed and read.nets == made.nets
    assert list(read.operators) == list(made.operators) == [made.operators[n] for n in range(len(made.operators))]


def latencies() -> st.SearchStrategy[dict[str, float]]:
    names = [op.name for op in SPACE.operators if op.is_measured]
    return st.dictionaries(st.sampled_from(names), st.floats(1e-300, 1e300), max_size=12)


@settings(max_examples=examples(100))  # each predicts every net of the zoo four times
@given(latencies(), latencies())
def test_b_to_a_is_the_inverse_of_a_to_b(a_us: dict[str, float], b_us: dict[str, float]) -> None:
    a, b = (
        Lut(METADATA, tuple(made_row(name, us[name], 0.0) for name in sorted(us)), Path("x.csv")) for us in (a_us, b_us)
    )
    common = set(a_us) & set(b_us)
    if not common - {"runtime_overhead"}:
        with pytest.raises(UsageError):
            diff(a, b)
        return
    there, back = diff(a, b), diff(b, a)
    assert {row.name for row in there.operators} == {row.name for row in back.operators} == common
    assert (there.only_in_a, there.only_in_b) == (back.only_in_b, back.only_in_a)
    assert set(there.only_in_a) == set(a_us) - common
    assert there.operators.significant.sum() == back.operators.significant.sum()
    if 0 < there.geomean_ratio < math.inf and 0 < back.geomean_ratio < math.inf:
        assert math.log(there.geomean_ratio) == pytest.approx(-math.log(back.geomean_ratio), abs=1e-9)
