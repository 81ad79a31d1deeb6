"""How well `estimate` meets the paper's nets: errors with and without each net, table 5, and other priors. Markdown.

python benchmarks/estimate.py
"""

from __future__ import annotations

import math
import random
from pathlib import Path
from statistics import fmean

from lutbench.lut.cost_fit import CostFit, fit_costs
from lutbench.lut.cost_problem import NetWork, Prior, general_prior
from lutbench.lut.costs import OVERHEAD
from lutbench.lut.estimate import EstimateRequest, estimate
from lutbench.lut.latencies import read_latencies
from lutbench.lut.operator_latencies import read_operator_latencies
from lutbench.lut.pieces import net_pieces
from lutbench.lut.predict import predict
from lutbench.space.published import published
from lutbench.space.zoo import find_net

PRIORS_TRIED = 50
PRIOR_SPREAD = 0.5  # of the logarithm of each cost: factors of about 0.4 to 2.7


def main() -> None:
    s8 = estimate(EstimateRequest("published", "android-s8", "s8", rows="published"), Path("s8.csv"))
    iphonex = estimate(EstimateRequest("published", "iphonex", "iphonex", prior=s8.lut), Path("iphonex.csv"))
    print("| net | published | fitted | error | left out of the fit | its error |\n|---|---|---|---|---|---|")
    for net in s8.fit.nets:
        print(
            f"| {net.net} | {net.latency_us / 1000:.2f} ms | {net.fitted_us / 1000:.2f} ms | {net.error:+.1%}"
            f" | {net.left_out_us / 1000:.2f} ms | {net.left_out_error:+.1%} |"
        )
    fit = s8.fit
    print(
        f"\n{len(fit.nets)} nets: mean error {fit.mean_error:.1%}, left out {fit.left_out_mean_error:.1%}"
        f" (largest {fit.left_out_max_error:.1%}).\n"
    )
    print("| table 5 | S8 published | S8 LUT | iPhone X published | iPhone X LUT |\n|---|---|---|---|---|")
    paper = {(row.net, row.device): row.latency_ms for row in published() if row.table == 5}
    for name in ("fbnet_s8", "fbnet_iphonex"):
        mine = [predict(found.lut, find_net(name, ())).latency_us / 1000 for found in (s8, iphonex)]
        print(
            f"| {name} | {paper[name, 's8']:.2f} ms | {mine[0]:.2f} ms | {paper[name, 'iphonex']:.2f} ms"
            f" | {mine[1]:.2f} ms ({mine[1] / paper[name, 'iphonex'] - 1:+.1%}) |"
        )
    print("\n| operator timed alone on the S8 | published | LUT without it | LUT |\n|---|---|---|---|")
    print(single_operators(s8.fit))
    print("\n| kind of work | S8 | 95 % interval | iPhone X | 95 % interval |\n|---|---|---|---|---|")
    for kind, cost in fit.costs.items():
        low, high = fit.cost_interval(kind)
        low_x, high_x = iphonex.fit.cost_interval(kind)
        other = iphonex.fit.costs[kind]
        print(f"| {kind} | {cost:.0f} | {low:.0f} to {high:.0f} | {other:.0f} | {low_x:.0f} to {high_x:.0f} |")
    print(other_priors())


def single_operators(fit: CostFit) -> str:
    """Rows of the operators that the paper's group timed alone: without each of them, and with all."""
    nets = published_nets()
    rows = read_operator_latencies("published", "s8", "int8")
    prior = published_prior(nets)
    lines = []
    for piece, us in rows:
        without = fit_costs(nets, prior, [row for row in rows if row[0] != piece]).latencies([piece])[0]
        with_all = fit.latencies([piece])[0]
        low, high = without.low_us, without.high_us
        lines.append(
            f"| {piece.name} | {us:.0f} us | {without.latency_us:.0f} us ({low:.0f} to {high:.0f})"
            f" | {with_all.latency_us:.0f} us |"
        )
    return "\n".join(lines)


def published_nets() -> list[NetWork]:
    return [
        NetWork(timed.name, timed.latency_us, net_pieces(timed.net, "int8"))
        for timed in read_latencies("published", "s8", ()).nets
    ]


def published_prior(nets: list[NetWork]) -> Prior:
    return general_prior(
        {OVERHEAD, *(kind for n in nets for piece in n.pieces for layer in piece.layers for kind, _ in layer.work)}
    )


def other_priors() -> str:
    """The left-out error when the prior's costs are disturbed, and without a prior's pull to speak of."""
    nets = published_nets()
    prior = published_prior(nets)
    rng = random.Random(0)
    errors = []
    for _ in range(PRIORS_TRIED):
        costs = {kind: cost * math.exp(PRIOR_SPREAD * rng.gauss(0, 1)) for kind, cost in prior.costs_us.items()}
        errors.append(fit_costs(nets, Prior(costs, prior.cost_spread)).left_out_mean_error)
    loose = fit_costs(nets, Prior(prior.costs_us, 4 * prior.cost_spread))
    zero = [kind for kind, cost in loose.costs.items() if cost < 0.01 * prior.costs_us[kind]]
    return (
        f"\n{PRIORS_TRIED} other priors, each cost times e^({PRIOR_SPREAD} x normal): left-out mean error"
        f" {fmean(errors):.1%} ({min(errors):.1%} to {max(errors):.1%}). With a prior 4 times looser:"
        f" {loose.left_out_mean_error:.1%}, and next to nothing left for {', '.join(zero) or 'no kind of work'}."
    )


if __name__ == "__main__":
    main()
