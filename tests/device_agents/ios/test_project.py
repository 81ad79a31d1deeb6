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
from lutbench.device_agents.ios.opening import WITH_EXECUTORCH as TARGET_WITH_EXECUTORCH

IOS = Path(lutbench.__file__).parent.parent / "device_agents/ios"
APP = IOS / "App"
PROJECT = APP / "Lutbench.xcodeproj/project.pbxproj"
PACKAGE = (IOS / "Package.swift").read_text()
WITH_EXECUTORCH = (IOS / "WithExecuTorch/Package.swift").read_text()
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


def settings_of(objects: dict[str, Any], owner: dict[str, Any]) -> list[dict[str, Any]]:
    """The build settings of a target, or of the project, in each configuration."""
    names = objects[owner["buildConfigurationList"]]["buildConfigurations"]
    return [objects[name]["buildSettings"] for name in names]


def target(objects: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (entry for entry in of_kind(objects, "PBXNativeTarget") if entry["name"] == name)
    return found


def phase(objects: dict[str, Any], target: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The build files of a target's phase of this kind."""
    (found,) = (objects[key] for key in target["buildPhases"] if objects[key]["isa"] == kind)
    return [objects[key] for key in found["files"]]


def manifest_lines(manifest: str) -> list[str]:
    """What a manifest has for Apple alone."""
    return manifest[manifest.index("#else") : manifest.index("#endif")].splitlines()[1:]


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
    for app in of_kind(objects, "PBXNativeTarget"):
        built = [files[file["fileRef"]] for file in phase(objects, app, "PBXSourcesBuildPhase")]
        assert sorted(built) == sorted(path.name for path in APP.glob("*.swift"))
    (group,) = (entry for entry in of_kind(objects, "PBXGroup") if "name" not in entry)
    assert on_disk <= {files[key] for key in group["children"] if key in files}


def test_it_links_the_packages_beside_it(objects: dict[str, Any]) -> None:
    references = of_kind(objects, "XCLocalSwiftPackageReference")
    manifests = {(APP / reference["relativePath"] / "Package.swift").resolve() for reference in references}
    assert manifests == {(IOS / "Package.swift").resolve(), (IOS / "WithExecuTorch/Package.swift").resolve()}
    (project,) = of_kind(objects, "PBXProject")
    assert [objects[key] for key in project["packageReferences"]] == references
    assert [objects[key] for key in project["targets"]] == of_kind(objects, "PBXNativeTarget")
    for name, linked in (
        ("Lutbench", ["LutbenchServer"]), (TARGET_WITH_EXECUTORCH, ["LutbenchServer", "LutbenchExecuTorch"]),
    ):  # fmt: skip
        app = target(objects, name)
        products = [file["productRef"] for file in phase(objects, app, "PBXFrameworksBuildPhase")]
        assert products == app["packageProductDependencies"]
        assert [objects[key]["productName"] for key in products] == linked
    assert '.library(name: "LutbenchServer"' in PACKAGE
    assert '.library(name: "LutbenchExecuTorch"' in WITH_EXECUTORCH


def test_versions_and_the_deployment_targets_agree(objects: dict[str, Any]) -> None:
    """Of the project, which the app has that says nothing of its own; and of the app with ExecuTorch."""
    version = lutbench.__version__
    assert settings(objects, "MARKETING_VERSION") == {version}
    assert re.findall(r'let version = "([^"]+)"', PACKAGE) == [version]
    (project,) = of_kind(objects, "PBXProject")
    for owner, manifest in ((project, PACKAGE), (target(objects, TARGET_WITH_EXECUTORCH), WITH_EXECUTORCH)):
        (least,) = re.findall(r"\.iOS\(\.v(\d+)\)", manifest)
        assert {entry["IPHONEOS_DEPLOYMENT_TARGET"] for entry in settings_of(objects, owner)} == {f"{least}.0"}
    assert not [entry for entry in settings_of(objects, target(objects, "Lutbench")) if "IPHONEOS" in str(entry)]


def test_the_app_with_executorch_is_compiled_and_linked_with_it(objects: dict[str, Any]) -> None:
    """Kernels and delegate register themselves, so the linker is told to take them whole, as ExecuTorch's docs say."""
    products = re.findall(r'\.product\(name: "(\w+)", package: "executorch"\)', WITH_EXECUTORCH)
    assert products == ["executorch", "backend_xnnpack", "kernels_optimized", "kernels_quantized"]
    whole = [f"$(BUILT_PRODUCTS_DIR)/lib{name}_$(EXECUTORCH_PLATFORM).a" for name in products]
    for entry in settings_of(objects, target(objects, TARGET_WITH_EXECUTORCH)):
        assert entry["OTHER_LDFLAGS"] == ["-ObjC", *(word for path in whole for word in ("-force_load", path))]
        assert entry["EXECUTORCH_PLATFORM[sdk=iphoneos*]"] == "ios"
        condition = entry["SWIFT_ACTIVE_COMPILATION_CONDITIONS"]
        for source in (APP / "Phone.swift", IOS / "Sources/lutbench-app/main.swift"):
            blocks = re.findall(rf"#if {condition}\n\s*(.*)\n\s*#endif", source.read_text())
            assert blocks == ["import LutbenchExecuTorch", "lutbench_add_executorch()"], source
        assert f'.define("{condition}")' in WITH_EXECUTORCH  # as the server on Linux is
    for entry in settings_of(objects, target(objects, "Lutbench")):
        assert "ECUTORCH" not in str(entry) and entry["PRODUCT_NAME"] == "lutbench"


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
    sources += [path for folder in ("Sources", "WithExecuTorch") for path in (IOS / folder).rglob("*.[ch]pp")]
    apples = sum(len(only_for_apple(path.read_text())) for path in sources)
    assert f"Apple's build has beside in `Sources` ({apples} lines:" in page
    assert {name for path in sources for name in re.findall(r"^import (\w+)", path.read_text(), re.MULTILINE)} == {
        "Clibsodium", "Foundation", "LutbenchCore", "LutbenchExecuTorch", "LutbenchServer",
    }  # fmt: skip
    other = [line for manifest in (PACKAGE, WITH_EXECUTORCH) for line in manifest_lines(manifest)]
    assert f"manifests for Apple ({len(other)} lines)" in page


def test_the_picture_shows_the_screen_that_the_source_has() -> None:
    """docs/make_iphone_steps.py draws it anew."""
    script = IOS.parent.parent / "docs/make_iphone_steps.py"
    made = runpy.run_path(str(script))
    assert made["PICTURE"].read_text() == made["picture"]()
    assert f"../pictures/{made['PICTURE'].name}" in (IOS.parent.parent / "docs/how-to/iphone.md").read_text()


def test_packages_are_pinned_to_one_version_each() -> None:
    packages = dict(re.findall(r"\.package\(url: \"[^\"]+/([^\"]+)\", ([^)]*)\)", PACKAGE + WITH_EXECUTORCH))
    assert set(packages) == {"onnxruntime-swift-package-manager", "json", "swift-sodium", "executorch"}
    commit = packages.pop("executorch")
    assert re.fullmatch(r'revision: "[0-9a-f]{40}"', commit)  # of a branch: its Swift package has no tags
    versions = {name: re.fullmatch(r'exact: "([\d.]+)"', how) for name, how in packages.items()}
    assert all(versions.values())
    page = (IOS.parent.parent / "docs/how-to/iphone.md").read_text()
    onnx = versions["onnxruntime-swift-package-manager"]
    (executorch,) = re.findall(r'let executorch = "([\d.]+)"', WITH_EXECUTORCH)
    assert onnx and f"pip install onnxruntime=={onnx[1]}`" in page
    assert f"pip install executorch=={executorch}`" in page


def test_the_information_has_what_ios_asks_for(objects: dict[str, Any]) -> None:
    assert settings(objects, "INFOPLIST_FILE") == {"Info.plist"}
    found = plistlib.loads((APP / "Info.plist").read_bytes())
    for key in ("CFBundleIdentifier", "CFBundleExecutable", "CFBundleShortVersionString", "CFBundleVersion"):
        assert found[key].startswith("$("), key  # the project's own settings
    assert found["NSLocalNetworkUsageDescription"] and "UILaunchScreen" in found
    assert found["UIRequiredDeviceCapabilities"] == ["arm64"]
    assert "UIBackgroundModes" not in found  # it refuses to measure there


def test_the_core_is_the_runners_own_sources() -> None:
    """Not copies: links, and all of them but those of other ways to start it."""
    link = IOS / "Sources/LutbenchCore/runner"
    core = IOS / "WithExecuTorch/Sources/LutbenchExecuTorch/core"
    assert link.is_symlink() and link.samefile(IOS.parent / "runner/src")
    assert core.is_symlink() and core.samefile(link.parent)
    (names,) = re.findall(r"\+ \[((?:\"\w+\",? ?)+)\]", PACKAGE)
    built = {*re.findall(r"\w+", names), *re.findall(r'"runner/(\w+)\.cpp"', PACKAGE)}
    there = {path.stem for path in link.glob("*.cpp")}
    built |= set(re.findall(r'"core/runner/(\w+)\.cpp"', WITH_EXECUTORCH))
    assert there - built == {"main", "server", "follow", "engines_executorch"}
    assert built <= there
