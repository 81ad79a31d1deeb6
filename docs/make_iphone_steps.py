"""Draws docs/pictures/iphone-steps.svg: what is on the Mac's and the iPhone's screens on the way to a measurement.

    python docs/make_iphone_steps.py

Drawn, not photographed: there was no iPhone. What stands on the app's screen is read from its source (StatusView.swift,
PhoneState.swift), and a test holds the picture against that.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).parent.parent
IOS = ROOT / "device_agents/ios"
PICTURE = ROOT / "docs/pictures/iphone-steps.svg"
WIDTH, HEIGHT, GAP, TOP = 236, 300, 18, 46  # of a panel, and between panels
COLUMNS = 3
IDLE, MEASURING, FOUND = "waiting for a host", "measuring fc_1984_1000 and 7 more", "fc_1984_1000: 81.4 us"
INK, SOFT, LINE, PAPER, ACCENT = "#1c1c1e", "#6c6c70", "#c7c7cc", "#f2f2f7", "#0a66c2"

Lines = list[tuple[str, str]]  # (text, how it is drawn: head, row, soft, mark)


def app_screen(now: str, thermal: str, wifi: bool, result: str, lately: str) -> Lines:
    """The app's one screen, in the words of its source."""
    source = (IOS / "App/StatusView.swift").read_text()
    sections = re.findall(r'Section\("([^"]+)"\)', source)
    rows = re.findall(r'LabeledRow\(name: "([^"]+)"', source)
    (toggle,) = re.findall(r'Toggle\("([^"]+)"', source)
    lines: Lines = [(sections[0], "soft"), (now, "mark"), (f"{rows[0]}: {thermal}", "row"), (f"{rows[1]}: off", "row")]
    lines += [(f"{rows[2]}: {result}", "row")]
    lines += [(sections[1], "soft"), (f"{toggle}: {'on' if wifi else 'off'}", "row")]
    if wifi:
        lines += [(f"{rows[3]}: 7K2M-Q4XD-9RTP", "row"), (f"{rows[4]}: {wifi_port()}", "row")]
    return [*lines, (sections[2], "soft"), (lately, "row")]


def wifi_port() -> str:
    (port,) = re.findall(r"wifiPort: UInt16 = (\d+)", (IOS / "Sources/LutbenchServer/AppServer.swift").read_text())
    return port


def hot() -> str:
    """What the app says where it is hot."""
    source = (IOS / "Sources/LutbenchServer/PhoneState.swift").read_text()
    (text,) = re.findall(r'return "(the phone is hot [^"]+)"', source)
    return text.replace("\\(thermal.rawValue)", "serious")


def panels() -> list[tuple[str, str, Lines]]:
    """Title, whose screen, and its lines."""
    return [
        ("1  Open and sign", "Mac: Xcode", [
            ("App/Lutbench.xcodeproj", "head"), ("TARGETS > Lutbench", "row"),
            ("Signing & Capabilities", "mark"), ("Team: your Apple ID", "row"),
            ("Bundle Identifier: one of your own", "row"), ("Package Dependencies", "soft"),
            ("onnxruntime, json, swift-sodium,", "row"), ("executorch", "row"), ("Edit Scheme > Run > Release", "mark"),
        ]),
        ("2  Trust the computer", "iPhone, plugged in", [
            ("Trust This Computer?", "head"), ("Trust", "mark"), ("Don't Trust", "row"), ("then its passcode", "soft"),
            ("from iOS 16 on", "soft"), ("Settings > Privacy & Security", "row"), ("> Developer Mode: on", "mark"),
            ("it restarts", "soft"),
        ]),
        ("3  Build, and trust the developer", "Mac, then iPhone", [
            ("Xcode: the iPhone in the bar, Run", "mark"), ("Settings > General", "row"),
            ("> VPN & Device Management", "row"), ("> your Apple ID > Trust", "mark"),
            ("stop Xcode's debugger", "row"), ("and tap lutbench on the iPhone", "mark"),
        ]),
        ("4  Leave it in front", "iPhone: lutbench", app_screen(IDLE, "nominal", False, "none yet", "-")),
        ("5  It waits where it is hot", "iPhone: lutbench", app_screen(hot(), "serious", False, FOUND, MEASURING)),
        ("6  Or without a cable", "iPhone: lutbench", app_screen(MEASURING, "nominal", True, FOUND, "opened by desk")),
    ]  # fmt: skip


def wrapped(text: str, most: int = 34) -> list[str]:
    """The text in lines of so many letters."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def drawn(number: int, title: str, whose: str, lines: Lines) -> str:
    """A panel: its title, and a screen with lines on it."""
    left, top = (number % COLUMNS) * (WIDTH + GAP) + GAP, (number // COLUMNS) * (HEIGHT + TOP) + TOP
    parts = [
        text(left, top - 24, title, INK, 14, "bold"), text(left, top - 8, whose, SOFT, 11),
        f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT - GAP}" rx="14" fill="{PAPER}" stroke="{LINE}"/>',
    ]  # fmt: skip
    y = top + 26
    for words, kind in lines:
        pieces = wrapped(words)
        if kind in ("row", "mark"):
            fill = "#e1ecf9" if kind == "mark" else "white"
            size = f'width="{WIDTH - 16}" height="{16 * len(pieces) + 6}"'
            parts.append(f'<rect x="{left + 8}" y="{y - 14}" {size} rx="5" fill="{fill}"/>')
        colour = {"soft": SOFT, "mark": ACCENT}.get(kind, INK)
        for piece in pieces:
            parts.append(text(left + 16, y, piece, colour, 12, "bold" if kind == "head" else "normal"))
            y += 16
        y += 10
    return "\n".join(parts)


def text(x: int, y: int, words: str, colour: str, size: int, weight: str = "normal") -> str:
    style = f'font-size="{size}" font-weight="{weight}" fill="{colour}"'
    return f'<text x="{x}" y="{y}" {style}>{escape(words)}</text>'


def picture() -> str:
    """The whole picture."""
    found = panels()
    width = COLUMNS * (WIDTH + GAP) + GAP
    height = -(-len(found) // COLUMNS) * (HEIGHT + TOP) + GAP
    body = "\n".join(drawn(number, *panel) for number, panel in enumerate(found))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="Helvetica, Arial,'
        f' sans-serif">\n<rect width="{width}" height="{height}" fill="white"/>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    PICTURE.write_text(picture())
