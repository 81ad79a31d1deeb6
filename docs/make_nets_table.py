"""Writes the table of docs/reference/nets.md: what the zoo's nets count beside what was published, and why they differ.

python docs/make_nets_table.py
"""

from __future__ import annotations

from pathlib import Path

from lutbench.space.sizes import NetSize, net_size, whole_zoo

PAGE = Path(__file__).parent / "reference" / "nets.md"
START, END = "<!-- made by make_nets_table.py -->\n", "<!-- end -->\n"
EXPLAINED_OVER = 0.02

# (nets, figure, why it is more than 2 % off)
REASONS = (
    (
        ("fbnet_b",),
        "params",
        "The paper's table prints 4.5; the list of the models that its authors released has 4.8. There one block, of"
        " 192 channels at 28 x 28, has two 3x3 depthwise convolutions in place of one 5x5: 1 053 696"
        " multiply-accumulates and 1 344 weights less than here.",
    ),
    (
        ("fbnet_c",),
        "MMACs",
        "The list of the models that its authors released has 383.0, 1 975 680 multiply-accumulates (and 6 048 weights)"
        " less than here: exactly two blocks, of 192 channels at 28 x 28 and of 672 at 14 x 14, with two 3x3 depthwise"
        " convolutions each in place of one 5x5 (18 weights a channel, not 25). The classifier does not explain it.",
    ),
    (
        ("mobilenet_v2",),
        "params",
        "The authors' list of checkpoints has 3.47, as here; the table cuts it to 3.4 (and rounds it to 3.5 at 128).",
    ),
    (
        ("mobilenet_v2@224x1.4",),
        "params",
        "The authors' list of checkpoints has 6.06 (and 582 MMACs), as here; 6.9 is in the papers only.",
    ),
    (
        ("mobilenet_v2@224x0.35", "mobilenet_v2@192x0.5", "mobilenet_v2@128x0.5", "mobilenet_v2@96x0.35"),
        "params",
        "Rounding: the authors' list of checkpoints has 1.66 and 1.95, as here.",
    ),
    (
        ("mobilenet_v2@96x0.35",),
        "MMACs",
        "11.93 is cut to 11, there and in the authors' list of checkpoints, which also cuts 32.58 to 32.",
    ),
    (
        ("mnasnet", "mnasnet@128x1.0"),
        "params",
        "Not explained: the paper's figure 7 read layer by layer gives 4.34, and torchvision's MnasNet has, batch norms"
        " counted, the same 4 383 312 as this one.",
    ),
    (("mnasnet@224x0.35",), "params", "Rounding: 1.85 is printed as 1.9."),
    (("shufflenet_v2@224x0.5",), "params", "Rounding: 1.36 is printed as 1.4."),
    (
        ("condensenet_g4", "condensenet_g8"),
        "MMACs",
        "Its authors count an element that a ReLU or a pool reads as an operation, too; counted so they are 529.33 and"
        " 274.23.",
    ),
    (
        tuple(f"efficientnet_lite{number}" for number in range(5)),
        "MMACs",
        "More is counted there than convolutions and the classifier, and what is not said: three operations for each"
        " element that a batch norm writes would make 631, 898, 1440 and 2640 of the last four, but 405 of the first."
        " timm's modules have exactly as many as here.",
    ),
    (
        ("mobilenet_v4_conv_s",),
        "MMACs",
        "Rounding: 0.19 thousand million is printed as 0.2.",
    ),
    *(
        (
            ("mobilenet_v4_conv_m", "mobilenet_v4_conv_l", "mobilenet_v4_hybrid_m"),
            figure,
            "Not explained: the paper's table has less than the definitions that its authors released"
            " (tensorflow/models), which are what is counted here. timm's modules have exactly as many, too.",
        )
        for figure in ("MMACs", "params")
    ),
    (("repvit_m1_1",), "MMACs", "Rounding: 1.34 thousand million is printed as 1.3."),
)


def deviations(size: NetSize) -> dict[str, float]:
    """Figure -> deviation from the published one, as a fraction; nothing where nothing was published."""
    found = {"MMACs": size.mmacs_deviation, "params": size.params_deviation}
    return {figure: value for figure, value in found.items() if value is not None}


def large_deviations() -> set[tuple[str, str]]:
    """(net, figure) of all that are more than 2 % off."""
    sizes = [net_size(net) for net in whole_zoo()]
    return {(s.net, figure) for s in sizes for figure, value in deviations(s).items() if abs(value) > EXPLAINED_OVER}


def table() -> str:
    """The table and the reasons, Markdown."""
    lines = [
        "| net | MMACs | published | | M params | published | | published in |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    lines += [_line(net_size(net)) for net in whole_zoo()]
    lines += ["", "More than 2 % off:", ""]
    lines += [f"- {', '.join(f'`{net}`' for net in nets)}, {figure}: {why}" for nets, figure, why in REASONS]
    return "\n".join(lines) + "\n"


def _line(size: NetSize) -> str:
    known = size.published
    if known is None:
        return f"| `{size.net}` | {size.mmacs:.2f} | | | {size.params_m:.3f} | | | |"
    off = deviations(size)
    return (
        f"| `{size.net}` | {size.mmacs:.2f} | {known.mmacs:g} | {100 * off['MMACs']:+z.1f} %"
        f" | {size.params_m:.3f} | {known.params_m:g} | {100 * off['params']:+z.1f} % | {known.source} |"
    )


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{START}{table()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
