"""Whatever becomes an artifact: an operator, or a whole net of any kind."""

from __future__ import annotations

from lutbench.space.factory import FactoryNet
from lutbench.space.graph import Model
from lutbench.space.net import Net
from lutbench.space.operator import Operator

Subject = Operator | Net | Model | FactoryNet


def subject_name(subject: Subject) -> str:
    """The name an artifact is measured under: an operator's name or a whole net's key."""
    return subject.name if isinstance(subject, Operator) else subject.key
