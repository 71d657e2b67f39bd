"""What is shipped: the wheel's files, the locks and what they name."""

import ast
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
PACKAGES = ("teleop_app", "devices", "recorders", "sessions", "ui")
SUITES = ROOT / "devices" / "testing"
"""Run by pytest, at those who write drivers of their own: the extra `testing` brings it."""
LOCKS = sorted([*ROOT.glob("requirements*.lock"), *(ROOT / "bootstrap").glob("*.lock")])


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def _locked(lock: Path) -> set[str]:
    return {_name(line) for line in lock.read_text().splitlines() if re.match(r"[A-Za-z0-9]", line)}


def test_wheel_holds_every_tracked_file_of_the_packages() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of tracked files to compare with")
    listing = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tracked = {path for path in listing.stdout.splitlines() if (ROOT / path).exists()}
    shipped = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert "devices/sim/models/cell.xml" in tracked
    assert tracked - shipped == set()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_lock_is_hashed_and_names_no_package_index(lock: Path) -> None:
    text = lock.read_text()
    assert not re.search(r"://|--(extra-)?index-url|--find-links", text)
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_locks_hold_every_declared_dependency() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = {*declared["project"]["dependencies"], *declared["dependency-groups"]["build"]}
    missing = {_name(each) for each in runtime} - _locked(ROOT / "requirements.lock")
    assert not missing, "run bootstrap/lock"
    wanted = {*runtime, *declared["dependency-groups"]["test"]}
    assert not {_name(each) for each in wanted} - _locked(ROOT / "requirements-test.lock"), (
        "run bootstrap/lock"
    )


def test_test_lock_pins_the_same_versions_as_the_runtime_lock() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^[A-Za-z0-9][^ ]*==[^ ]+", (ROOT / lock).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-test.lock")


def _imports(source: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _extras() -> dict[str, set[str]]:
    return {
        extra: {_name(each) for each in listed}
        for extra, listed in _project()["optional-dependencies"].items()
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_every_imported_package_is_a_declared_dependency(package: str) -> None:
    declared = {_name(each) for each in _project()["dependencies"]}
    for_suites = declared | _extras()["testing"]
    distributions = importlib.metadata.packages_distributions()
    undeclared: dict[str, list[str]] = {}
    for source in (ROOT / package).rglob("*.py"):
        allowed = for_suites if SUITES in source.parents else declared
        for name in _imports(source) - set(sys.stdlib_module_names) - set(PACKAGES):
            # A distribution that is one compiled module is not in the map: it carries the module's own name.
            if not allowed & {_name(each) for each in [name, *distributions.get(name, [])]}:
                undeclared.setdefault(name, []).append(str(source.relative_to(ROOT)))
    assert undeclared == {}


def _vendor_modules(source: Path) -> set[tuple[str, str]]:
    """Module and extra of each call of `vendor_module`; constants of the file stand for their values."""
    tree = ast.parse(source.read_text())
    constants: dict[str, str] = {}
    for node in tree.body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant):
            constants[target.id] = str(node.value.value)

    def text(node: ast.expr) -> str:
        return constants[node.id] if isinstance(node, ast.Name) else str(ast.literal_eval(node))

    return {
        (text(node.args[0]), text(node.args[2]) if len(node.args) > 2 else "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "vendor_module"
    }


def test_every_vendor_package_belongs_to_a_declared_extra() -> None:
    extras = {"": {_name(each) for each in _project()["dependencies"]}} | _extras()
    used = {call for source in (ROOT / "devices").rglob("*.py") for call in _vendor_modules(source)}
    assert {extra for _, extra in used} >= {"realsense", "oak", "ur", "xarm", "franka", "openxr", ""}
    assert {extra for _, extra in used} <= set(extras)
    for module, extra in used:
        package = module.split(".")[0]
        if importlib.util.find_spec(package) is not None:
            assert any(_brings(each, package) for each in extras[extra]), f"{module}, extra {extra!r}"


def _brings(distribution: str, package: str) -> bool:
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return False
    return any(file.parts[0].split(".")[0] == package for file in files)
