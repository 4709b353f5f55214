"""The code of a lab's mechanism, as it runs, read without importing the experiments."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path


def path(lab: str) -> Path | None:
    """Return the file of a lab's module, or None where the experiments or the lab are not installed."""
    package = find_spec("ktlabs")
    if package is None or package.origin is None:
        return None
    return next(iter(sorted(Path(package.origin).parent.glob(f"*/{lab.replace('-', '_')}.py"))), None)


def source(lab: str, names: Sequence[str]) -> str:
    """Return the source of some functions of a lab's module.

    Raises
    ------
    ValueError
        If there is no such module or function.
    """
    file = path(lab)
    if file is None:
        raise ValueError(f"the lab {lab} has no module in ktlabs: write <theme>/{lab.replace('-', '_')}.py")
    text = file.read_text(encoding="utf-8")
    functions = {
        node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    if missing := [name for name in names if name not in functions]:
        raise ValueError(f"labs/{lab}.yaml, mechanism: the lab's module has no function {missing[0]!r}")
    return "\n\n".join(ast.get_source_segment(text, functions[name]) or "" for name in names) + "\n"
