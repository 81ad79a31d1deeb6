"""What a case of the soak left behind: every journal, LUT, checkpoint and file is read."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lutbench.errors import LutbenchError
from lutbench.lut.file import read_lut
from lutbench.measure.journal_lines import opened, seed_of, whole_lines


def journals(folder: Path) -> list[bytes]:
    """The whole lines of each."""
    return [
        data[: data.rfind(b"\n") + 1]
        for path in folder.rglob("*.jsonl")
        if (data := path.read_bytes())
        if is_journal(path)
    ]


def is_journal(path: Path) -> bool:
    return path.name not in ("metrics.jsonl", "ranking.jsonl")


def wrong_journals(folder: Path, before: list[bytes]) -> list[str]:
    """Lost: what stood there before the second run does so no more. Twice: two visits of one operator in one round."""
    after = journals(folder)
    problems = [
        f"a journal lost {len(data)} bytes" for data in before if not any(new.startswith(data) for new in after)
    ]
    for path in filter(is_journal, folder.rglob("*.jsonl")):
        lines = [line for line, _ in whole_lines(path)]
        header, _ = opened(lines[0], 0) if lines else (None, False)
        if header is None:
            problems.append(f"{path.name} has no header")
            continue
        records = [opened(line, seed_of(header["identity"]))[0] for line in lines[1:]]
        problems += [f"{path.name} has a damaged line"] * (None in records)
        visits = Counter((r["operator"], r["depth"], r["round"]) for r in records if r and "operator" in r)
        problems += [f"{path.name}: {key} is there {n} times" for key, n in visits.items() if n > 1][:1]
    return problems


def wrong_files(folder: Path) -> list[str]:
    problems = []
    for kind, (pattern, check) in CHECKS.items():
        for path in folder.rglob(pattern):
            try:
                problems += [f"{path.name}: {problem}" for problem in check(path)]
            except (LutbenchError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
                problems.append(f"{path.name} is no whole {kind}: {error}")
    return problems


def check_lut(path: Path) -> list[str]:
    if path.name == "bench.csv":
        return [] if len(path.read_text().splitlines()) == 2 else ["has no row"]
    failed = (
        [row.status for row in read_lut(path).rows if not row.is_ok] if not path.name.startswith("verify-r") else []
    )
    return [f"{len(failed)} rows failed, {failed[0]}"] if failed else []


def check_archive(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return [f"{archive.testzip()} is damaged"] if archive.testzip() else []


def check_metrics(path: Path) -> list[str]:
    epochs = [json.loads(line)["epoch"] for line in path.read_text().splitlines()]
    return [] if epochs == list(range(1, len(epochs) + 1)) else [f"has epochs {epochs}"]


def check_ranking(path: Path) -> list[str]:
    """A line that was cut short is passed over when the ranking goes on; a net is scored once."""
    lines = [line for line, _ in whole_lines(path)]
    header, _ = opened(lines[0], 0) if lines else (None, False)
    if header is None:
        return ["has no header"]
    records = [opened(line, seed_of(header["identity"]))[0] for line in lines[1:]]
    nets = Counter(record["net"] for record in records if record)
    problems = [f"{records.count(None)} damaged lines"] * (records.count(None) > 1)
    return problems + [f"{net} is there {n} times" for net, n in nets.items() if n > 1]


def check_exported(path: Path) -> list[str]:
    files = json.loads(path.read_text())["files"]
    hashes = [hashlib.sha256((path.parent / file["file"]).read_bytes()).hexdigest() for file in files]
    return [] if hashes == [file["sha256"] for file in files] else ["its files are others"]


def check_json(path: Path) -> list[str]:
    json.loads(path.read_text())
    return []


Check = Callable[[Path], list[str]]
CHECKS: dict[str, tuple[str, Check]] = {
    "LUT": ("*.csv", check_lut),
    "checkpoint": ("*.pt", check_archive),
    "log of epochs": ("metrics.jsonl", check_metrics),
    "ranking": ("ranking.jsonl", check_ranking),
    "export": ("export.json", check_exported),
    "net": ("net*.json", check_json),
}
