"""Addresses of devices on the network, as people write them."""

from __future__ import annotations

import re

from lutbench.errors import UsageError


def split_address(text: str, usual_port: int) -> tuple[str, int]:
    """HOST or HOST:PORT or [IPV6]:PORT; UsageError for anything else."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?", text)
    port = int(found[3] or usual_port) if found else 0
    if not found or not 0 < port < 1 << 16:
        raise UsageError(f"{text!r} is not an address such as 192.168.1.20:{usual_port}")
    return found[1] or found[2], port
