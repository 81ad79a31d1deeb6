"""What FBNet's space costs in this version and in another one, piece by piece, in turn: processor seconds and ratios.

    python benchmarks/space_cost.py --other FOLDER [--pairs 5] [--pieces space,onnx,...]

FOLDER: a checkout of the other version with an environment `.venv` of its own. Every piece runs in processes that both
versions start in turn, and prints the processor seconds that it took there and a digest of what came out. Imports do
not count. Prints a Markdown table: the medians, the median of the pairs' ratios and the smallest and largest of them,
and whether what came out is the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path
from statistics import median

from _machine import machine

_BEFORE = """
import hashlib, json, sys, time, warnings, logging, random, tempfile
from pathlib import Path
from lutbench.space.fbnet import fbnet
from lutbench.space.sampling import random_nets
def measured(space):
    return [op for op in space.operators if op.is_measured]
def clock():
    return time.process_time()
"""
_AFTER = """
print(json.dumps([took, hashlib.sha256(came.encode()).hexdigest() if came else ""]))
"""
_EXPORTS = """
import torch
from lutbench.export.exporters import find_exporter
from lutbench.export.pool import _prepare_worker
sys.modules["__main__"].out, stdout = sys.stdout, sys.stdout
import os
kept = os.dup(1)
_prepare_worker()
exporter = find_exporter(RUNTIME, "int8")
exporter.export(measured(fbnet(224, 1.0))[-2], "int8")
chosen = random.Random(0).sample(measured(fbnet(224, 1.0)), COUNT)
start = clock()
done = [exporter.export(op, "int8") for op in chosen]
took = clock() - start
os.dup2(kept, 1)
sys.stdout = stdout
came = " ".join(hashlib.sha256(one.data).hexdigest() for one in done)
"""
_PROFILE = """
import os
from lutbench.device_agents.fake import FakeAgent
from lutbench.device_agents.registry import find_device
from lutbench.events import Note
from lutbench.jobs.profile import ProfileRequest, profile
def script(name, depth, number):
    return 20_000 + 40 * (int(hashlib.sha256(name.encode()).hexdigest()[:4], 16) % 5000) + number % 7 * 40
folder = Path(tempfile.mkdtemp(prefix="lutbench-"))
os.chdir(folder)
def run(name):
    request = ProfileRequest(device=find_device("host"), output=folder / name)
    return profile(request, lambda event: None, lambda *_: FakeAgent(script))
run("first.csv")
start = clock()
for number in range(3):
    lut = run(f"lut{number}.csv")
took = clock() - start
came = " ".join(f"{row.operator} {row.latency_us:.0f}" for row in lut.rows)
"""
_STEPS = """
import torch
from lutbench.search.gates import draw
from lutbench.search.supernet import Supernet
torch.set_num_threads(1)
net = Supernet(fbnet(224, 1.0), 100, 32, seed=0, fast=True).train()
rng = torch.Generator().manual_seed(0)
images, labels = torch.randn(16, 3, 32, 32, generator=rng), torch.randint(100, (16,), generator=rng)
weights = list(net.weights())
w = torch.optim.SGD(weights, 0.01, 0.9, weight_decay=1e-4, fused=True)
losses = []
def step(mode):
    gates = draw(net.theta.detach(), net.mask, 5.0, mode, rng)
    loss = torch.nn.functional.cross_entropy(net(images, gates), labels)
    w.zero_grad(); loss.backward(); w.step()
    losses.append(f"{float(loss.detach()):.6f}")
for _ in range(2):
    step("soft"); step("hard")
start = clock()
for _ in range(STEPS):
    step(MODE)
took = clock() - start
came = " ".join(losses)
"""
_SEARCH = """
import os, subprocess
folder = Path(tempfile.mkdtemp(prefix="lutbench-"))
options = ["--data", "shapes:300@32", "--method", "mixed", "--epochs", "2", "--threads", "1", "--seed", "0"]
ranked = ["--draws", "8", "--rounds", "2", "--views", "4"]
command = [sys.executable, "-m", "lutbench", "search", "--lut", LUT_PATH, "--target-ms", "15", *options, *ranked]
import resource
before = resource.getrusage(resource.RUSAGE_CHILDREN)
done = subprocess.run([*command, "-o", str(folder / "found")], capture_output=True, text=True, cwd=folder)
assert done.returncode == 0, done.stderr
after = resource.getrusage(resource.RUSAGE_CHILDREN)
took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
came = ""
"""
# name -> what it is, and the code
PIECES = {
    "space": (
        "the space, its operators' counts and 2,000 random nets",
        """
start = clock()
for _ in range(3):
    space = fbnet(224, 1.0)
    counts = [(op.name, op.macs, op.params) for op in space.operators]
    nets = random_nets(space, 2000, 0, "cost")
    keys = [(net.key, net.macs, net.params) for net in nets]
took = clock() - start
came = repr((counts, keys))
""",
    ),
    "onnx": (
        "int8 exports of 40 operators, ONNX Runtime",
        _EXPORTS.replace("RUNTIME", '"onnx"').replace("COUNT", "40"),
    ),
    "executorch": (
        "int8 exports of 12 operators, ExecuTorch",
        _EXPORTS.replace("RUNTIME", '"executorch"').replace("COUNT", "12"),
    ),
    "torchscript": (
        "int8 exports of 20 operators, TorchScript",
        _EXPORTS.replace("RUNTIME", '"torchscript"').replace("COUNT", "20"),
    ),
    "profile": ("three profiles of a device that answers at once, artifacts from the cache", _PROFILE),
    "soft": ("8 soft steps of the supernet", _STEPS.replace("STEPS", "8").replace("MODE", '"soft"')),
    "hard": ("40 hard steps of the supernet", _STEPS.replace("STEPS", "40").replace("MODE", '"hard"')),
    "search": ("a search of two epochs on drawn shapes, 16 nets ranked", _SEARCH),
}


def run(root: Path, code: str) -> tuple[float, str]:
    """Processor seconds and the digest of what came out, of that version."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(root / ".venv/bin/python"), "-c", _BEFORE + code + _AFTER]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root)
    if done.returncode:
        raise SystemExit(f"{root}: {done.stderr.strip()}")
    took, digest = json.loads(done.stdout.splitlines()[-1])
    return float(took), str(digest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--pieces", default=",".join(PIECES), help=", ".join(PIECES))
    chosen = parser.parse_args()
    here = Path(__file__).parents[1]
    print(
        f"{machine()}\n\n| piece | other | this | ratio (smallest to largest) | same |\n|---|---|---|---|---|",
        flush=True,
    )
    for name in chosen.pieces.split(","):
        what, code = PIECES[name]
        code = code.replace("LUT_PATH", repr(str(chosen.other.resolve() / "luts/s8.csv")))
        theirs, mine = [], []
        for pair in range(chosen.pairs):
            order = [(chosen.other, theirs), (here, mine)]
            for root, found in order if pair % 2 == 0 else reversed(order):
                found.append(run(root, code))
        ratios = sorted(own[0] / other[0] for own, other in zip(mine, theirs, strict=True))
        digests = {digest for _, digest in (*theirs, *mine)}
        same = "not compared" if "" in digests else "yes" if len(digests) == 1 else "no"
        print(
            f"| {what} | {median(t for t, _ in theirs):.2f} s | {median(t for t, _ in mine):.2f} s"
            f" | {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}) | {same} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
