"""Calls the function behind a `module:factory` net. Whatever it raises becomes one line: it is the user's code.

That includes what is no Exception: this runs in an export worker, whose end nobody asks for by raising in it.
"""

from __future__ import annotations

import difflib
import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lutbench.errors import UsageError, told
from lutbench.space.factory import FactoryNet

if TYPE_CHECKING:
    from torch import nn

# packages that keep their factories in a module of their own: `timm:resnet18` is short for `timm.models:resnet18`
_FACTORIES = {"timm": "timm.models", "torchvision": "torchvision.models"}


def build_factory_net(net: FactoryNet) -> nn.Module:
    """The module that the factory makes, in eval mode, checked to give one tensor for net.input_shape.

    Random weights are seeded by the net's name; weights that the factory loads stay as they are. UsageError for a
    module that cannot be imported, a name it does not have, and a factory that raises or makes something else.
    """
    module = _made(load_factory(net), net)
    _check_output(module, net)
    return module


def load_factory(net: FactoryNet) -> Any:
    """What the name stands for; UsageError where it is not there."""
    return _attribute(_imported(net), net)


def _imported(net: FactoryNet) -> ModuleType:
    name = _FACTORIES.get(net.module, net.module)
    package = name.split(".")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = (error.name or name).split(".")[0]
        remedy = f"pip install {missing}"
        if missing == package and package not in _FACTORIES:
            remedy += ", or name the folder it is in: PYTHONPATH=FOLDER lutbench ..."
        raise UsageError(f"{net.spec}: no module is called {error.name or name}", remedy=remedy) from error
    except BaseException as error:
        raise UsageError(f"{net.spec}: importing {name} failed: {told(error)}") from error


def _attribute(module: ModuleType, net: FactoryNet) -> Any:
    if hasattr(module, net.factory):
        return getattr(module, net.factory)
    names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    near = difflib.get_close_matches(net.factory, names, n=3, cutoff=0.5)
    remedy = f"did you mean {' or '.join(near)}?" if near else ""
    raise UsageError(f"{net.spec}: {module.__name__} has no {net.factory}", remedy=remedy)


def _made(factory: Any, net: FactoryNet) -> nn.Module:
    import torch

    from lutbench.nn.parts import seed_of

    if isinstance(factory, torch.nn.Module) or not callable(factory):
        raise UsageError(
            f"{net.spec} is {_kind(factory)}, not a function", remedy="name a function without arguments that makes it"
        )
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(net.name))
            module = factory()
    except BaseException as error:
        raise UsageError(f"{net.spec}() failed: {told(error)}") from error
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"{net.spec}() gave {_kind(module)}, not a torch.nn.Module")
    return module.eval()


def _check_output(module: nn.Module, net: FactoryNet) -> None:
    import torch

    try:
        with torch.no_grad():
            output = module(torch.zeros(net.input_shape))
    except BaseException as error:
        raise UsageError(
            f"{net.spec}: its net fails on an input of {net.input_shape}: {told(error)}",
            remedy=f"{net.spec}@RESOLUTION gives it another",
        ) from error
    if not isinstance(output, torch.Tensor):
        raise UsageError(f"{net.spec}: its net gave {_kind(output)}, not one tensor")


def _kind(value: object) -> str:
    return f"a value of type {type(value).__name__}"
