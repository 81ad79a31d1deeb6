"""Runs another program that ends with its caller: `python -m lutbench.tied DESCRIPTOR PROGRAM ...`.

A compiler or pip cannot be taught to look after its parent. DESCRIPTOR is the reading end of a pipe that only the
caller holds open; where it closes, the program and whatever it started are killed (`lutbench.children.run_tied`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    descriptor, *words = sys.argv[1:]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)

    def end() -> None:
        os.read(int(descriptor), 1)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    threading.Thread(target=end, daemon=True).start()
    status = process.wait()
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
