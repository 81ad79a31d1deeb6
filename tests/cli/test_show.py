from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lutbench.lut.file import write_lut
from lutbench.lut.table import Lut
from tests.cli.running import run
from tests.search.made import made_lut


def with_context(path: Path, terms: dict[str, float], block_channels: int) -> Lut:
    lut = made_lut()
    context = replace(lut.metadata.context, terms=terms, block_channels=block_channels)
    return replace(lut, metadata=replace(lut.metadata, context=context), path=path)


def test_what_nets_take_beside_their_rows_is_said(tmp_path: Path) -> None:
    for name, terms, block_channels, said in (
        ("none", {}, 0, "over a net's operators;"),
        ("moved", {"weights": 3.0}, 0, "over a net's operators, and by what they move;"),
        ("sized", {"side_2": 0.1}, 0, "over a net's operators, and by the size of their feature maps;"),
        ("both", {"macs": 3.0, "side": 0.1}, 0, "and by what they move, by the size of their feature maps;"),
        ("kept", {"kept": -3.0}, 16, "over a net's operators, and by what neighbours keep in blocks of 16 channels;"),
        ("alike", {"alike": -3.0, "kept": -1.0}, 0, "over a net's operators, and by which blocks are neighbours;"),
        ("cold", {"colder": 1.5}, 0, "over a net's operators, and by how cold they get behind others;"),
        ("slowed", {"slowed": 30.0}, 0, "over a net's operators, and by what stands behind wide kernels;"),
        ("evicted", {"evicted": 30.0}, 0, "over a net's operators, and by their weights behind large tensors;"),
    ):
        path = tmp_path / f"{name}.csv"
        write_lut(with_context(path, terms, block_channels), path)
        done = run("show", str(path), cwd=tmp_path)
        assert done.returncode == 0 and said in done.stdout, done.stderr + done.stdout
    lut = with_context(tmp_path / "warm.csv", {"macs": 3.0}, 0)
    warm = replace(lut.metadata.context, warm_share=0.5, warm_size_us=450.0)
    write_lut(replace(lut, metadata=replace(lut.metadata, context=warm)), tmp_path / "warm.csv")
    assert "and by what they move, by how small it is as a whole;" in run("show", "warm.csv", cwd=tmp_path).stdout
    for per_ms, said in ((0.0, "its weights beyond 2.1 million"), (1.2, "its weights and time beyond 2.1 million (a")):
        large = replace(
            lut.metadata.context, terms={}, spill_us_per_million=60.0, spill_beyond=2.12, spill_million_per_ms=per_ms
        )
        write_lut(replace(lut, metadata=replace(lut.metadata, context=large)), tmp_path / "large.csv")
        assert f"over a net's operators, and by {said}" in run("show", "large.csv", cwd=tmp_path).stdout
    for most, said in ((-0.125, ", and by single operators of large tensors, ir_b most (-12.5 %);"), (0.004, "")):
        own = replace(lut.metadata.context, terms={}, deviations={"ir_a": 0.003, "ir_b": most})
        write_lut(replace(lut, metadata=replace(lut.metadata, context=own)), tmp_path / "own.csv")
        assert f"over a net's operators{said or ';'}" in run("show", "own.csv", cwd=tmp_path).stdout


def test_a_space_of_too_few_nets_for_a_fit_has_no_error_of_none(tmp_path: Path) -> None:
    lut = with_context(tmp_path / "few.csv", {}, 0)
    write_lut(lut, tmp_path / "few.csv")
    assert "too few nets to leave any out" in run("show", "few.csv", cwd=tmp_path).stdout
    fitted = replace(lut.metadata, context=replace(lut.metadata.context, net_error=0.012))
    write_lut(replace(lut, metadata=fitted), tmp_path / "fitted.csv")
    assert "left out of the fit: mean error 1.20 %" in run("show", "fitted.csv", cwd=tmp_path).stdout
