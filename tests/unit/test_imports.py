"""The house: arrows between rooms point down only, and the review does without the experiments."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"
#: What each room may import of the project, besides itself.
ALLOWED = {
    "ktreview.corpus": set(),
    "ktreview.analysis": {"ktreview.corpus"},
    "ktreview.show": {"ktreview.corpus", "ktreview.analysis"},
    "ktreview.publish": {"ktreview.corpus", "ktreview.analysis", "ktreview.show"},
    "ktreview.site": {"ktreview.corpus", "ktreview.analysis", "ktreview.show", "ktreview.publish"},
    "ktlabs": {"ktreview.corpus"},
}
#: Commands may use all rooms: of the review, and of the experiments the words of the review.
COMMANDS = {"ktlabs/commands.py"}


def imported(path):
    """Name every module of the project that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def room_of(module):
    parts = module.split(".")
    if parts[0] == "ktlabs":
        return "ktlabs"
    return ".".join(parts[:2]) if parts[0] == "ktreview" and len(parts) > 1 else parts[0]


def upward(files):
    """Name the imports that no room may make."""
    for path in files:
        name = path.relative_to(SRC).as_posix()
        room = room_of(".".join(path.relative_to(SRC).with_suffix("").parts))
        if room not in ALLOWED or name in COMMANDS:
            continue
        for module in imported(path):
            target = room_of(module)
            if target in ALLOWED and target != room and target not in ALLOWED[room]:
                yield f"{name} imports {module}"


def test_arrows_between_rooms_point_down_only():
    files = sorted(SRC.rglob("*.py"))
    assert len(files) > 100
    assert list(upward(files)) == []


def test_an_upward_arrow_is_seen(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "SRC", tmp_path)
    path = tmp_path / "ktreview" / "corpus" / "odd.py"
    path.parent.mkdir(parents=True)
    path.write_text("def f():\n    from ktreview.show import markup\n    import ktlabs.bench\n")
    assert list(upward([path])) == [
        "ktreview/corpus/odd.py imports ktreview.show.markup",
        "ktreview/corpus/odd.py imports ktlabs.bench",
    ]


def modules():
    return {".".join(path.relative_to(SRC).with_suffix("").parts): path for path in SRC.rglob("*.py")}


@pytest.mark.parametrize("package", ["ktreview", "ktlabs"])
def test_no_modules_import_each_other_in_a_circle(package):
    files = {name: path for name, path in modules().items() if name.startswith(package)}
    arrows = {
        name: {
            known
            for module in imported(path)
            for known in (module, module.rpartition(".")[0])
            if known in files and known != name
        }
        for name, path in files.items()
    }
    done, open_ = set(), []

    def walk(name):
        assert name not in open_, " → ".join([*open_[open_.index(name) :], name])
        if name in done:
            return
        open_.append(name)
        for target in sorted(arrows[name]):
            walk(target)
        open_.pop()
        done.add(name)

    for name in sorted(arrows):
        walk(name)


def test_the_review_never_imports_the_experiments():
    found = {
        f"{name} imports {module}"
        for name, path in modules().items()
        if name.startswith("ktreview")
        for module in imported(path)
        if module.split(".")[0] == "ktlabs"
    }
    assert found == set()


#: What `import ktreview` may bring in besides Python's own modules, with what these need themselves.
NEEDED = ("pandas", "numpy", "pydantic", "yaml")


def test_the_package_needs_four_others_and_imports_nothing_else():
    code = f"""
import importlib.abc, importlib.metadata, sys
for name in {NEEDED!r}:
    __import__(name)
there = set(sys.modules)
class Nothing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {(*NEEDED, "ktreview", "annotated_types", "pydantic_core")!r}:
            raise ImportError(f"{{name}} is not to be had")
sys.meta_path.insert(0, Nothing())
import ktreview
review = ktreview.load_review({str(Path(__file__).parents[1] / "mini")!r})
assert len(repr(review)) < 200, repr(review)
from ktreview import show
print({{name.partition(".")[0] for name in set(sys.modules) - there}} - set(sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout) <= {*NEEDED, "ktreview", "annotated_types"}
