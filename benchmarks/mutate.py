"""Changes one thing at a time in modules of the detection, and counts which changes no test notices.

Usage, from the project's folder: python -m benchmarks.mutate [module.py ...]

A bounded companion of `mutation.sh`: fewer kinds of change (comparisons, and/or, plus/minus, numbers, negations, truth
values), each tried once in a copy of the tree, with a time limit, since some changes loop for ever.
"""

import ast
import copy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

_WORKERS = 2
_SECONDS = 90
_MODULES = ("stream_processor/detection.py", "stream_processor/decisions.py")
_TESTS = (
    "test_detection_bounds.py",
    "test_kinds_bounds.py",
    "test_log_clock.py",
    "test_processor.py",
    "test_lifecycle_steps.py",
    "test_detection_against_oracle.py",
    "test_kinds_in_the_processor.py",
    "test_kinds_against_oracle.py",
)
_OTHER: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add,
}  # fmt: skip


def changed(node: ast.AST) -> ast.AST | None:
    """`node` with one thing changed; None where there is nothing to change."""
    new = copy.deepcopy(node)
    match new:
        case ast.Compare(ops=[operator]) if type(operator) in _OTHER:
            new.ops = [_OTHER[type(operator)]()]  # type: ignore[list-item]
        case ast.BoolOp(op=operator) | ast.BinOp(op=operator) | ast.AugAssign(op=operator) if type(operator) in _OTHER:
            new.op = _OTHER[type(operator)]()  # type: ignore[assignment]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand
        case ast.Constant(value=bool(value)):
            new.value = not value
        case ast.Constant(value=int(value)):
            new.value = value + 1
        case _:
            return None
    return new


class _Change(ast.NodeTransformer):
    """Puts `new` where `old` stands."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else super().generic_visit(node)


def changes(source: str) -> Iterator[tuple[str, str]]:
    """Every changed form of `source`, with the place and what was changed."""
    for number, found in enumerate(ast.walk(ast.parse(source))):
        tree = ast.parse(source)
        node = list(ast.walk(tree))[number]
        new = changed(node)
        if new is not None:
            what = f"line {getattr(found, 'lineno', 0)}: {ast.unparse(node)} -> {ast.unparse(new)}"
            yield what, ast.unparse(ast.fix_missing_locations(_Change(node, new).visit(tree)))


def is_noticed(tree: Path, module: str, text: str) -> bool:
    """Whether a test fails, or does not end, on the changed module."""
    kept = (tree / module).read_text()
    (tree / module).write_text(text)
    tests = [f"tests/unit/stream_processor/{name}" for name in _TESTS]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=tree, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 - our tests
    except subprocess.TimeoutExpired:
        return True
    finally:
        (tree / module).write_text(kept)
    return done.returncode != 0


def main(modules: list[str]) -> None:
    """Try every change, and print what was not noticed and the score of each module."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(_WORKERS) as threads:
        trees: Queue[Path] = Queue()
        for number in range(_WORKERS):
            tree = Path(name) / str(number)
            shutil.copytree(".", tree, ignore=shutil.ignore_patterns(".venv", ".git", ".state", ".*_cache", "docs"))
            trees.put(tree)
        for module in modules:
            _report(module, threads, trees)


def _report(module: str, threads: ThreadPoolExecutor, trees: "Queue[Path]") -> None:
    def attempt(change: tuple[str, str]) -> tuple[str, bool]:
        tree = trees.get()
        try:
            return change[0], is_noticed(tree, module, change[1])
        finally:
            trees.put(tree)

    found = list(threads.map(attempt, changes(Path(module).read_text())))
    missed = [what for what, noticed in found if not noticed]
    sys.stdout.writelines(f"{module}: not noticed: {what}\n" for what in missed)
    sys.stdout.write(f"{module}: {len(found) - len(missed)} of {len(found)} changes noticed\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:] or list(_MODULES))
