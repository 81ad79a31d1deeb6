"""`lutbench`: the group of commands, errors as one line, exit statuses.

Exit status: 0 done, 1 a check failed, 2 wrong use, 3 the device or its connection, 4 the input file, 130 interrupted.
"""

from __future__ import annotations

import importlib
import signal
import sys
import traceback
from types import FrameType
from typing import Any, NoReturn

import click

from lutbench import __version__
from lutbench.cli.out import say
from lutbench.errors import LutbenchError
from lutbench.shown import one_line

# name -> (module:command, its line in the help); modules load when their command runs, so that --help is quick
COMMANDS = {
    "profile": ("lutbench.cli.profile:command", "Time every operator of a space on a device; write the LUT."),
    "show": ("lutbench.cli.show:command", "What a LUT is, how good it is, its slowest operators."),
    "predict": (
        "lutbench.cli.predict:command",
        "A LUT's latency for nets: of the zoo, architecture files, candidate strings.",
    ),
    "search": ("lutbench.cli.search:command", "Find nets for the devices of LUTs by differentiable search."),
    "train": ("lutbench.cli.train:command", "Train a net from scratch, by the paper's recipe."),
    "export": ("lutbench.cli.export:command", "A trained net as ONNX, ExecuTorch or TorchScript files, int8 and fp32."),
    "diff": ("lutbench.cli.diff:command", "Two LUTs by operator and net: what is slower, and whether that is certain."),
    "merge": ("lutbench.cli.merge:command", "LUTs of one device into one, the narrower interval of each operator."),
    "bench": ("lutbench.cli.bench:command", "Time whole nets and ONNX files on a device."),
    "verify": ("lutbench.cli.verify:command", "Random whole nets on the device against the LUT's predictions."),
    "report": ("lutbench.cli.report:command", "A page and charts about one LUT, or two side by side."),
    "estimate": ("lutbench.cli.estimate:command", "A LUT for a device that only whole nets' latencies are known of."),
    "import": ("lutbench.cli.import_:command", "Make a LUT of a latency table that others published."),
    "nets": ("lutbench.cli.nets:command", "The published nets: multiply-accumulates and parameters; one net's layers."),
    "runner": ("lutbench.cli.runner:command", "Build the program that measures on phones."),
    "devices": ("lutbench.cli.devices:command", "The devices lutbench knows, yours included."),
}
INTERRUPTED = 130


class LazyGroup(click.Group):
    """Loads a command's module only when the command is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lutbench")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Latency lookup tables of a network's operators, measured on your own device."""
    ctx.ensure_object(dict)["debug"] = debug


def main(arguments: list[str] | None = None) -> NoReturn:
    """The console script: runs a command and exits with the status of what happened."""
    signal.signal(signal.SIGTERM, _interrupt)
    debug = "--debug" in (arguments if arguments is not None else sys.argv)
    try:
        cli.main(args=arguments, prog_name="lutbench", standalone_mode=False)
    except LutbenchError as error:
        if debug:
            traceback.print_exc()
        _fail(str(error), error.exit_status)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        _fail("interrupted", INTERRUPTED)
    except click.UsageError as error:
        hint = f"; `{error.ctx.command_path} --help` shows what it takes" if error.ctx else ""
        _fail(error.format_message().rstrip(".") + hint, error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as `| head` does: nothing is wrong
        sys.exit(0)
    sys.exit(0)


def _fail(text: str, status: int) -> NoReturn:
    say(f"lutbench: {one_line(text)}", err=True)
    sys.exit(status)


def _interrupt(number: int, frame: FrameType | None) -> Any:
    del number, frame
    raise KeyboardInterrupt
