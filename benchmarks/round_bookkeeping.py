"""What a profile computes between its batches: a journal's samples are given again by an agent that takes no time.

    PYTHONPATH=. python benchmarks/round_bookkeeping.py JOURNAL [--rounds 24] [--profile] [--digest]

JOURNAL is that of a LUT (FOLDER/NAME.journal/r1.jsonl of benchmarks/phone_native.py). Each artifact's visits come in
the order in which they were recorded, and from the start again, until every operator is done. Prints the seconds spent
besides giving them, per round and over the runtime's own time that the samples stand for.
--profile: what they were spent on, too. --digest: a sum over what was journalled, which no change may alter that only
makes it faster.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import json
import pstats
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from _machine import machine

from lutbench.device_agents.fake import FakeAgent
from lutbench.events import Event
from lutbench.jobs.operator_rounds import Campaign
from lutbench.jobs.tuning import choose_canaries, draw_tuning_nets
from lutbench.measure.in_net import Setting
from lutbench.measure.journal import Journal
from lutbench.measure.protocol import Batch, Outcome, Protocol, Samples, Spent
from lutbench.space.find import find_spaces


class Recorded(FakeAgent):
    """Gives the samples of a journal. given_s: how long that took."""

    def __init__(self, path: Path) -> None:
        super().__init__(lambda *_: 1)
        self.identity: dict[str, object] = {}
        self.given_s = 0.0
        self.runtime_ns = 0
        self._visits: dict[tuple[str, int], list[Samples]] = defaultdict(list)
        self._given: dict[tuple[str, int], int] = defaultdict(int)
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if "identity" in record:
                self.identity = record["identity"]
            elif "operator" in record:
                found = Samples(record["operator"], record["depth"], record["canary"],
                                tuple(record["ns"]), tuple(record["canary_ns"]))  # fmt: skip
                self._visits[found.artifact, found.depth].append(found)

    def measure(self, batch: Batch) -> Iterator[Outcome]:
        started = time.perf_counter()
        spent_ns = 0
        outcomes: list[Outcome] = []
        for cycle in batch.cycles:
            for name in cycle.artifacts:
                key = name, cycle.depth
                visits = self._visits.get(key) or self._visits[name, 0]
                if not visits:
                    raise SystemExit(f"the journal has no samples of {name}: this version draws other nets")
                found = visits[self._given[key] % len(visits)]
                self._given[key] += 1
                outcomes.append(Samples(name, cycle.depth, found.canary, found.durations_ns, found.canary_ns))
                spent_ns += sum(found.durations_ns) * (cycle.repeats + cycle.warmup) // len(found.durations_ns)
        self.runtime_ns += spent_ns
        self.given_s += time.perf_counter() - started
        yield from outcomes
        yield Spent(spent_ns)


def ignore(_event: Event) -> None:
    """Nobody reads what a profile says of its rounds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("journal", type=Path)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--digest", action="store_true")
    arguments = parser.parse_args()
    agent = Recorded(arguments.journal)
    about = agent.identity
    spaces, _ = find_spaces(about["space"], about["resolutions"], about["widths"])  # type: ignore[arg-type]
    protocol = Protocol(min_rounds=arguments.rounds, max_rounds=4 * arguments.rounds)
    setting = Setting(threads=int(str(about["threads"])), dtype=str(about["dtype"]))
    nets = draw_tuning_nets(spaces, 0, dtype=setting.dtype)
    canaries = choose_canaries(spaces, protocol)
    with tempfile.TemporaryDirectory(prefix="lutbench-") as folder:
        path = Path(folder) / "r1.jsonl"
        with Journal(path, {}, canaries.all) as journal:
            campaign = Campaign(spaces, nets, canaries, journal, agent, protocol, 0, ignore, setting)
            profiler = cProfile.Profile()
            started, own_s = time.perf_counter(), time.process_time()
            if arguments.profile:
                profiler.runcall(campaign.run)
            else:
                campaign.run()
            wall_s = time.perf_counter() - started - agent.given_s
            own_s = time.process_time() - own_s - agent.given_s
            rounds = journal.measurements.rounds_ended
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{machine()}\n")
    print(
        f"{rounds} rounds: {wall_s:.2f} s besides the samples, {1000 * wall_s / rounds:.1f} ms a round"
        f" (processor {own_s:.2f} s); {wall_s / (agent.runtime_ns / 1e9):.1%} of the {agent.runtime_ns / 1e9:.1f} s"
        " in the runtime"
    )
    if arguments.digest:
        print(digest)
    if arguments.profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
