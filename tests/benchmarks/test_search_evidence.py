"""The harness of the search's evidence: it does everything once, goes on where it stopped, and comes to the same."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
from _evidence_jobs import Study
from _evidence_records import Records
from _evidence_study import LEFT
from search_evidence import Plan, run

from lutbench.lut.file import write_lut
from lutbench.search.latency import latency_model
from lutbench.search.recipe import Recipe
from lutbench.space.file import parse_space
from tests.conftest import TINY_TOML
from tests.search.made import made_lut

NETS, TRAININGS = 2, 2
METHODS = ("mixed", "random")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    space = parse_space(TINY_TOML, Path("tiny.toml")).scaled(32, 1.0)
    lut = made_lut(space)
    section = replace(lut.metadata.space, definition=TINY_TOML)
    lut = replace(lut, metadata=replace(lut.metadata, space=section))
    (tmp_path / "luts").mkdir()
    path = tmp_path / "luts" / "host.csv"
    write_lut(lut, path)
    study = Study(
        lut=path,
        data="digits",
        folder=tmp_path / "folder",
        records=Records(tmp_path / "lines.jsonl"),
        recipe=Recipe(epochs=1, batch_size=128, learning_rate=0.1, milestones=(0.5,)),
        schedule={"epochs": 1, "warmup": 0, "batch_size": 128},
        draws=2,
        rounds=1,
    )
    model = latency_model(lut, space)
    target_ms = 1.4 * model.net_us(model.fastest) / 1000
    return Plan(study, (target_ms,), METHODS, seeds=1, nets=NETS, trainings=TRAININGS, mode="mixed", finals=(1, 2))


def kinds(plan: Plan) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in plan.study.records:
        found[line["kind"]] = found.get(line["kind"], 0) + 1
    return found


@pytest.mark.slow
def test_every_job_is_done_once_and_one_that_is_lost_comes_to_the_same_again(plan: Plan) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert run(plan, 0, 1, 0) == 0
        found = plan.study.records.where(kind="found")
        different = {one["net"] for kind in ("chance", "found") for one in plan.study.records.where(kind=kind)}
        assert [(one["method"], one["seed"]) for one in found] == [(method, 1) for method in METHODS]
        assert kinds(plan) == {
            "chance": NETS,
            "training": TRAININGS * len(different),
            "found": len(METHODS),
            "score": 2 * NETS,  # as they are, and after an epoch of their own
        }
        lines = plan.study.records.path.read_text().splitlines(keepends=True)
        assert run(plan, 0, 1, 0) == 0
        assert plan.study.records.path.read_text().splitlines(keepends=True) == lines
        lost = next(line for line in lines if '"training"' in line)
        plan.study.records.path.write_text("".join(line for line in lines if line != lost))
        assert run(plan, 0, 1, 0) == 0
        again = json.loads(plan.study.records.path.read_text().splitlines()[-1])
        assert {**again, "cpu_s": 0} == {**json.loads(lost), "cpu_s": 0}
    finally:
        torch.set_num_threads(threads)


def test_time_that_runs_out_leaves_work_and_says_so(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search_evidence.train_net", lambda *_: time.sleep(30))
    assert run(plan, 0, 1, 1) == LEFT
    assert kinds(plan) == {"chance": NETS}


def test_parts_share_the_jobs_and_a_supernets_are_of_one(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[int, str]] = []
    part = 0
    monkeypatch.setattr("search_evidence.train_net", lambda _study, net, seed: done.append((part, f"{net} {seed}")))
    monkeypatch.setattr("search_evidence.search_nets", lambda _study, method, *_: done.append((part, method)))
    scored = ("score", "finals")
    monkeypatch.setattr("search_evidence.score_nets", lambda *given: done.append((part, scored[given[-1] is not None])))
    for part in range(3):
        run(plan, part, 3, 0)
    names = [name for _, name in done]
    assert len(names) == len(set(names)) == NETS * TRAININGS + len(METHODS) + len(scored)
    assert len({of for of, name in done if name in (*METHODS, *scored)}) == 1


def test_lines_and_folders_say_of_how_many_classes_the_images_are(plan: Plan) -> None:
    few = replace(plan.study, classes=3)
    assert few.images().classes == 3
    assert few.about()["data"] == "digits, 3 classes"
    assert few.supernet_folder("mixed", 5.0, 1).name == "host_digits-3-classes_mixed_weights_5ms_1"
    assert few.supernet_folder("mixed", 5.0, 1) != plan.study.supernet_folder("mixed", 5.0, 1)
