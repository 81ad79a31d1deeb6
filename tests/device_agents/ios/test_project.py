"""The Xcode project, the Swift package and this package agree: looked at as data, for there is no Xcode here."""

from __future__ import annotations

import plistlib
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lutbench
from lutbench.device_agents.ios.find import parse_address
from lutbench.device_agents.ios.link import PORT, PROTOCOL, WIFI_PORT

IOS = Path(lutbench.__file__).parent.parent / "device_agents/ios"
APP = IOS / "App"
PROJECT = APP / "Lutbench.xcodeproj/project.pbxproj"
PACKAGE = (IOS / "Package.swift").read_text()
_TOKEN = re.compile(r'\s+|//[^\n]*|/\*.*?\*/|("(?:[^"\\]|\\.)*"|[\w.$/<>-]+|[{}()=;,])', re.DOTALL)


def parse(text: str) -> Any:
    """The value of a property list in Apple's old style."""
    at = 0
    tokens: list[str] = []
    while at < len(text):
        found = _TOKEN.match(text, at)
        assert found, text[at : at + 40]
        tokens += [found[1]] if found[1] else []
        at = found.end()
    rest = iter(tokens)
    return value(next(rest), rest)


def value(token: str, rest: Iterator[str]) -> Any:
    if token == "{":
        made: dict[str, Any] = {}
        while (key := next(rest)) != "}":
            assert next(rest) == "=" and key not in made, key
            made[key.strip('"')] = value(next(rest), rest)
            assert next(rest) == ";"
        return made
    if token == "(":
        items = []
        while (token := next(rest)) != ")":
            items.append(value(token, rest))
            assert next(rest) == ","
        return items
    return token.strip('"')


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    project = parse(PROJECT.read_text())
    assert project["rootObject"] in project["objects"]
    found: dict[str, Any] = project["objects"]
    return found


def of_kind(objects: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry for entry in objects.values() if entry["isa"] == kind]


def settings(objects: dict[str, Any], key: str) -> set[str]:
    found = [entry["buildSettings"] for entry in of_kind(objects, "XCBuildConfiguration")]
    return {entry[key] for entry in found if key in entry}


def test_a_broken_project_is_not_parsed() -> None:
    with pytest.raises((AssertionError, StopIteration)):
        parse("{ a = ( b c ); }")
    with pytest.raises((AssertionError, StopIteration)):
        parse("{ a = b; a = c; }")
    assert parse('// x\n{ a /* y */ = (b, "c d", ); e = {}; }') == {"a": ["b", "c d"], "e": {}}


def test_whatever_an_object_refers_to_is_there(objects: dict[str, Any]) -> None:
    def named(entry: Any) -> Iterator[str]:
        if isinstance(entry, dict):
            for key, inner in entry.items():
                yield from [key] if re.fullmatch(r"[0-9A-F]{24}", key) else []
                yield from named(inner)
        elif isinstance(entry, list):
            for inner in entry:
                yield from named(inner)
        elif re.fullmatch(r"[0-9A-F]{24}", entry):
            yield entry

    assert set(named(list(objects.values()))) <= set(objects)


def test_every_file_it_names_exists_and_every_source_is_built(objects: dict[str, Any]) -> None:
    files = {key: entry["path"] for key, entry in objects.items() if entry["isa"] == "PBXFileReference"}
    on_disk = {path for key, path in files.items() if objects[key]["sourceTree"] == "<group>"}
    assert all((APP / path).is_file() for path in on_disk)
    (phase,) = of_kind(objects, "PBXSourcesBuildPhase")
    built = {files[objects[key]["fileRef"]] for key in phase["files"]}
    assert built == {path.name for path in APP.glob("*.swift")}
    (group,) = (entry for entry in of_kind(objects, "PBXGroup") if "name" not in entry)
    assert on_disk <= {files[key] for key in group["children"] if key in files}


def test_it_links_the_package_beside_it(objects: dict[str, Any]) -> None:
    (reference,) = of_kind(objects, "XCLocalSwiftPackageReference")
    assert (APP / reference["relativePath"] / "Package.swift").samefile(IOS / "Package.swift")
    (product,) = of_kind(objects, "XCSwiftPackageProductDependency")
    assert f'.library(name: "{product["productName"]}"' in PACKAGE
    (phase,) = of_kind(objects, "PBXFrameworksBuildPhase")
    assert [objects[objects[key]["productRef"]] for key in phase["files"]] == [product]


def test_versions_and_the_deployment_target_agree(objects: dict[str, Any]) -> None:
    version = lutbench.__version__
    assert settings(objects, "MARKETING_VERSION") == {version}
    assert re.findall(r'let version = "([^"]+)"', PACKAGE) == [version]
    (least,) = re.findall(r"\.iOS\(\.v(\d+)\)", PACKAGE)
    assert settings(objects, "IPHONEOS_DEPLOYMENT_TARGET") == {f"{least}.0"}


def test_protocol_and_ports_agree() -> None:
    server = (IOS / "Sources/LutbenchServer/AppServer.swift").read_text()
    assert f"protocolVersion = {PROTOCOL}\n" in server
    assert f"let port: UInt16 = {PORT}\n" in server and f"let wifiPort: UInt16 = {WIFI_PORT}\n" in server
    assert parse_address("192.168.1.21") == ("192.168.1.21", WIFI_PORT)
    assert parse_address("[::1]:5") == ("::1", 5)


_OF_APPLE = {"#if canImport(Darwin)", "#if defined(__APPLE__)", "#else of #if canImport(Glibc)"}


def only_for_apple(source: str) -> list[str]:
    """The lines that a compiler on Linux leaves out for being Apple's."""
    found: list[str] = []
    conditions: list[str] = []
    for line in map(str.strip, source.splitlines()):
        if line.startswith("#if"):
            conditions.append(line)
        elif line.startswith(("#else", "#elif")):
            conditions[-1] = f"{line} of {conditions[-1]}"
        elif line.startswith("#endif"):
            conditions.pop()
        elif line and _OF_APPLE.intersection(conditions):
            found.append(line)
    return found


def test_the_docs_count_what_was_never_compiled() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in APP.glob("*.swift")}
    page = (IOS.parent.parent / "docs/how-to/iphone.md").read_text()
    of_coreml = f"{sum(lines.values())} lines of Swift, {lines['CoreMLEngine.swift']} of them Core ML's engine"
    assert f"`device_agents/ios/App`, {of_coreml})" in page
    sources = [*(IOS / "Sources").rglob("*.swift"), *(IOS.parent / "runner/src").glob("*.[ch]pp")]
    apples = sum(len(only_for_apple(path.read_text())) for path in sources)
    assert f"Apple's build has beside in `Sources` ({apples} lines:" in page
    assert {name for path in sources for name in re.findall(r"^import (\w+)", path.read_text(), re.MULTILINE)} == {
        "Clibsodium", "Foundation", "LutbenchCore", "LutbenchServer",
    }  # fmt: skip
    other = PACKAGE[PACKAGE.index("#else") : PACKAGE.index("#endif")].splitlines()[1:]
    assert f"manifest for Apple ({len(other)} lines)" in page


def test_the_picture_shows_the_screen_that_the_source_has() -> None:
    """docs/make_iphone_steps.py draws it anew."""
    script = IOS.parent.parent / "docs/make_iphone_steps.py"
    made = runpy.run_path(str(script))
    assert made["PICTURE"].read_text() == made["picture"]()
    assert f"../pictures/{made['PICTURE'].name}" in (IOS.parent.parent / "docs/how-to/iphone.md").read_text()


def test_packages_are_pinned_to_one_version_each() -> None:
    packages = re.findall(r"\.package\(url: \"([^\"]+)\", ([^)]*)\)", PACKAGE)
    assert len(packages) == 3 and all(how.startswith("exact: ") for _, how in packages)


def test_the_information_has_what_ios_asks_for(objects: dict[str, Any]) -> None:
    assert settings(objects, "INFOPLIST_FILE") == {"Info.plist"}
    found = plistlib.loads((APP / "Info.plist").read_bytes())
    for key in ("CFBundleIdentifier", "CFBundleExecutable", "CFBundleShortVersionString", "CFBundleVersion"):
        assert found[key].startswith("$("), key  # the project's own settings
    assert found["NSLocalNetworkUsageDescription"] and "UILaunchScreen" in found
    assert found["UIRequiredDeviceCapabilities"] == ["arm64"]
    assert "UIBackgroundModes" not in found  # it refuses to measure there


def test_the_core_is_the_runners_own_sources() -> None:
    """Not a copy: a link, and all of them but those of other ways to start it and of the other engine."""
    link = IOS / "Sources/LutbenchCore/runner"
    assert link.is_symlink() and link.samefile(IOS.parent / "runner/src")
    (names,) = re.findall(r"\+ \[((?:\"\w+\",? ?)+)\]", PACKAGE)
    built = {*re.findall(r"\w+", names), *re.findall(r'"runner/(\w+)\.cpp"', PACKAGE)}
    there = {path.stem for path in link.glob("*.cpp")}
    assert there - built == {"main", "server", "follow", "engines_executorch", "executorch_engine"}
    assert built <= there
