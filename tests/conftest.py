"""Fixtures: a cache of its own, a tiny space, and a device whose nets are exactly as slow as a rule says."""

from __future__ import annotations

import itertools
import multiprocessing.process
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.fake import FakeAgent
from lutbench.device_agents.registry import Device
from lutbench.space.find import find_spaces
from lutbench.space.macro import Space
from lutbench.space.net import net_of_key
from lutbench.space.operator import OVERHEAD, parse_operator

TINY_TOML = """\
name = "tiny"
resolution = 32
classes = 10
candidates = ["k3_e1", "k3_e2_g2", "k5_e2", "skip"]

[stem]
channels = 8

[[stage]]
channels = 8
layers = 2

[[stage]]
channels = 16
layers = 2
stride = 2

[head]
channels = 32
"""


# files and folders of tests that export, train or start processes throughout: `make test-quick` leaves them out,
# beside single tests that are marked slow
SLOW = (
    *("cli/", "export/", "jobs/", "models/", "phone/", "search/", "nn/"),
    *("report/test_browser", "report/test_charts", "report/test_page", "lut/test_estimate"),
    *("device_agents/runner/test_build", "device_agents/runner/test_runner", "device_agents/runner/test_calls"),
    *("device_agents/runner/test_server", "device_agents/runner/test_native_host"),
    *("device_agents/test_host_agent", "device_agents/test_runtimes"),
    *(f"device_agents/android/test_{name}" for name in ("awake", "check", "commands", "cores", "install", "lock")),
    *(f"device_agents/android/test_{name}" for name in ("process", "shell", "watch")),
    *("lut/test_cost_fit", "test_children", "test_fuzz", "test_locks"),
    *("lut/test_file.py::test_a_full_disk", "measure/test_journal.py::test_a_full_disk"),
    "reading/test_files.py::test_a_pipe",
    # these start nothing, and compute for seconds
    *("lut/test_fill", "lut/test_large", "report/test_imported", "test_hostile"),
    *(f"lut/test_diff.py::test_{name}" for name in ("b_to_a_is", "significant_only", "what_the", "worst_over")),
    *("lut/test_predict.py::test_95_percent_intervals", "lut/test_latencies.py::test_a_changed_character"),
    *("lut/importers/test_build.py::test_any_latencies", "lut/importers/test_readers.py::test_a_damaged_file"),
    *(f"private/test_{name}_calls" for name in ("executorch", "torch", "datasets", "onnxruntime")),
    "device_agents/test_engines",
    "device_agents/ios/test_agent",
    "device_agents/ios/test_fuzz",
    "device_agents/ios/test_usbmux.py::test_debians",
    "device_agents/ios/test_usbmux.py::test_the_real",
)
QUICK = (  # files of those folders that compute little
    *("cli/test_help", "cli/test_render", "jobs/test_paper_tables"),
    *("search/test_budget", "search/test_latency", "search/test_recipe", "search/test_schedule"),
)
# tests that take longest, 7 s to a minute each; the plain suite has shorter ones of the same kind. CI runs them:
# LUTBENCH_LONG=1 make test
LONG = (
    "cli/test_report.py::test_a_page_and_charts",
    "jobs/test_batch.py::test_the_luts_file_says_so",
    "report/test_page.py::test_columns_of_samples",
    "jobs/test_batch.py::test_bench_times_batches",
    "jobs/test_check.py::test_devices_check_of_a_phone_that_is_not_there",
    "report/test_page.py::test_two_luts",
    "benchmarks/test_masked_rivals.py::test_scaled_nets",
    "jobs/test_batch.py::test_an_artifact_takes_the_whole_batch_and_computes_what_torch_computes[pool_16x4x4-e",
    "jobs/test_batch.py::test_this_machine_runs_batches_on_every_runtime[torchscript",
    "lut/test_predict.py::test_95_percent_intervals_of_nets_hold_95_percent_of_unseen_nets[0.004",
    "report/test_page.py::test_text_of_a_lut",
    "search/test_dnas.py::test_it_learns_and_writes_a_line_per_epoch[mixed",
    "search/test_grid_costs.py::test_one_hot_gates_cost_what_the_derived_net_is_counted_at[fbnetv2",
    "search/test_masked_search.py::test_it_learns_and_the_budget_is_approached[elastic",
    "cli/test_estimate.py::test_both_phones",
    "device_agents/test_runtimes.py::test_threads_are_set_before_the_runtime_starts[torchscript",
    "export/test_cache.py::test_two_writers",
    "jobs/test_batch.py::test_an_artifact_takes_the_whole_batch_and_computes_what_torch_computes[stem_k3_3x16x16_8_s2-e",
    "jobs/test_batch.py::test_an_artifact_takes_the_whole_batch_and_computes_what_torch_computes[ir_k3_e2_g2_8x8x8_8_s1-e",
    "lut/test_estimate.py::test_a_nets_prediction_is",
    "search/test_dnas.py::test_a_budget_is_met_in_one_run",
    "search/test_dnas.py::test_it_learns_and_writes_a_line_per_epoch[soft",
    "benchmarks/test_evidence_records.py::test_noise_that_hides",
    "benchmarks/test_search_evidence.py::test_every_job_is_done_once",
    *(f"cli/test_streams.py::test_measuring_goes_on_without_its_progress[{way}" for way in ("2>&1 |", "2>/dev/full")),
    "cli/test_estimate.py::test_every_reader_says",
    "device_agents/test_runtimes.py::test_a_torchscript_file_of_somebody_else",
    "device_agents/android/test_watch.py::test_every_wait_ends",
    "export/test_onnx_counts.py::test_a_whole_net_in_int8",
    "jobs/test_search_again.py::test_a_search_is_the_same_bit_for_bit",
    *(f"jobs/test_search.py::test_{name}" for name in ("channels_and_resolution", "a_search_without_a_lut")),
    "lut/test_estimate.py::test_table_5_has_its_signs",
    *(f"report/test_page.py::test_{name}" for name in ("a_lut_with_hardly", "several_variants", "luts_of_different")),
    "search/test_dnas.py::test_it_learns_and_writes_a_line_per_epoch[elastic",
    "search/test_grid_costs.py::test_fbnetv2_has_nets",
    "test_installed.py::test_every_command_loads",
    "jobs/test_profile_runtimes.py::test_a_lut_of_every_operator_that_verifies",
    *(f"cli/test_bench_of_anybody.py::test_a_{name}" for name in ("program_of_several", "net_that_somebody_wrote")),
    *(f"cli/test_bench.py::test_{name}" for name in ("a_net_that_code_makes", "nets_and_files_beside_a_lut")),
    *("cli/test_decoders", "cli/test_derive", "cli/test_full_disk", "cli/test_bench.py::test_a_run_that_is_cut_off"),
    *(f"cli/test_main.py::test_{name}" for name in ("verify_writes_its_summary", "kill_9_and_run_again[300")),
    *(f"cli/test_report.py::test_{name}" for name in ("diff_writes_the_same_page", "charts_alone")),
    "cli/test_streams.py::test_what_bench_measured_is_kept",
    "cli/test_search.py::test_modes_and_weights_of_the_paper",
    *(f"cli/test_train.py::test_{name}" for name in ("two_processes_say_it_once", "an_error_of_two_processes")),
    *(f"device_agents/test_runtimes.py::test_{name}" for name in ("a_file_that_kills", "files_that_cannot_run")),
    "device_agents/test_runtimes.py::test_operators_are_timed_and_an_empty_program_is_the_fastest[torchscript",
    "device_agents/test_runtimes.py::test_threads_are_set_before_the_runtime_starts[executorch",
    "device_agents/android/test_watch.py::test_a_phone_that_stays_hot",
    "device_agents/runner/test_calls.py::test_the_runner_makes_no_other_calls",
    "export/test_coreml_export.py::test_every_kind_computes",
    "device_agents/runner/test_server.py::test_slow_and_idle_clients",
    "export/test_executorch_export.py::test_the_remedies_for_speed_do_not_change_what_runs",
    "export/test_onnx_export.py::test_the_same_operator_gives_the_same_bytes_in_any_process",
    "export/test_onnx_export.py::test_a_published_model_runs_in_int8_from_end_to_end[mna",
    "export/test_onnx_export.py::test_a_published_model_runs_in_int8_from_end_to_end[shuf",
    "export/test_onnx_export.py::test_the_smallest_published_net_of_each_newer_family",
    "export/test_torchscript_export.py::test_bytes_do_not_depend_on_where",
    "jobs/test_batch.py::test_a_journal_of_one_batch",
    "jobs/test_bench.py::test_a_lut_predicts_the_nets_it_covers",
    *(f"jobs/test_profile.py::test_{name}" for name in ("another_definition", "several_variants")),
    "jobs/test_search.py::test_every_variant_of_the_luts",
    "jobs/test_batch.py::test_profile_and_verify_on_this_machine",
    "jobs/test_batch.py::test_this_machine_runs_batches_on_every_runtime[executorch",
    "jobs/test_export.py::test_every_runtime_classifies_as_torch_does",
    "jobs/test_quiet.py::test_profile_waits_before_it_measures",
    "jobs/test_verify.py::test_every_net_is_kept_for_pictures",
    "jobs/test_verify.py::test_nets_that_the_lut_was_tuned_on",
    *(f"lut/test_cost_fit.py::test_intervals_of_operators_hold_the_truth[{nets}" for nets in (100, 400)),
    *(f"lut/test_cost_fit.py::test_{name}" for name in ("with_many_nets_every", "costs_are_positive")),
    "lut/test_estimate.py::test_the_s8_nets_are_met",
    *(f"report/test_page.py::test_{name}" for name in ("whatever_a_header_holds", "the_same_luts_give_the_same_bytes")),
    *(f"report/test_page.py::test_{name}" for name in ("what_is_not_measured", "rows_without_an_interval")),
    "report/test_charts.py::test_every_chart_becomes_a_file",
    "search/data/test_glyphs.py::test_a_letter_stands_off",
    *(f"search/test_dnas.py::test_{name}" for name in ("a_killed_search", "compiled_passes", "a_strong_pull")),
    "search/test_masked_search.py::test_it_learns_and_the_budget_is_approached[soft",
    *("search/test_chance.py::test_each_comes_as_often", "search/test_train.py::test_a_killed_training"),
    "search/test_finders.py::test_evolution_finds_better",
    *(f"search/test_hardware.py::test_{name}" for name in ("a_search_s", "a_training_step", "processes_end")),
    "test_docs_run.py::test_the_page_runs[docs/tutorials/first-lut",
    *(f"test_docs_run.py::test_the_page_runs[docs/{page}" for page in ("how-to/diff", "reference/py")),
    "test_installed.py::test_worker_processes_start_where_files_bear_our_names",
    "test_interface.py::test_examples_that_measure",
)  # fmt: skip
TESTS = Path(__file__).parent
_TESTS_RUN = itertools.count()

# No test fails for being slow: machines are shared. Where a test does not name the number of its examples itself,
# CI (LUTBENCH_LONG=1) takes 60, who works on the code a third of them.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
settings.register_profile("few", settings.get_profile("patient"), max_examples=20)
IS_LONG = os.environ.get("LUTBENCH_LONG") and not os.environ.get("LUTBENCH_QUICK")
settings.load_profile("patient" if IS_LONG else "few")


def place_of(path: Path, name: str = "") -> str:
    """A test, or a file of tests, as the lists above name it."""
    return f"{path.relative_to(TESTS).as_posix()}::{name}" if path.is_relative_to(TESTS) else ""


def is_slow(path: Path, name: str = "") -> bool:
    """Whether a file of tests, or one of its tests, is among SLOW."""
    place = place_of(path, name)
    return place.startswith(SLOW) and not place.startswith(QUICK)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Quick tests do not even import the files that are left out: those load every runtime."""
    return True if os.environ.get("LUTBENCH_QUICK") and collection_path.is_file() and is_slow(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_slow(item.path, item.name):
            item.add_marker(pytest.mark.slow)
        if place_of(item.path, item.name).startswith(LONG) and not os.environ.get("LUTBENCH_LONG"):
            item.add_marker(pytest.mark.skip("takes long: LUTBENCH_LONG=1 runs it"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: some tests mostly wait."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the whole run, which all its worker processes share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def shared_cache(run_folder: Path) -> Path:
    """One artifact cache for the whole run, so that each artifact is exported once."""
    path = run_folder / "cache"
    path.mkdir(exist_ok=True)
    return path


@pytest.fixture(scope="session")
def worker_locks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where devices are held: a folder of each worker's own, for tests measure beside each other."""
    return tmp_path_factory.mktemp("locks")


def made_once(run_folder: Path, name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the whole run that the first of its workers who needs it fills; the others wait."""
    folder, done = run_folder / name, run_folder / f"{name}.done"
    with FileLock(run_folder / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker whose test ended halfway
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, shared_cache: Path, worker_locks: Path) -> None:
    """No test reads or writes the user's cache or configuration; each has a configuration of its own, not there yet."""
    monkeypatch.setenv("LUTBENCH_CACHE", str(shared_cache))
    monkeypatch.setenv("LUTBENCH_LOCKS", str(worker_locks))
    monkeypatch.setenv("LUTBENCH_CONFIG", str(worker_locks / f"config{next(_TESTS_RUN)}"))
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", "UNIX:/nowhere/usbmuxd")  # nor asks what is plugged into this machine


@pytest.fixture(autouse=True)
def kept_export_workers(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Export workers go on from test to test, but where tests are about starting and ending them."""
    if not os.environ.get("LUTBENCH_QUICK") and place_of(request.path) != "export/test_pool.py::":
        from lutbench.export import pool
        from tests.export.kept_workers import KeptWorkers

        monkeypatch.setattr(pool, "_Workers", KeptWorkers)


def pytest_sessionfinish() -> None:
    if "tests.export.kept_workers" in sys.modules:
        sys.modules["tests.export.kept_workers"].end_kept()


@pytest.fixture(autouse=True)
def no_process_in_a_quick_test(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """`make test-quick` fails a test that starts a process and is not marked slow; exports run in processes."""
    if os.environ.get("LUTBENCH_QUICK") and "slow" not in request.keywords:

        def refused(*_arguments: object, **_keywords: object) -> None:
            pytest.fail("starts a process: mark it slow")

        monkeypatch.setattr(subprocess.Popen, "__init__", refused)
        monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", refused)


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_TOML)
    return path


CHOOSING_TOML = """\
name = "choosing"
resolutions = [16, 24, 32]
classes = 10
candidates = ["k{3,5}_e{0.75..2.25..0.75}_{relu,hswish}{,_se0.25}", "skip"]

[stem]
channels = 8
activation = "hswish"

[[stage]]
channels = [8, 16]
block = "k3_e0_hswish"

[[stage]]
channels = "8..16..4"
layers = 2

[[stage]]
channels = [16, 24]
layers = 2
stride = 2

[[stage]]
channels = 24

[[head]]
block = "conv_k1_hswish"
channels = 32

[[head]]
block = "pool_map"

[[head]]
block = "conv_k1_hswish_biased"
channels = 40

[[head]]
block = "fc"
"""


@pytest.fixture
def tiny(tiny_file: Path) -> Space:
    (space,), _ = find_spaces(str(tiny_file), (), (1.0,))
    return space


@pytest.fixture
def host() -> Device:
    return Device("host", "host", Path("luts/host.csv"), "this machine")


OVERHEAD_NS = 3_000


def operator_ns(name: str) -> int:
    """A made-up device: an overhead, and a nanosecond per 50 multiply-accumulates or 20 inputs."""
    operator = parse_operator(name)
    if operator == OVERHEAD:
        return OVERHEAD_NS
    return OVERHEAD_NS + operator.macs // 50 + operator.c_in * operator.h_in * operator.w_in // 20 + 500


@pytest.fixture
def additive_device(tiny: Space) -> Callable[..., Callable[[Device, AgentSettings], FakeAgent]]:
    """Makes an open_device whose nets take overhead + scale x the sum of their operators' work, nanoseconds."""

    def make(scale: float = 1.0, slower: float = 1.0, **arguments: object) -> Callable[..., FakeAgent]:
        def script(artifact: str, _depth: int, invocation: int) -> int:
            wobble = 1 + 0.002 * ((invocation * 7919) % 11 - 5) / 5  # +-0.2 %, the same in every run
            if ":" not in artifact:
                return round(operator_ns(artifact) * slower * wobble)
            work = sum(operator_ns(op.name) - OVERHEAD_NS for op in net_of_key(artifact, [tiny]).operators)
            return round((OVERHEAD_NS + scale * work) * slower * wobble)

        def open_device(device: Device, settings: AgentSettings) -> FakeAgent:
            del device, settings
            return FakeAgent(script, **arguments)  # type: ignore[arg-type]

        return open_device

    return make


@pytest.fixture
def quiet_report() -> Iterator[Callable[[object], None]]:
    """A report that keeps nothing."""
    yield lambda _event: None
