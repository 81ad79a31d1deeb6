"""A finished search, opened again: its supernet scores nets for any device and budget, without further training."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lutbench.errors import CheckpointError
from lutbench.files import file_sha256
from lutbench.reading.plain import changes
from lutbench.search.checkpoint import CHECKPOINT, load_run, restoring
from lutbench.search.data.source import DataSource
from lutbench.search.dnas import SHARED, make_supernet, space_identity
from lutbench.search.epochs import images_identity
from lutbench.search.masked import MaskedSupernet
from lutbench.search.supernet import Supernet
from lutbench.space.macro import Space

_SPACE = re.compile(r"(?P<name>.+)@(?P<resolution>\d{1,5})x(?P<width>\d{1,2}(?:\.\d{1,15})?), .+", re.ASCII | re.DOTALL)
_FIELDS = {"space": str, "data": str, "weights": str, "resolution": int, "classes": int, "data_seed": int}
_FIELDS |= {"epochs": int, "batch_size": int}


@dataclass(frozen=True)
class FinishedSearch:
    """What a search's checkpoint says of itself, and the supernet's weights.

    resolution, classes, data, data_seed: of the images it was trained on.
    batch_size: of its steps, which the statistics of batch norms are taken with.
    net_resolution, width: of the nets that were searched; the supernet's channels follow from the width.
    """

    path: Path
    space: str
    data: str
    resolution: int
    classes: int
    data_seed: int
    batch_size: int
    net_resolution: int
    width: float
    is_shared: bool
    identity: dict[str, Any] = field(repr=False)
    state: dict[str, Any] = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        """The checkpoint's hash. Its file is as large as a supernet: it is read once."""
        return file_sha256(self.path)

    def check_space(self, space: Space) -> None:
        """CheckpointError where the supernet is of another space; the nets' resolution may be another."""
        own = space_identity(space if space.resolutions else replace(space, resolution=self.net_resolution))
        if own != self.space:
            raise CheckpointError(
                f"its supernet is of space {self.space}, and the LUT of {space_identity(space)}",
                path=self.path,
                remedy="give a LUT of its space, or search with this one",
            )

    def check_images(self, data: DataSource) -> None:
        """CheckpointError where the images are not those that the supernet was trained on."""
        now = {key: value for key, value in images_identity(data).items() if key != "data"}
        if differing := changes({key: self.identity.get(key) for key in now}, now):
            raise CheckpointError(
                f"its supernet was trained on other images: {differing}",
                path=self.path,
                remedy="give the same --data, or search anew",
            )

    def supernet(self, space: Space, device: str) -> Supernet | MaskedSupernet:
        """The supernet with its weights; CheckpointError where they are of another."""
        found = make_supernet(space, self.classes, self.resolution, 0, self.is_shared)
        with restoring(self.path):
            found.load_state_dict(self.state["net"])
        return found.to(device).eval()


def read_search(folder: Path) -> FinishedSearch:
    """The finished search in a folder; CheckpointError where there is none, or it has not come to its end."""
    path = folder / CHECKPOINT
    identity, state = load_run(path, "`lutbench search` makes one", "`lutbench search --fresh` makes another")
    fits = all(type(identity.get(name)) is kind for name, kind in _FIELDS.items())
    label = _SPACE.fullmatch(identity["space"]) if fits else None
    if identity.get("job") != "search" or label is None:
        raise CheckpointError("is no checkpoint of a search", path=path, remedy="`lutbench search` writes them")
    with restoring(path):
        done = len(state["history"])
    if done < identity["epochs"]:
        raise CheckpointError(
            f"the search has come to {done} of {identity['epochs']} epochs",
            path=path,
            remedy="start its command again: it goes on to its end",
        )
    names = ("space", "data", "resolution", "classes", "data_seed", "batch_size")
    return FinishedSearch(
        path=path,
        net_resolution=int(label["resolution"]),
        width=float(label["width"]),
        is_shared=identity["weights"] == SHARED,
        identity=identity,
        state=state,
        **{name: identity[name] for name in names},
    )
