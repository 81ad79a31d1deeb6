"""Scores of the nets that a search ranks, kept net by net, so that a ranking that was stopped goes on.

On photographs a net's score takes minutes, and a search ranks dozens of nets.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from lutbench.files import cannot_write, write_atomically
from lutbench.measure.journal_lines import opened, sealed, seed_of, whole_lines
from lutbench.search.train import Score

SCORES = "ranking.jsonl"  # in a search's folder
VERSION = 1


class Scores:
    """The file of a ranking's scores: a line that says which ranking it is of, then a line per net.

    identity: plain values that a score depends on beside the net: the supernet's weights, images, views. A file of
    another ranking is begun anew; a line that is damaged or cut short is as if it were not there.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self._path, self._identity, self._seed = path, identity, seed_of(identity)
        self._scores: dict[str, Score] = {}
        lines = list(whole_lines(path)) if path.exists() else []
        header, _ = opened(lines[0][0], 0) if lines else (None, False)
        if header is None or header.get("identity") != identity:
            write_atomically(path, sealed({"lutbench_ranking": VERSION, "identity": identity}, 0))
            return
        for line, _ in lines[1:]:
            self._take(line)
        if path.stat().st_size > lines[-1][1]:  # a line was cut short: the next one must not go on with it
            self._append(b"\n")

    def __len__(self) -> int:
        return len(self._scores)

    def get(self, candidates: str) -> Score | None:
        """The score of the net of these candidates (`Net.candidates_text`); None where it has none yet."""
        return self._scores.get(candidates)

    def keep(self, candidates: str, score: Score) -> None:
        """OutputError where the file cannot be written."""
        self._scores[candidates] = score
        record = {"net": candidates, "loss": score.loss, "accuracy": score.accuracy, "images": score.images}
        self._append(sealed(record, self._seed))

    def _take(self, line: bytes) -> None:
        record, has_seal = opened(line, self._seed)
        if record is None or not has_seal:
            return
        with contextlib.suppress(KeyError, TypeError, ValueError):  # of a file that somebody made
            score = Score(float(record["loss"]), float(record["accuracy"]), int(record["images"]))
            self._scores[str(record["net"])] = score

    def _append(self, line: bytes) -> None:
        try:
            with self._path.open("ab") as file:
                file.write(line)
        except OSError as error:
            raise cannot_write(error, self._path, "cannot write") from error
