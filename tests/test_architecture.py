"""The house rules of DESIGN.md, section 3: who may import whom, what pure folders may not touch, module length."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "hf_pack"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: room -> rooms it may import (itself and `errors` are always open).
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "formats": set(),
    "model": {"formats"},
    "weights": {"model", "formats"},
    "gpu": {"weights", "model", "formats"},
    "runtimes": {"gpu", "weights", "model", "formats"},
    "layouts": {"runtimes", "model", "formats"},
    "expressions": {"model", "formats"},
    "ports": {"model", "formats"},
    "durable": set(),
    "web_pool": set(),
    "web_bodies": {"web_pool", "ports"},
    "side_by_side": set(),
    "user_path": set(),
    "disk": {"ports", "model", "formats", "durable", "side_by_side"},
    "adapters": {"disk", "ports", "model", "formats", "durable", "web_pool", "side_by_side"}
    | {"web_bodies", "user_path"},
    "steps": {"side_by_side", "ports", "expressions", "layouts", "runtimes", "gpu", "weights", "model", "formats"},
    "wiring": {"adapters", "steps", "runtimes", "gpu", "ports", "model", "user_path"},
    "api": {"wiring", "adapters", "steps", "ports", "durable", "layouts", "runtimes", "gpu", "model", "formats"}
    | {"user_path"},
    "cli": {"api", "wiring", "adapters", "steps", "ports", "expressions", "layouts", "runtimes", "weights", "model"}
    | {"gpu", "formats", "user_path"},
    "__init__": {"api"},
    "__main__": {"cli"},
}
PURE = {"formats", "model", "weights", "gpu", "runtimes", "layouts", "expressions"}
IMPURE_MODULES = {
    "os", "pathlib", "shutil", "tempfile", "subprocess", "socket", "urllib", "http", "time", "datetime",
    "random", "secrets", "sqlite3", "sys", "platform", "getpass", "glob", "threading", "multiprocessing",
}  # fmt: skip
MOST_LINES = 500
#: The groups of steps; each may import from those before it.
STEPS = (
    "workspace", "inspecting", "stored", "trust", "caches", "building", "advice", "comparing", "locking", "registries",
    "serving", "exporting",
)  # fmt: skip


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    room = room_of(path)
    rooms = {name.split(".")[1] for name in imports(ast.parse(path.read_text())) if name.startswith("hf_pack.")}
    used = {other for other in rooms if other in ALLOWED} - {room, "errors"}
    assert used <= ALLOWED[room], f"{room} must not import {sorted(used - ALLOWED[room])}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_adapters_do_not_import_each_other(path: Path) -> None:
    parts = path.relative_to(PACKAGE).parts
    if parts[0] != "adapters" or len(parts) < 2:
        return
    own = parts[1].removesuffix(".py")
    others = {
        name.split(".")[2] for name in imports(ast.parse(path.read_text())) if name.startswith("hf_pack.adapters.")
    }
    assert others <= {own}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_steps_import_only_from_groups_before_theirs(path: Path) -> None:
    parts = path.relative_to(PACKAGE).parts
    if parts[0] != "steps":
        return
    before = STEPS[: STEPS.index(parts[1])] if len(parts) > 2 else ()
    names = [name.split(".") for name in imports(ast.parse(path.read_text())) if name.startswith("hf_pack.steps.")]
    assert {name[2] for name in names} & set(STEPS) <= {*before, parts[1]}


def test_every_group_of_steps_has_its_place() -> None:
    assert {path.parent.name for path in MODULES if path.parent.parent == PACKAGE / "steps"} == set(STEPS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_pure_rooms_touch_nothing(path: Path) -> None:
    if room_of(path) not in PURE:
        return
    tree = ast.parse(path.read_text())
    touched = {name.split(".")[0] for name in imports(tree)} & IMPURE_MODULES
    called = {
        node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    } & {"open", "print", "input", "exec", "eval", "__import__"}
    assert not touched | called


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_every_room_has_its_rule() -> None:
    assert {room_of(path) for path in MODULES} == set(ALLOWED)
