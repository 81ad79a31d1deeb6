"""Programs run alike by ExecuTorch's private binding and by its public one, and export alike with its checks."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import executorch.exir
import pytest
import torch

from lutbench.export.executorch_export import export_executorch
from lutbench.private import executorch_calls
from lutbench.private.executorch_calls import edge_config, load_program, partitioner, portable_library, use_threads
from lutbench.space.operator import parse_operator

NAME = "fc_32_10"
PUBLIC = SimpleNamespace()  # a library that has none of the private functions


@pytest.fixture(scope="module")
def program() -> bytes:
    return export_executorch(parse_operator(NAME), "fp32").data


def test_the_version_installed_has_what_is_reached_into() -> None:
    wanted = ("_load_program", "_load_program_from_buffer", "_unsafe_reset_threadpool", "_threadpool_get_thread_count")
    assert not [name for name in wanted if not hasattr(portable_library(), name)]
    assert "_check_if_called_from_to_backend" in dir(partitioner().__base__)
    assert edge_config([])._check_ir_validity is False


def test_a_process_that_only_runs_programs_does_not_import_the_exporter() -> None:
    """It would take each worker process longer than most of what it measures."""
    code = (
        "import sys; from lutbench.private.executorch_calls import portable_library; portable_library();"
        " print([name for name in sys.modules if name.startswith(('executorch.exir', 'torchao'))])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("as_file", [True, False])
def test_both_ways_compute_the_same(program: bytes, tmp_path: Path, as_file: bool) -> None:
    path = tmp_path / "program.pte"
    path.write_bytes(program)
    source = str(path) if as_file else program
    results = []
    for library in (portable_library(), PUBLIC):
        given = torch.zeros(1, 32)
        loaded = load_program(library, source)
        assert loaded.meta.num_inputs() == 1 and tuple(loaded.meta.input_tensor_meta(0).sizes()) == (1, 32)
        run = loaded.bind([given])
        given.copy_(torch.arange(32.0).view(1, 32))  # what the tensor holds when the program runs counts
        loaded.idle()
        run()
        (called,) = loaded.call([given])
        results.append(called.clone())
    assert torch.equal(*results) and results[0].abs().sum() > 0


def test_the_public_way_sees_what_its_input_holds_in_each_call(program: bytes) -> None:
    given = torch.zeros(1, 32)
    run: Any = load_program(PUBLIC, program).bind([given])
    (before,) = (value.clone() for value in run())
    given.fill_(1.0)
    (after,) = run()
    assert not torch.equal(before, after)


def test_a_version_that_cannot_set_its_threads_is_refused() -> None:
    with pytest.raises(RuntimeError, match="no call that sets its number of threads"):
        use_threads(PUBLIC, 1)


def test_another_number_of_threads_than_asked_for_is_refused() -> None:
    odd = SimpleNamespace(_unsafe_reset_threadpool=lambda _threads: None, _threadpool_get_thread_count=lambda: 4)
    with pytest.raises(RuntimeError, match="runs 4 threads where 1 were asked for"):
        use_threads(odd, 1)


def test_a_version_whose_checks_cannot_be_left_out_gets_settings_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Checked:
        """The settings as a version would have them that lets nobody leave the checks out."""

        preserve_ops: list[Any]

    monkeypatch.setattr(executorch.exir, "EdgeCompileConfig", Checked)
    assert edge_config([1]) == Checked([1])


@pytest.mark.parametrize("dtype", ["int8", "fp32"])
def test_exports_pass_the_checks_that_are_left_out(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version would make them: a program comes out all the same, and it computes the same."""
    monkeypatch.setattr(executorch_calls, "fields", lambda _settings: ())
    assert edge_config([])._check_ir_validity
    exported = export_executorch(parse_operator(NAME), dtype)
    assert exported.delegated_share == 1 and exported.check_error < 0.1
