"""Which tests run when: `make test-quick` leaves out the slow ones, `make test` the longest.

LUTBENCH_LONG=1 adds the longest, LUTBENCH_LONG=2/3 the third of them that has number 2 (from 0): CI runs a share that
hangs on the commit. `make test-quick` sets LUTBENCH_QUICK=1.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from hypothesis import HealthCheck, settings

IS_QUICK = bool(os.environ.get("LUTBENCH_QUICK"))
TESTS = Path(__file__).parent


def share_of(text: str) -> tuple[int, int] | None:
    """The share of the longest tests that runs, from LUTBENCH_LONG: its number, and of how many; None for none."""
    if not text:
        return None
    number, slash, of = text.partition("/")
    share = (int(number), int(of)) if slash else (0, 1)
    if not 0 <= share[0] < share[1]:
        raise ValueError(f"LUTBENCH_LONG={text} is no share: 1 for all, or 0/3, 1/3, 2/3")
    return share


SHARE = None if IS_QUICK else share_of(os.environ.get("LUTBENCH_LONG", ""))
IS_LONG = SHARE is not None and SHARE[0] == 0  # one share has the many examples of property tests

# files and folders of tests that export, train or start processes throughout: `make test-quick` leaves them out,
# beside single tests that are marked slow
SLOW = (
    *("cli/", "export/", "jobs/", "models/", "phone/", "search/", "nn/"),
    *("report/test_browser", "report/test_charts", "report/test_page", "lut/test_estimate"),
    *("device_agents/runner/test_build", "device_agents/runner/test_runner", "device_agents/runner/test_calls"),
    *("device_agents/runner/test_server", "device_agents/runner/test_native_host"),
    *("device_agents/test_host_agent", "device_agents/test_runtimes"),
    *(
        f"device_agents/android/test_{name}"
        for name in ("awake", "check", "commands", "connection", "cores", "install", "lock")
    ),
    *(f"device_agents/android/test_{name}" for name in ("process", "shell", "watch")),
    "device_agents/android/test_first_phone_page.py::test_the_list",
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
# files of tests that take minutes each: they begin first, so that no worker is left with one when the others are done
FIRST = ("test_docs_run", "jobs/test_profile_runtimes", "cli/test_own_block")
# file -> how the names of its tests that take longest begin, behind test_: some seconds to a minute each. The plain
# suite has shorter ones of the same kind.
LONG: dict[str, tuple[str, ...]] = {
    "benchmarks/test_evidence_records": ("noise_that_hides",),
    "benchmarks/test_masked_rivals": ("scaled_nets",),
    "benchmarks/test_search_evidence": ("every_job_is_done_once",),
    "cli/test_bench": ("a_net_that_code_makes", "a_run_that_is_cut_off", "nets_and_files_beside_a_lut"),
    "cli/test_bench_of_anybody": ("a_net_that_somebody_wrote", "a_program_of_several"),
    "cli/test_decoders": ("",),
    "cli/test_derive": ("",),
    "cli/test_estimate": ("both_phones", "every_reader_says"),
    "cli/test_full_disk": ("",),
    "cli/test_main": ("kill_9_and_run_again[300", "verify_writes_its_summary"),
    "cli/test_own_block": ("a_block_of_ones_own", "a_block_that_one_runtime_lacks", "a_file_of_ones_own"),
    "cli/test_report": ("a_page_and_charts", "charts_alone", "diff_writes_the_same_page"),
    "cli/test_search": ("modes_and_weights_of_the_paper",),
    "cli/test_streams": (
        "measuring_goes_on_without_its_progress[2>&1 |",
        "measuring_goes_on_without_its_progress[2>/dev/full",
        "what_bench_measured_is_kept",
    ),
    "cli/test_train": ("an_error_of_two_processes", "two_processes_say_it_once"),
    "device_agents/android/test_watch": ("a_phone_that_stays_hot", "every_wait_ends"),
    "device_agents/runner/test_calls": ("the_runner_makes_no_other_calls",),
    "device_agents/runner/test_server": ("slow_and_idle_clients",),
    "device_agents/test_runtimes": (
        "a_file_that_kills",
        "a_torchscript_file_of_somebody_else",
        "files_that_cannot_run",
        "operators_are_timed_and_an_empty_program_is_the_fastest[torchscript",
        "threads_are_set_before_the_runtime_starts[executorch",
        "threads_are_set_before_the_runtime_starts[torchscript",
    ),
    "export/test_cache": ("two_writers",),
    "export/test_coreml_export": ("every_kind_computes",),
    "export/test_every_kind": ("an_artifact_computes_what_the_module_computes[executorch-int8-mqa",),
    "export/test_executorch_export": (
        "the_remedies_for_speed_",
        "what_computes_one_pixel_between_kernels_of_others_runs[int8",
    ),
    "export/test_onnx_counts": ("a_whole_net_in_int8",),
    "export/test_onnx_export": (
        "a_published_model_runs_in_int8_from_end_to_end[mna",
        "a_published_model_runs_in_int8_from_end_to_end[shuf",
        "the_same_operator_gives_the_same_bytes_in_any_process",
        "the_smallest_published_net_of_each_newer_family",
    ),
    "export/test_torchscript_export": ("bytes_do_not_depend_on_where",),
    "jobs/test_batch": (
        "a_journal_of_one_batch",
        "an_artifact_takes_the_whole_batch_and_computes_what_torch_computes[ir_k3_e2_g2_8x8x8_8_s1-e",
        "an_artifact_takes_the_whole_batch_and_computes_what_torch_computes[pool_16x4x4-e",
        "an_artifact_takes_the_whole_batch_and_computes_what_torch_computes[stem_k3_3x16x16_8_s2-e",
        "bench_times_batches",
        "profile_and_verify_on_this_machine",
        "the_luts_file_says_so",
        "this_machine_runs_batches_on_every_runtime[executorch",
        "this_machine_runs_batches_on_every_runtime[torchscript",
    ),
    "jobs/test_bench": ("a_lut_predicts_the_nets_it_covers",),
    "jobs/test_check": ("devices_check_of_a_phone_that_is_not_there",),
    "jobs/test_export": ("every_runtime_classifies_as_torch_does",),
    "jobs/test_every_space": tuple(
        f"from_a_lut_to_files[{name}" for name in ("fbnet-cifar", "fbnetv2", "mobilenetv4", "ofa", "proxyless", "spos")
    ),
    "jobs/test_profile": ("another_definition", "several_variants"),
    "jobs/test_profile_runtimes": ("a_lut_of_every_operator_that_verifies",),
    "jobs/test_quiet": ("profile_waits_before_it_measures",),
    "jobs/test_search": ("a_search_without_a_lut", "channels_and_resolution", "every_variant_of_the_luts"),
    "jobs/test_search_again": ("a_search_is_the_same_bit_for_bit",),
    "jobs/test_verify": ("every_net_is_kept_for_pictures", "nets_that_the_lut_was_tuned_on"),
    "lut/test_cost_fit": (
        "costs_are_positive",
        "intervals_of_operators_hold_the_truth[100",
        "intervals_of_operators_hold_the_truth[400",
        "with_many_nets_every",
    ),
    "lut/test_estimate": ("a_nets_prediction_is", "table_5_has_its_signs", "the_s8_nets_are_met"),
    "models/test_large_weights": ("",),
    "models/test_real_models": ("timm",),
    "phone/test_awake": ("the_check_list",),
    "phone/test_faults": (
        "a_dead_runs",
        "a_disk_that_fills",
        "a_full_disk",
        "a_runner_that_hangs",
        "a_truncated_push",
        "adbd_gone",
        "corrupted",
        "network_down",
        "the_adb_server",
        "two_processes",
    ),
    "phone/test_heat": ("a_hot_phone",),
    "phone/test_jobs": ("bench_of_files_with_inputs", "verify_measures_on_the_cores"),
    "phone/test_native": ("a_program_of_several",),
    "phone/test_userlands": tuple(f"install_profile_resume_clean[{version}" for version in (7, 8, 9)),
    "report/test_charts": ("every_chart_becomes_a_file",),
    "report/test_page": (
        "a_lut_with_hardly",
        "columns_of_samples",
        "luts_of_different",
        "rows_without_an_interval",
        "several_variants",
        "text_of_a_lut",
        "the_same_luts_give_the_same_bytes",
        "two_luts",
        "what_is_not_measured",
        "whatever_a_header_holds",
    ),
    "search/data/test_glyphs": ("a_letter_stands_off",),
    "search/test_chance": ("each_comes_as_often",),
    "search/test_dnas": (
        "a_budget_is_met_in_one_run",
        "a_killed_search",
        "a_strong_pull",
        "compiled_passes",
        "it_learns_and_writes_a_line_per_epoch[elastic",
        "it_learns_and_writes_a_line_per_epoch[mixed",
        "it_learns_and_writes_a_line_per_epoch[soft",
        "paths_of_weights_skip_as_often",
    ),
    "search/test_finders": ("evolution_finds_better",),
    "search/test_grid_costs": ("fbnetv2_has_nets", "one_hot_gates_cost_what_the_derived_net_is_counted_at[fbnetv2"),
    "search/test_hardware": ("a_search_s", "a_training_step", "processes_end"),
    "search/test_masked_search": (
        "it_learns_and_the_budget_is_approached[elastic",
        "it_learns_and_the_budget_is_approached[mixed",
        "it_learns_and_the_budget_is_approached[soft",
    ),
    "search/test_memory": ("what_is_freed",),
    "search/test_train": ("a_killed_training",),
    "test_docs_run": (
        "the_page_runs[docs/how-to/diff",
        "the_page_runs[docs/reference/py",
        "the_page_runs[docs/tutorials/first-lut",
        "the_page_runs_with_what_it_measures",
    ),
    "test_installed": ("every_command_loads", "worker_processes_start_where_files_bear_our_names"),
    "test_interface": ("examples_that_measure",),
}


def set_examples() -> None:
    """How many examples a property test takes that does not name their number itself.

    No test fails for being slow: machines are shared.
    """
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("few", settings.get_profile("patient"), max_examples=20)
    settings.load_profile("patient" if IS_LONG else "few")


def examples(count: int) -> int:
    """So many with the longest tests and an eighth elsewhere: of examples that take long each."""
    return count if IS_LONG else max(2, count // 8)


def is_slow(path: Path, name: str = "") -> bool:
    """Whether a file of tests, or one of its tests, is among SLOW."""
    place = _place(path, name)
    return place.startswith(SLOW) and not place.startswith(QUICK)


def begins_first(path: Path) -> bool:
    """Whether a file of tests is among FIRST."""
    return _place(path).startswith(FIRST)


def is_left_out(path: Path, name: str, share: tuple[int, int] | None = SHARE) -> bool:
    """Whether a test is among LONG and not in the share that runs."""
    prefixes = LONG.get(_place(path).partition(".py")[0], ())
    if not name.removeprefix("test_").startswith(prefixes):
        return False
    return share is None or zlib.crc32(_place(path, name).encode()) % share[1] != share[0]


def _place(path: Path, name: str = "") -> str:
    """A test, or a file of tests, as SLOW and QUICK name it."""
    return f"{path.relative_to(TESTS).as_posix()}::{name}" if path.is_relative_to(TESTS) else ""
