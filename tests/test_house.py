"""The house stands: no import runs upwards, no circle, no room too full. The source is read, nothing of it is run."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
FLOORS = (("contest",), ("evaluator", "submission"), ("leaderboard",), ("jdart", "organiser"), ("toylab", "benchmarks"))
GROUND = (
    {"yaml", "click"},
    {"PIL", "numpy", "rich"},
)  # from outside: anywhere; inside functions
FULL = 15  # files of a room, without __init__.py


def modules() -> dict[str, Path]:
    """Dotted name -> file."""
    found = {}
    for package in (name for floor in FLOORS for name in floor):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of all that a file imports, at the top or inside functions, for types too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports in full"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def ours(name: str, known: dict[str, Path]) -> str | None:
    """The module of ours that a dotted name means: itself, or the one that holds it."""
    return name if name in known else name.rpartition(".")[0] if name.rpartition(".")[0] in known else None


def arrows(known: dict[str, Path]) -> dict[str, dict[str, int]]:
    """Module -> the modules it imports -> a line that does."""
    return {
        module: {
            target: line
            for line, name in imports(path)
            if (target := ours(name, known)) is not None and target != module
        }
        for module, path in known.items()
    }


KNOWN = modules()
ARROWS = arrows(KNOWN)


def test_no_import_runs_upwards_or_across():
    floor = {package: number for number, packages in enumerate(FLOORS) for package in packages}
    wrong = []
    for module, targets in ARROWS.items():
        here = module.split(".")[0]
        for target, line in targets.items():
            there = target.split(".")[0]
            if here != there and floor[there] >= floor[here]:
                wrong.append(f"{KNOWN[module].relative_to(ROOT)}:{line} imports {target}")
    assert not wrong, "a package imports only from the floors below it (CONTRIBUTING.md):\n" + "\n".join(wrong)


def test_no_circle():
    circle = circle_in(ARROWS)
    assert circle is None, "these files import each other, move what they share below them:\n" + "\n".join(
        f"{KNOWN[a].relative_to(ROOT)}:{ARROWS[a][b]} imports {b}" for a, b in zip(circle, circle[1:])
    )


def circle_in(arrows: dict[str, dict[str, int]]) -> list[str] | None:
    """One circle, its first and last stop the same, or None."""
    done: set[str] = set()

    def visit(module: str, trail: list[str]) -> list[str] | None:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done:
            return None
        for target in arrows[module]:
            found = visit(target, [*trail, module])
            if found is not None:
                return found
        done.add(module)
        return None

    return next((found for module in arrows if (found := visit(module, [])) is not None), None)


def test_a_circle_is_found():
    assert circle_in({"a": {"b": 1}, "b": {"c": 1}, "c": {"b": 2}}) == ["b", "c", "b"]
    assert circle_in({"a": {"b": 1, "c": 1}, "b": {"c": 1}, "c": {}}) is None


def test_the_ground_floor_is_light():
    anywhere, inside = GROUND
    wrong = []
    for module, path in KNOWN.items():
        if module.split(".")[0] != "contest":
            continue
        top = {node.lineno for node in ast.parse(path.read_text("utf-8")).body}
        for line, name in imports(path):
            allowed = {"contest"} | anywhere | sys.stdlib_module_names | (set() if line in top else inside)
            if name.split(".")[0] not in allowed:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong, f"contest takes only {anywhere} from outside, and {inside} in functions:\n" + "\n".join(wrong)


def test_no_room_is_too_full():
    rooms: dict[Path, int] = {}
    for path in KNOWN.values():
        if path.name != "__init__.py":
            rooms[path.parent] = rooms.get(path.parent, 0) + 1
    full = [f"{room.relative_to(ROOT)}: {count} files" for room, count in rooms.items() if count > FULL]
    assert not full, f"at most {FULL} files a folder; make a room for what belongs together:\n" + "\n".join(full)


def test_every_package_says_what_it_may_import():
    for packages in FLOORS[:4]:
        for package in packages:
            first = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text("utf-8")))
            assert first is not None, f"{package}/__init__.py has no docstring"
            line = first.split("\n")[0]
            assert "imports" in line.lower(), f"{package}/__init__.py: its first line does not say what it may import"


def at_the_top(path: Path) -> list[ast.stmt]:
    return ast.parse(path.read_text("utf-8")).body


def imported_at_once(path: Path) -> set[str]:
    """The dotted names that are imported as soon as the file is."""
    body = at_the_top(path)
    names = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
    return names | {
        f"{node.module}.{alias.name}" for node in body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def brings_jittor() -> set[str]:
    """The modules that import Jittor as soon as they are imported themselves."""
    needs = {module: imported_at_once(path) for module, path in KNOWN.items()}
    found = {module for module, names in needs.items() if any(name.split(".")[0] == "jittor" for name in names)}
    while more := {m for m, names in needs.items() if m not in found and {ours(name, KNOWN) for name in names} & found}:
        found |= more
    return found


def starts_jittor(path: Path) -> bool:
    calls = (node.value for node in at_the_top(path) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
    return any(isinstance(call.func, ast.Name) and call.func.id == "start" for call in calls)


def test_the_tests_start_jittor_before_they_import_it():
    """On a machine with nvcc and no driver Jittor dies at import, unless `jdart.runtime.start` was there first."""
    heavy = brings_jittor()
    assert {"jdart.models.networks.unet", "jdart.image_prompts.adapter"} <= heavy and "jdart.config" not in heavy
    started = {path.parent for path in TESTS.rglob("conftest.py") if starts_jittor(path)}
    assert TESTS / "jdart" in started
    wrong = [
        str(path.relative_to(ROOT))
        for path in sorted(TESTS.rglob("*.py"))
        if not started & set(path.parents) and {ours(name, KNOWN) for name in imported_at_once(path)} & heavy
    ]
    assert not wrong, "a conftest.py beside these calls jdart.runtime.start first:\n" + "\n".join(wrong)
