from __future__ import annotations

import math
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutbench.errors import LutbenchError, OutputError, UsageError
from lutbench.lut.metadata import ContextSection, SpaceSection
from lutbench.lut.row import failed_row
from lutbench.lut.table import Lut
from lutbench.report.charts.style import COLOURS
from lutbench.report.page import page, write_report
from lutbench.space.file import parse_space
from lutbench.space.find import known_space
from tests.report.luts import make_lut, with_row, without_row, work_us
from tests.report.test_html import Reader
from tests.report.test_maps import contrast

BLOCK = "ir_k5_e6_g1_64x14x14_64_s1"
NASTY = '<script>alert("x")</script> & $\\frac{1}$ _x\x07'


def phone(**metadata: Any) -> Lut:
    return make_lut(rule=lambda op: work_us(op) * (3.0 if op.kernel == 5 else 2.0), device="pixel", **metadata)


def cells(text: str, table: str) -> list[dict[str, str | None]]:
    """The cells of a map, by the map's id."""
    found = [attributes for name, attributes in Reader(text).elements if name == "td"]
    return [attributes for attributes in found if str(attributes.get("id")).startswith(f"{table}-cell-")]


def test_one_lut() -> None:
    text = page([make_lut()])
    assert len(cells(text, "map0-a")) == 22 * 9
    assert "measured on the device" in text and "onnxruntime 1" in text and "2026-03-01 12:30 UTC" in text
    assert "nets the fit was made with" in text
    assert "fbnet_iphonex" in text and "Not covered: fbnet_96_035_1" in text
    assert "operators-compared" not in text
    assert "fbnet_a" not in page([make_lut(space=known_space("proxyless"))])


def test_two_luts_stand_side_by_side() -> None:
    text = page([make_lut(), phone()])
    for table in ("map0-a", "map0-b", "map0-ratio"):
        assert len(cells(text, table)) == 22 * 9
    ratios = Counter(cell["class"] for cell in cells(text, "map0-ratio"))
    assert ratios == {"cell ok": 182, "cell identity": 16}
    assert "operators-compared" in text and "B slower" in text
    assert page([make_lut(), make_lut()]).count("cell unsure") == 182 + 1  # the legend has one


def test_the_page_needs_nothing_from_outside_and_ids_are_unique() -> None:
    text = page([make_lut(), phone()])
    read = Reader(text)
    for _, attributes in read.elements:
        for key in ("src", "href", "xlink:href", "action", "data"):
            assert str(attributes.get(key) or "#").startswith(("#", "data:,"))
    assert not re.findall(r"@import|url\((?!#)|https?://(?!www\.w3\.org)", text)
    ids = Counter(attributes["id"] for _, attributes in read.elements if attributes.get("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    targets = {str(a["href"])[1:] for name, a in read.elements if name == "a"}
    assert targets <= set(ids)
    assert ("html", {"lang": "en"}) in read.elements


def test_the_same_luts_give_the_same_bytes_and_a_small_page(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_report([make_lut(), phone()], tmp_path / name)
    data = (tmp_path / "a.html").read_bytes()
    assert data == (tmp_path / "b.html").read_bytes()
    assert len(data) < 1_500_000


@pytest.mark.parametrize("provenance", ["estimated", "imported"])
def test_what_is_not_measured_cannot_be_missed(provenance: str) -> None:
    text = page([make_lut(provenance=provenance, origin={"source": "published latencies"})])
    assert f"{provenance.capitalize()}, not measured" in text
    assert "published latencies" in text and "lutbench profile --device host" in text
    assert 'class="warning"' not in page([make_lut()])
    assert "B: pixel" in page([make_lut(), phone(provenance=provenance)]).split('class="warning"')[1].split("</p>")[0]


def test_text_of_a_lut_is_text_on_the_page() -> None:
    lut = with_row(make_lut(), failed_row(BLOCK, f'said "no" {NASTY}'))
    section = replace(lut.metadata.space, name=NASTY)
    metadata = replace(
        lut.metadata,
        device=NASTY,
        runtime=NASTY,
        lutbench=NASTY,
        measured_at=NASTY,
        space=section,
        environment={NASTY: NASTY, "cpu": NASTY, "deep": {NASTY: [NASTY]}},
        quality={"canary_us": {NASTY: 1.0}, "canary_drift": {NASTY: 0.1}},
        origin={"source": NASTY, "nets": [{"net": NASTY, "latency_us": 1.0, "left_out_us": 2.0}]},
        provenance="estimated",
    )
    for luts in ([replace(lut, metadata=metadata)], [make_lut(), replace(lut, metadata=metadata)]):
        text = page(luts)
        scripts = [name for name, _ in Reader(text).elements if name == "script"]
        assert len(scripts) == 1
        assert "\x07" not in text and "&lt;script&gt;alert(" in text


def test_failed_rows_show_their_reason() -> None:
    text = page([with_row(make_lut(), failed_row(BLOCK, 'said "no"'))])
    failed = [cell for cell in cells(text, "map0-a") if cell["class"] == "cell failed"]
    assert len(failed) == 3
    assert all('failed: said "no"' in str(cell["title"]) for cell in failed)
    assert "1 row failed" in text and "116 operators, 1" not in text


@pytest.fixture
def own(tiny_file: Path) -> Callable[..., Lut]:
    """Makes LUTs of a space of one's own."""
    text = tiny_file.read_text()
    space = parse_space(text, tiny_file)
    return lambda **arguments: make_lut(space, definition=text, **arguments)


def test_a_space_of_ones_own(own: Callable[..., Lut]) -> None:
    text = page([own(), own()])
    assert len(cells(text, "map0-a")) == len(cells(text, "map0-ratio")) == 4 * 4
    assert "No published net" in text


def test_luts_of_different_spaces_have_a_map_each(own: Callable[..., Lut]) -> None:
    text = page([make_lut(), own()])
    assert len(cells(text, "map0-a")) == 22 * 9 and len(cells(text, "map1-b")) == 16
    assert not cells(text, "map0-b") and not cells(text, "map0-ratio")


def test_an_unknown_space_still_gives_a_page_that_says_why_there_is_no_map(own: Callable[..., Lut]) -> None:
    lut = own()
    lost = replace(lut, metadata=replace(lut.metadata, space=SpaceSection("lost", (32,), (1.0,))))
    text = page([lost])
    assert "There is no map of host: no space is called 'lost'." in text
    assert len(re.findall("<tr><th", text.split('id="operators-a"')[1].split("</table>")[0])) == len(lut.rows) + 1


def test_rows_without_an_interval_and_without_overhead() -> None:
    lut = make_lut(provenance="imported")
    unknown = dict.fromkeys(("ci_low_us", "ci_high_us", "p10_us", "p90_us", "min_us"), math.nan)
    lut = replace(lut, rows=tuple(replace(row, **unknown) if row.parts.is_measured else row for row in lut.rows))
    text = page([lut])
    assert "no interval known" in text and "No row has an interval" in text
    both = page([make_lut(), lut])
    assert {cell["class"] for cell in cells(both, "map0-ratio")} == {"cell unsure", "cell identity"}
    assert "no interval" in both and not re.search(r"\bnan\b", both + text)
    assert "No published net" in page([without_row(make_lut(), "runtime_overhead")])


def test_a_lut_with_hardly_anything() -> None:
    empty = replace(make_lut(), rows=(), metadata=replace(make_lut().metadata, context=ContextSection(), quality={}))
    for luts in ([empty], [empty, empty], [make_lut(), empty], [replace(empty, rows=make_lut().rows[:1])]):
        assert page(luts).endswith("</html>\n")


def test_several_variants_fold_up_but_the_first() -> None:
    lut = make_lut()
    section = replace(lut.metadata.space, resolutions=(224, 192))
    text = page([replace(lut, metadata=replace(lut.metadata, space=section))])
    assert text.count("<details open><summary>fbnet at 224x1.0") == 1
    assert "<details><summary>fbnet at 192x1.0" in text


def test_only_one_lut_or_two() -> None:
    for luts in ([], [make_lut()] * 3):
        with pytest.raises(UsageError, match="one LUT or two"):
            page(luts)


def test_unwritable_places(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_report([make_lut()], tmp_path)


def test_the_themes_can_be_read() -> None:
    for theme in range(2):
        shown = {name: pair[theme] for name, pair in COLOURS.items()}
        for name in ("ink", "muted", "bad", "slower", "faster", "a", "b"):
            for surface in ("surface", "band"):
                assert contrast(shown[name], shown[surface]) >= 4.5, (name, surface, theme)
        assert contrast(shown["ink"], shown["warn-soft"]) >= 7
        for name in ("k1", "k3", "k5", "k7"):
            assert contrast(shown[name], shown["surface"]) >= 2.2, (name, theme)
    assert len({light for light, _ in COLOURS.values()}) == len(COLOURS)  # a chart's colours are told apart by value


def test_files_of_the_page_are_in_the_package() -> None:
    root = Path(__file__).parents[2]
    globs = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    folder = root / "lutbench" / "report"
    packed = {path for glob in globs["lutbench.report"] for path in folder.glob(glob)}
    assert packed == {p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}


@pytest.fixture
def small() -> Lut:
    """A few rows, so that pages are quick."""
    lut = make_lut()
    return replace(lut, rows=tuple(row for row in lut.rows if row.parts.kind in ("pool", "overhead")))


_scalars = st.one_of(st.text(max_size=8), st.integers(), st.floats(), st.booleans())
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)
_keys = st.sampled_from(
    ["target", "rounds", "disturbed_share", "wall_s", "runtime_s", "canary_us", "canary_drift", "additivity", "cpu"]
)
_additivity = st.dictionaries(st.sampled_from(["nets", "mean_abs_error", "noise_mean", "kendall_tau"]), _values)


@given(
    quality=st.dictionaries(_keys, st.one_of(_values, _additivity), max_size=5),
    environment=st.dictionaries(st.text(max_size=8), _values, max_size=4),
    origin=st.dictionaries(st.sampled_from(["source", "nets"]), _values, max_size=2),
    device=st.text(max_size=20),
    provenance=st.sampled_from(["measured", "estimated", "imported"]),
)
@settings(suppress_health_check=list(HealthCheck), max_examples=15, deadline=None)
def test_whatever_a_header_holds_there_is_a_page_or_one_error(small: Lut, **metadata: Any) -> None:
    lut = replace(small, metadata=replace(small.metadata, **metadata))
    try:
        assert page([lut]).endswith("</html>\n")
    except LutbenchError as error:
        assert "\n" not in str(error)


def test_columns_of_samples_are_there_only_where_something_was_sampled() -> None:
    lut = make_lut(provenance="estimated")
    unsampled = replace(lut, rows=tuple(replace(row, samples=0, rounds=0) for row in lut.rows))
    for found, titles in ((lut, True), (unsampled, False)):
        assert (">samples</button>" in page([found])) is titles
