"""Names that other packages keep to themselves are used in lutbench/private/ alone, or listed here with the reason.

A private name of ours is one that our code itself makes: a function, class, field or assignment anywhere in the same
file. What is left, and begins with one underscore, belongs to somebody else.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lutbench

ROOT = Path(lutbench.__file__).parent.parent
FOLDERS = ("lutbench", "device_agents", "search")
FENCED = "lutbench/private/"
DOCUMENTED = {  # that begin with an underscore all the same
    "os._exit": "https://docs.python.org/3/library/os.html#os._exit",
    "_extra_files": "https://docs.pytorch.org/docs/stable/generated/torch.jit.save.html",
}
ALLOWED = {  # (file, name) -> why
    ("lutbench/cli/signals.py", "atexit._run_exitfuncs"): "Python's own; an interrupted command is not taken apart",
    ("lutbench/reading/pickle_data.py", "pickle._Unpickler"): "Python's own, in Python: only its opcodes can be chosen",
    ("device_agents/host/native.py", "self._settings"): "the host's agent, extended by one that asks the runner",
    ("device_agents/host/native.py", "self._artifacts"): "the host's agent, extended by one that asks the runner",
    ("device_agents/host/native.py", "self._send_line"): "the host's agent, extended by one that asks the runner",
    ("device_agents/host/native.py", "self._receive_line"): "the host's agent, extended by one that asks the runner",
    ("device_agents/host/native.py", "self._first_s"): "the host's agent, extended by one that asks the runner",
    ("device_agents/android/usb.py", "self._setting"): "adb-shell's transport, extended: it has no public name for it",
}


def is_private(name: str) -> bool:
    """Whether a name or a part of a dotted one begins with one underscore."""
    return any(part.startswith("_") and not part.startswith("__") and part != "_" for part in name.split("."))


def made_here(tree: ast.AST) -> set[str]:
    """The names that a file's own code makes."""
    made: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                made.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                made.add(name)
    return made


def foreign_private(source: str) -> set[str]:
    """What a file's source uses of others' private names: attributes, imports, keywords, and names given to getattr."""
    tree = ast.parse(source)
    own = made_here(tree)
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if is_private(name) and name not in own:
                found.add(ast.unparse(node))
            case ast.Import(names=names):
                found |= {alias.name for alias in names if is_private(alias.name)}
            case ast.ImportFrom(module=module, names=names):
                imported = [f"{module}.{alias.name}" for alias in names]
                found |= {name for name in imported if is_private(name)}
            case ast.keyword(arg=str(name)) if is_private(name) and name not in own:
                found.add(name)
            case ast.Call(func=ast.Name(id="getattr" | "hasattr" | "setattr"), args=[_, ast.Constant(str(name)), *_]):
                found |= {name} if is_private(name) and name not in own else set()
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(str(name)), *_]):
                found |= {name} if called == "import_module" and is_private(name) else set()
    return found


def files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def test_private_names_of_others_stand_in_one_place() -> None:
    found = {
        (name, used)
        for path in files()
        if not (name := path.relative_to(ROOT).as_posix()).startswith(FENCED)
        for used in foreign_private(path.read_text())
        if used not in DOCUMENTED
    }
    assert found == set(ALLOWED), "put it into lutbench/private/, with the public call where it is gone"


def test_every_fenced_file_says_for_which_version_it_was_written() -> None:
    fenced = [path for path in files() if path.relative_to(ROOT).as_posix().startswith(FENCED)]
    unsaid = [path.name for path in fenced if path.stem != "__init__" and "Written for" not in path.read_text()]
    assert len(fenced) > 4 and not unsaid


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch\ntorch._C.x()", {"torch._C"}),
        ("from torch._dynamo.exc import A", {"torch._dynamo.exc.A"}),
        ("from torch import _A", {"torch._A"}),
        ("import executorch._b as b", {"executorch._b"}),
        ("getattr(session, '_sess', None)", {"_sess"}),
        ("import_module('torch._x')", {"torch._x"}),
        ("Config(_check=False)", {"_check"}),
        ("session._sess._inner.run()", {"session._sess", "session._sess._inner"}),
        ("class A:\n def _f(self): return self._f()", set()),
        ("class A:\n _x: int = 0\ndef g(a): return a._x", set()),
        ("class A:\n def __init__(self):\n  self._x = 1\n  self.__dict__", set()),
        ("from lutbench import __version__", set()),
        ("def f(_x): return g(_x=1)", set()),
    ],
)
def test_what_the_search_finds(source: str, found: set[str]) -> None:
    assert foreign_private(source) == found
