"""Before tests that may start no process: the library of USB, where it is not installed, is looked for by one."""

from __future__ import annotations

import adb_shell.adb_device  # noqa: F401  # the first import of it looks
