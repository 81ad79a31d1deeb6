"""The system calls that Android's filter for apps lets through, and those that the runner makes beyond them."""

from __future__ import annotations

from pathlib import Path

# Made by the C library before the runner's first line, and in each new thread while all signals are blocked.
BEFORE_THE_FIRST_LINE = {"set_robust_list", "rseq"}


def app_calls(machine: str) -> set[str]:
    """The names that bionic_app_calls.txt has for aarch64 or x86_64."""
    lines = Path(__file__).with_name("bionic_app_calls.txt").read_text().splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return {name for name, *only in words if not only or machine in only}
