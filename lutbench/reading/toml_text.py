"""TOML with limits: depth, digits, parts of a key (the parser's time grows with their square), no dates."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from lutbench.reading.kinds import Kind
from lutbench.reading.plain import DEEPEST, NotPlainError, check_plain

# the words that dots join into a key; nothing backtracks, so that time is linear
_KEY = re.compile(
    r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')(?:[ \t]*+\.[ \t]*+(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+'))*+"""
)
_QUOTED = re.compile(r""""[^"\n]*+"|'[^'\n]*+'""")
_LINE = re.compile(r"at line (\d+)")


def parse_toml(text: str, path: Path, kind: Kind, finite: bool = True) -> dict[str, Any]:
    """The table that a TOML text holds; the kind's error, with the line, where it is none or not plain.

    finite: whether inf and nan are refused.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > DEEPEST and any(_parts(key[0]) > DEEPEST for key in _KEY.finditer(line)):
            raise kind.error(f"not plain: a key has more than {DEEPEST} parts", path=path, line=number)
    try:
        found = tomllib.loads(text)
        check_plain(found, finite)
    except NotPlainError as error:
        raise kind.error(f"not plain: {error}", path=path) from None
    except tomllib.TOMLDecodeError as error:
        where = _LINE.search(str(error))
        line_number = int(where[1]) if where else text.count("\n") + 1
        raise kind.error(f"not TOML: {error}", path=path, line=line_number) from None
    except RecursionError:
        raise kind.error("not plain: it is nested too deeply", path=path) from None
    except ValueError:  # what Python's own conversions refuse: digits by the thousand, a month 13
        raise kind.error("not TOML: a number or date that cannot be", path=path) from None
    return found


def _parts(key: str) -> int:
    return _QUOTED.sub("", key).count(".") + 1
