"""`lutbench`: the group of commands, errors as one line, exit statuses.

Exit status: 0 done, 1 a check failed, 2 wrong use, 3 the device or its connection, 4 the input file;
130 Ctrl-C, 143 SIGTERM, 129 SIGHUP; 141 nobody read the output to its end, and all else was well.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import click

from lutbench import __version__
from lutbench.cli.out import say
from lutbench.cli.signals import handle_signals, interrupted_status, is_interrupted, leave_at_once
from lutbench.errors import InterruptedRunError, LutbenchError, UsageError
from lutbench.shown import one_line
from lutbench.streams import guard_streams, status_of_output

# name -> (module:command, its line in the help); modules load when their command runs, so that --help is quick
COMMANDS = {
    "demo": ("lutbench.cli.demo:command", "Try everything in a few minutes, from nothing to a page."),
    "profile": ("lutbench.cli.profile:command", "Time every operator of a space on a device; write the LUT."),
    "show": ("lutbench.cli.show:command", "Show what a LUT is of, how far it can be trusted, its slowest operators."),
    "predict": (
        "lutbench.cli.predict:command",
        "Add up a LUT's rows: how long nets take that nobody has run.",
    ),
    "search": ("lutbench.cli.search:command", "Find nets for the devices of LUTs by differentiable search."),
    "derive": ("lutbench.cli.derive:command", "Find nets for other devices and budgets in a finished search."),
    "train": ("lutbench.cli.train:command", "Train a net from scratch, by the paper's recipe."),
    "export": ("lutbench.cli.export:command", "Write a trained net as ONNX, ExecuTorch or TorchScript files."),
    "diff": ("lutbench.cli.diff:command", "Compare two LUTs: what is slower, and whether that is certain."),
    "merge": ("lutbench.cli.merge:command", "Put several LUTs of one device together into one."),
    "bench": ("lutbench.cli.bench:command", "Time whole nets and ONNX files on a device."),
    "verify": ("lutbench.cli.verify:command", "Time random whole nets: how far are the LUT's predictions off?"),
    "report": ("lutbench.cli.report:command", "Write a page and charts about one LUT, or two side by side."),
    "estimate": (
        "lutbench.cli.estimate:command",
        "Make a LUT where only whole nets were timed.",
    ),
    "import": ("lutbench.cli.import_:command", "Make a LUT of a latency table that others published."),
    "nets": ("lutbench.cli.nets:command", "List the published nets and their sizes, or one net's layers."),
    "space": ("lutbench.cli.space:command", "Show a search space: layers, candidates, what there is to measure."),
    "runner": ("lutbench.cli.runner:command", "Build the program that measures on phones."),
    "devices": ("lutbench.cli.devices:command", "List the devices that lutbench knows, and check or clean a phone."),
}
_REFUSALS = {
    errno.EMFILE: "this process may open too few files: `ulimit -n 256` allows more",
    errno.ENFILE: "the whole system has no more open files to give: end something else",
    errno.EAGAIN: "no more processes are allowed: end some, or raise `ulimit -u`",
    errno.ENOMEM: "there is not enough memory: end something else",
    errno.ENOSPC: "free some space and run the same command again",
    errno.EROFS: "run it where files can be written",
}


# the groups of --help
GROUPS = {
    "Begin": ("demo",),
    "Measure a device": ("profile", "verify", "bench"),
    "Look at latencies": ("show", "predict", "diff", "report", "nets", "space"),
    "Find and make nets": ("search", "derive", "train", "export"),
    "LUTs from other sources": ("estimate", "import", "merge"),
    "Devices": ("devices", "runner"),
}
FIRST_SCREEN = """\
lutbench {version}: how fast a network's operators are on your device, and nets
made for it.

  lutbench demo                     try everything in a few minutes
  lutbench profile --device host    time every operator, write luts/host.csv
  lutbench verify --lut host        judge the table by whole nets
  lutbench bench mobilenet_v2       time whole nets; ONNX files, too
  lutbench search --lut host        find nets that are accurate, and fast here
  lutbench devices                  phones, and what each needs

`lutbench --help` lists all commands; `lutbench profile --help` explains one."""


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
        longest = max(map(len, COMMANDS))  # the groups' columns stand under one another
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:{longest}}", COMMANDS[name][1]) for name in names])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=2, cutoff=0.5)
            question = f": did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(f"there is no command {one_line(args[0])!r}{question}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lutbench")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Latency lookup tables of a network's operators, measured on your own device."""
    ctx.ensure_object(dict)["debug"] = debug
    if ctx.invoked_subcommand is None:
        say(FIRST_SCREEN.format(version=__version__))


def main(arguments: list[str] | None = None) -> NoReturn:
    """The console script: runs a command and exits with the status of what happened."""
    guard_streams()
    handle_signals()
    debug = "--debug" in (arguments if arguments is not None else sys.argv)
    status = _status_of(lambda: run_command(arguments), debug)
    of_output = _status_of(status_of_output, debug)  # said even where another status is given
    if is_interrupted():
        leave_at_once(status or of_output)
    sys.exit(status or of_output)


def run_command(arguments: list[str] | None) -> int:
    """Runs one command; raises what goes wrong."""
    cli.main(args=arguments, prog_name="lutbench", standalone_mode=False)
    return 0


def _status_of(action: Callable[[], int], debug: bool) -> int:
    """The exit status of what happened, an error having been said in one line."""
    try:
        return action()
    except InterruptedRunError as error:
        return _said(str(error), interrupted_status(), debug)
    except LutbenchError as error:
        return _said(str(error), error.exit_status, debug)
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _said("interrupted", interrupted_status(), debug)
    except click.UsageError as error:
        hint = f"; `{error.ctx.command_path} --help` shows what it takes" if error.ctx else ""
        return _said(error.format_message().rstrip(".") + hint, error.exit_code, debug)
    except click.ClickException as error:
        return _said(error.format_message(), error.exit_code, debug)
    except Exception as error:
        if is_interrupted():  # a library that a signal cut short, as it was imported, tells that as an error of its own
            return _said("interrupted", interrupted_status(), debug)
        if not isinstance(error, OSError) or error.errno not in _REFUSALS:
            raise
        # what the system refuses where no file is to blame: too few descriptors, processes
        where = f"{error.filename}: " if error.filename else ""
        return _said(f"{where}{error.strerror}; {_REFUSALS[error.errno]}", UsageError.exit_status, debug)


def _said(text: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    say(f"lutbench: {one_line(text)}", err=True)
    return status
