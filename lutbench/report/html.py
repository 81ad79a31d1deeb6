"""HTML as values: whatever is not an Html is text, and text is escaped. There is no other way to put text on a page."""

from __future__ import annotations

import html
from collections.abc import Iterable

from lutbench.shown import clean

_VOID = frozenset({"meta", "link", "input", "br"})


class Html(str):
    """Markup that is safe to put on the page as it is."""

    __slots__ = ()


Content = str | Html | Iterable["str | Html"] | None


def tag(name: str, content: Content = None, /, **attributes: object) -> Html:
    """One element. Attributes: class_ for class, data_x for data-x; None and False leave one out, True gives no value.

    content: text (escaped), Html, or several of these.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        name_of_it = key.rstrip("_").replace("_", "-")
        parts.append(f" {name_of_it}" if value is True else f' {name_of_it}="{attribute(str(value))}"')
    parts.append(">")
    if name not in _VOID:
        parts.append(f"{join(content)}</{name}>")
    return Html("".join(parts))


def join(content: Content) -> Html:
    """The contents one after the other, text escaped."""
    if content is None:
        return Html("")
    if isinstance(content, Html):
        return content
    if isinstance(content, str):
        return Html(html.escape(plain(content), quote=False))
    return Html("".join(join(part) for part in content))


def attribute(value: str) -> Html:
    """The text as it stands between the quotes of an attribute."""
    return Html(html.escape(plain(value)))


def plain(text: str) -> str:
    """The text without characters that cannot be shown; lines stay lines."""
    return clean(text)
