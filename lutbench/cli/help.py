"""How a command's help reads: its options in groups, those that matter most first, and two examples at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

PHONE = "Phones"
MACHINE = "Hardware"
DATA = "Data"
OUTPUT = "Where to write"
LENGTH = "How long"


@dataclass(frozen=True)
class Help:
    """A command's groups and examples.

    groups: title -> its options, as they are called on the command line. What is in none stands last.
    examples: whole command lines.
    """

    groups: Mapping[str, tuple[str, ...]]
    examples: tuple[str, str]


_DATA_SOURCE = ("--classes", "--data-seed", "--workers", "--skip-broken")
_MACHINE = ("--accelerator", "--threads", "--bf16", "--compile")
_DEVICE_USE = (
    *("--threads", "--batch", "--cores", "--force"),
    *("--fixed-performance", "--no-heat-wait", "--wait-quiet"),
)
_INTERVAL = ("--target", "--max-rounds", "--fresh")

HELP = {
    "demo": Help({OUTPUT: ("--output", "--open")}, ("lutbench demo", "lutbench demo -o tried --no-open")),
    "profile": Help(
        {
            "What to measure": ("--device", "--space", "--resolution", "--width", "--dtype", "--runtime", "--engine"),
            OUTPUT: ("--output", "--json"),
            LENGTH: (*_INTERVAL, "--seed"),
            MACHINE: _DEVICE_USE,
        },
        (
            "lutbench profile --device host",
            "lutbench profile --device android-s8 --space my_space.toml --dtype fp32 -o luts/mine.csv",
        ),
    ),
    "show": Help(
        {"What to show": ("--slowest", "--json")}, ("lutbench show s8", "lutbench show luts/host.csv --slowest 30")
    ),
    "predict": Help(
        {"What to predict": ("--lut", "--space", "--batch"), OUTPUT: ("--json",)},
        ("lutbench predict --lut s8 fbnet_a fbnet_c", "lutbench predict --lut luts/host.csv searched/host/host_0.json"),
    ),
    "search": Help(
        {
            "What to search": (
                *("--lut", "--target-ms", "--target-mmacs", "--target-mparams", "--space"),
                *("--nets", "--batch", "--resolution", "--width"),
            ),
            OUTPUT: ("--output", "--fresh", "--resume", "--tensorboard", "--json"),
            DATA: ("--data", "--train-resolution", *_DATA_SOURCE),
            "How nets are chosen": (
                *("--method", "--draws", "--rounds", "--views", "--finalists", "--final-epochs", "--final-runs"),
                *("--alpha", "--beta", "--seed"),
            ),
            "Schedule": (
                *("--epochs", "--warmup", "--batch-size", "--mode", "--paths", "--separate-weights"),
                *("--w-rate", "--w-momentum", "--w-decay", "--w-clip"),
                *("--theta-rate", "--theta-decay", "--temperature", "--cooling"),
            ),
            MACHINE: _MACHINE,
        },
        (
            "lutbench search --lut s8 --target-ms 15",
            "lutbench search --space fbnetv2 --target-mmacs 100 --data imagefolder:PATH --classes 100 -o found",
        ),
    ),
    "derive": Help(
        {
            "What to derive": ("--lut", "--target-ms", "--nets", "--resolution"),
            OUTPUT: ("--output", "--json"),
            DATA: ("--data", "--workers", "--skip-broken"),
            "How nets are chosen": ("--method", "--scored", "--views", "--seed"),
            MACHINE: ("--threads", "--accelerator", "--bf16"),
        },
        (
            "lutbench derive searched/s8_15ms --lut iphonex --target-ms 8,12,16",
            "lutbench derive searched/s8_15ms --lut s8 --lut iphonex --target-ms 12 --nets 3 -o derived/both",
        ),
    ),
    "train": Help(
        {
            OUTPUT: ("--output", "--fresh", "--resume", "--tensorboard", "--json"),
            DATA: ("--data", "--resolution", *_DATA_SOURCE),
            "Schedule": (
                *("--epochs", "--batch-size", "--learning-rate", "--milestones", "--decay", "--momentum"),
                *("--weight-decay", "--dropout", "--clip", "--seed"),
            ),
            MACHINE: (*_MACHINE, "--channels-last"),
        },
        ("lutbench train fbnet_a", "lutbench train searched/s8_15ms/s8_15ms_0.json --data imagefolder:PATH --bf16"),
    ),
    "export": Help(
        {
            "What to export": ("--weights", "--random-weights", "--runtime", "--dtype", "--resolution"),
            OUTPUT: ("--output", "--overwrite", "--json"),
            DATA: ("--data", "--test-images", "--workers", "--skip-broken"),
        },
        (
            "lutbench export fbnet_a --weights trained/fbnet_a/weights.pt",
            "lutbench export fbnet_a --weights trained/fbnet_a/weights.pt --runtime onnx,executorch --dtype int8",
        ),
    ),
    "diff": Help(
        {
            "What to compare": ("--fail-over", "--each-operator", "--force"),
            OUTPUT: ("--top", "--all", "--csv", "--html", "--json"),
        },
        ("lutbench diff s8 iphonex", "lutbench diff luts/before.csv luts/after.csv --fail-over 1.05 --html diff.html"),
    ),
    "merge": Help(
        {"How to merge": ("--conflict",), OUTPUT: ("--output", "--json")},
        (
            "lutbench merge luts/224.csv luts/192.csv -o luts/both.csv",
            "lutbench merge monday.csv friday.csv --conflict refuse -o week.csv",
        ),
    ),
    "bench": Help(
        {
            "What to measure": ("--device", "--lut", "--paper-table", "--dtype", "--runtime"),
            "What a file is fed": ("--shape", "--value", "--input"),
            OUTPUT: ("--output", "--json"),
            LENGTH: _INTERVAL,
            MACHINE: _DEVICE_USE,
        },
        (
            "lutbench bench fbnet_a mobilenet_v2@192x0.5 --lut luts/host.csv",
            "lutbench bench my_model.onnx --device android-s8 --shape input=1,3,224,224",
        ),
    ),
    "verify": Help(
        {
            "What to measure": ("--lut", "--device", "--nets", "--batch", "--seed"),
            OUTPUT: ("--max-error", "--json"),
            LENGTH: ("--rounds",),
            MACHINE: ("--cores", "--force", "--no-heat-wait", "--wait-quiet"),
        },
        ("lutbench verify --lut luts/host.csv", "lutbench verify --lut luts/host.csv --nets 20 --max-error 0.02"),
    ),
    "report": Help(
        {OUTPUT: ("--output", "--plot")},
        ("lutbench report luts/host.csv -o host.html", "lutbench report s8 iphonex -o both.html --plot both.png"),
    ),
    "estimate": Help(
        {
            "What to fit": ("--source-device", "--prior", "--rows", "--runtime", "--dtype", "--threads"),
            "What the LUT holds": ("--device", "--space", "--resolution", "--width"),
            OUTPUT: ("--output", "--json"),
        },
        (
            "lutbench estimate nets.csv --device android -o luts/phone.csv",
            "lutbench estimate published --device iphonex --prior s8 -o luts/iphonex_again.csv",
        ),
    ),
    "import": Help(
        {
            "What to read": ("--select", "--unit"),
            "What the file does not say": (
                "--device",
                "--runtime",
                "--dtype",
                "--threads",
                "--batch",
                "--space",
                "--resolution",
                "--fixed-us",
            ),
            OUTPUT: ("--output", "--json"),
        },
        (
            "lutbench import ofa pixel1.yaml -o luts/pixel1.csv",
            "lutbench import hw-nas-bench HW-NAS-Bench-v1_0.pickle --select pixel3 -o luts/pixel3.csv",
        ),
    ),
    "space": Help(
        {"What to show": ("--kinds", "--device", "--json")},
        ("lutbench space proxyless", "lutbench space my_space.toml --json"),
    ),
    "nets": Help({"What to show": ("--json",)}, ("lutbench nets", "lutbench nets fbnet_a@192x0.5")),
    "devices": Help(
        {"What to do": ("--check", "--clean", "--runtime", "--cores", "--force", "--json")},
        ("lutbench devices", "lutbench devices --clean android-s8"),
    ),
    "build": Help(
        {"What to build": ("--target", "--ndk", "--libraries"), OUTPUT: ("--output", "--json")},
        (
            "lutbench runner build --target android-arm64",
            "lutbench runner build --target android-arm64 --ndk PATH --libraries PATH -o runner-ndk",
        ),
    ),
}


# what stands for a value in the help, where its type does not say what is meant
METAVARS = {
    **dict.fromkeys(("--device", "--source-device", "--engine", "--runtime", "--select"), "NAME"),
    "--space": "NAME|FILE",
    "--rows": "FILE",
    "--fixed-us": "N",
    "--dtype": "TYPE",
    "--unit": "UNIT",
    "--cores": "CORES",
    "--data": "IMAGES",
}
_OF_TYPES = ((click.IntRange, "N"), (click.types.IntParamType, "N"), (click.types.FloatParamType, "X"))


def metavar_of(option: click.Option) -> str | None:
    """Name what stands behind an option: N for a whole number, X for any; None where click's own word is plain."""
    named = next((METAVARS[text] for text in option.opts if text in METAVARS), None)
    return named or next((word for kind, word in _OF_TYPES if isinstance(option.type, kind)), None)


class HelpCommand(click.Command):
    """A command whose help lists its options in the groups of HELP, and ends with examples."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for option in self.params:
            if isinstance(option, click.Option) and option.metavar is None and not option.is_flag:
                option.metavar = metavar_of(option)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = HELP[str(self.name)]
        titles = {name: title for title, names in found.groups.items() for name in names}
        order = [name for names in found.groups.values() for name in names]
        sections: dict[str, list[tuple[int, tuple[str, str]]]] = {title: [] for title in found.groups}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx) if isinstance(option, click.Option) else None
            if record is None:
                continue
            name = next((text for text in option.opts if text in titles), "")
            place = order.index(name) if name else len(order)
            sections.setdefault(titles.get(name, "Other"), []).append((place, record))
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl([record for _, record in sorted(records)])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for example in HELP[str(self.name)].examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
