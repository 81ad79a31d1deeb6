from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from lutbench.report.html import Html, join, plain, tag


class Reader(HTMLParser):
    """Keeps what a browser would see: elements with attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text())
def test_text_stays_text(text: str) -> None:
    read = Reader(tag("p", text, title=text))
    assert read.elements == [("p", {"title": plain(text)})]
    assert read.text == plain(text)


def test_attributes_and_contents() -> None:
    assert tag("td", ["a<b", Html("<b>1</b>"), ""], class_="x", data_value=1.5, hidden=True, id=None) == (
        '<td class="x" data-value="1.5" hidden>a&lt;b<b>1</b></td>'
    )
    assert tag("meta", name="viewport", content="width") == '<meta name="viewport" content="width">'
    assert join("1\N{NO-BREAK SPACE}%\n") == "1\N{NO-BREAK SPACE}%\n"
    assert join("\x00\x1b[1m") == "\N{REPLACEMENT CHARACTER}" * 2 + "[1m"
