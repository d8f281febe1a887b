"""Facts about the tree itself: what is packed, what a file may hold, and that every example in a docstring runs."""

import ast
import doctest
import importlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = ("data_specs", "riskadjust", "rating", "poolwise")
CODE = (".py", ".pyx", ".pxd", ".pyi")
TEXT = (*CODE, ".md", ".toml", ".yml", ".yaml", ".in", ".html", ".css", ".json", ".cfg", ".sh")
NOT_OURS = {".git", ".venv", "build", "dist", "site", "out", "__pycache__"}


def tree_files():
    """Files of the project, tracked or about to be, relative to its root."""
    listing = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(listing, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):  # unpacked from a source distribution: there is no git folder
        listed = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*")]
    paths = sorted({PurePosixPath(name) for name in listed if name})
    return [path for path in paths if not NOT_OURS & set(path.parts) and (ROOT / path).is_file()]


FILES = tree_files()


def lines_with(pattern, files):
    """Where a pattern occurs, as file:line."""
    return [
        f"{path}:{number}"
        for path in files
        for number, line in enumerate(read(path).splitlines(), 1)
        if pattern.search(line)
    ]


def any_of(words):
    return re.compile("|".join(re.escape(word) for word in words))


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def of_packages():
    return [path for path in FILES if path.parts[0] in PACKAGES]


def kernels():
    """Module -> source, as the extension table of setup.py has them."""
    for node in ast.parse(read("setup.py")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "EXTENSIONS":
            return ast.literal_eval(node.value)
    raise AssertionError("setup.py has no table named EXTENSIONS")


@pytest.fixture(scope="module")
def installed():
    """Files of the installed copy; an editable install has none of its own, and proves nothing about a wheel."""
    distribution = importlib.metadata.distribution("poolwise")
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        pytest.skip("poolwise is installed editable here; `make test` installs a copy")
    return {PurePosixPath(name.as_posix()) for name in distribution.files}


# ------------------------------------------------------------------------------------------------ what is packed


def test_every_package_folder_is_listed():
    on_disk = {".".join(path.parent.parts) for path in of_packages() if path.name == "__init__.py"}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == on_disk


@pytest.mark.parametrize("package", PACKAGES)
def test_code_lies_in_package_folders(package):
    folders = {path.parent for path in of_packages() if path.parts[0] == package and path.suffix == ".py"}
    packages = {path.parent for path in of_packages() if path.name == "__init__.py"}
    assert folders <= packages


def test_installed_copy_holds_the_code_and_the_data(installed):
    expected = {path for path in of_packages() if path.suffix != ".md"}
    assert any(path.suffix == ".toml" for path in expected)
    missing = sorted(str(path) for path in expected - installed)
    assert missing == []


def test_installed_copy_holds_nothing_else(installed):
    expected = set(of_packages())
    binaries = {module.rsplit(".", 1)[-1] for module in kernels()}
    extra = []
    for path in installed - expected:
        is_bookkeeping = path.parts[0].endswith(".dist-info") or "__pycache__" in path.parts or path.parts[0] == ".."
        is_binary = path.suffix in (".so", ".pyd") and path.name.split(".")[0] in binaries
        if not is_bookkeeping and not is_binary:
            extra.append(str(path))
    assert sorted(extra) == []


def test_packages_are_imported_from_the_installed_copy(installed):
    for package in PACKAGES:
        origin = Path(importlib.import_module(package).__file__)
        assert not origin.is_relative_to(ROOT / package), f"{package} is imported from the checkout"


def test_each_package_says_it_is_typed():
    assert {PurePosixPath(package, "py.typed") for package in PACKAGES} <= set(FILES)


@pytest.mark.slow
def test_wheel_of_the_source_distribution_is_complete(tmp_path):
    tree = tmp_path / "tree"
    for path in FILES:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, tree / path)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(tree)]
    built = subprocess.run(build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert built.returncode == 0, built.stdout.decode(errors="replace")[-5000:]
    (archive,) = (tmp_path / "dist").glob("*.tar.gz")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert "-cp311-abi3-" in wheel.name
    with tarfile.open(archive) as opened:
        packed = {PurePosixPath(*PurePosixPath(name).parts[1:]) for name in opened.getnames()}
    with zipfile.ZipFile(wheel) as opened:
        names = {PurePosixPath(name) for name in opened.namelist()}
    sources = {path for path in FILES if path.parts[0] in (*PACKAGES, "_ext", "tests") and path.suffix != ".md"}
    assert sorted(map(str, sources - packed)) == []
    assert not any(path.suffix in (".c", ".so") for path in packed)
    assert sorted(str(path) for path in of_packages() if path.suffix != ".md" and path not in names) == []
    assert not {path.parts[0] for path in names if not path.parts[0].endswith(".dist-info")} - set(PACKAGES)


# ------------------------------------------------------------------------------------------------ version


def test_installed_version_is_the_declared_one():
    assert importlib.metadata.version("poolwise") == PROJECT["project"]["version"]


def test_version_is_written_once():
    version = re.escape(PROJECT["project"]["version"])
    pattern = re.compile(rf"""(?:version\w*["']?\s*[=:]|poolwise[ -])\s*["']?{version}\b""", re.IGNORECASE)
    configuration = [
        path for path in FILES if path.suffix in (*CODE, ".toml", ".yml", ".cfg") and "tables" not in path.parts
    ]
    holders = [str(path) for path in configuration if path.parts[0] != "tests" and pattern.search(read(path))]
    assert holders == ["pyproject.toml"]


# ------------------------------------------------------------------------------------------------ kernels


def test_every_kernel_source_is_in_the_extension_table():
    assert {str(path) for path in FILES if path.suffix == ".pyx"} == set(kernels().values())


def test_no_generated_c_is_kept():
    assert [str(path) for path in FILES if path.suffix in (".c", ".cpp", ".so", ".pyd")] == []


@pytest.mark.parametrize("source", sorted(kernels().values()))
def test_kernel_leaves_checks_to_the_build(source):
    """A directive in the file would win over POOLWISE_DEBUG_KERNELS, and the debug build would check nothing."""
    directive = re.compile(r"#\s*cython:|\b(?:boundscheck|wraparound|initializedcheck|cdivision)\b")
    assert [number for number, line in enumerate(read(source).splitlines(), 1) if directive.search(line)] == []


@pytest.mark.parametrize("source", sorted(kernels().values()))
def test_kernel_uses_no_numpy_headers_and_no_openmp(source):
    assert (
        re.search(r"^\s*(?:from|cimport)\s+(?:numpy|openmp|cython\.parallel)\b.*", read(source), re.MULTILINE) is None
    )


def kernel_signatures(source):
    """Name -> argument names of each function of a .pyx that Python can call."""
    found = {}
    for name, arguments in re.findall(r"^(?:def|cpdef\s+[\w ]*?)\s*(\w+)\s*\(([^)]*)\)", read(source), re.MULTILINE):
        plain = re.sub(r"#[^\n]*|\[[^\]]*\]", "", arguments)
        named = [argument.split("=")[0].split() for argument in plain.split(",")]
        found[name] = [words[-1] for words in named if words]
    return found


def stub_signatures(stub):
    """Name -> argument names of each function of a .pyi, each of them annotated."""
    found = {}
    for node in ast.parse(read(stub)).body:
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            assert node.returns is not None, f"{stub}: {node.name} has no return type"
            assert all(argument.annotation for argument in arguments), f"{stub}: {node.name} has untyped arguments"
            found[node.name] = [argument.arg for argument in arguments]
    return found


@pytest.mark.parametrize(("module", "source"), sorted(kernels().items()))
def test_stub_has_the_signatures_of_its_kernel(module, source):
    stub = PurePosixPath(module.replace(".", "/")).with_suffix(".pyi")
    assert stub in FILES, f"{source} has no stub {stub}"
    expected = kernel_signatures(source)
    if not expected:
        assert "cdef class " in read(source), f"{source} offers neither function nor class"
    assert stub_signatures(stub) == expected


@pytest.mark.parametrize("module", sorted(kernels()))
def test_stub_names_what_the_binary_has(module):
    compiled = importlib.import_module(module)
    stub = PurePosixPath(module.replace(".", "/")).with_suffix(".pyi")
    assert [name for name in stub_signatures(stub) if not callable(getattr(compiled, name, None))] == []


# ------------------------------------------------------------------------------------------------ what a file may hold


def test_no_file_is_a_drawer_for_everything():
    drawers = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert [str(path) for path in FILES if path.suffix in CODE and path.stem.strip("_") in drawers] == []


def test_no_file_is_too_long():
    code = [path for path in FILES if path.suffix in CODE and path.parts[0] != "tests"]
    assert [str(path) for path in code if len(read(path).splitlines()) > 500] == []


@pytest.mark.parametrize("name", PROJECT["tool"]["setuptools"]["packages"])
def test_public_names_exist(name):
    package = importlib.import_module(name)
    assert [entry for entry in getattr(package, "__all__", []) if not hasattr(package, entry)] == []


def test_frames_are_not_taken_apart_row_by_row():
    calls = re.compile(r"\.(?:map_elements|to_pandas|iter_rows|apply)\(")
    assert lines_with(calls, [path for path in of_packages() if path.suffix == ".py"]) == []


def is_module_of_ours(name):
    path = PurePosixPath(name.replace(".", "/"))
    return bool({path.with_suffix(".py"), path.with_suffix(".pyi"), path / "__init__.py"} & set(FILES))


def private_names_used(source):
    """Line and name of what a module takes from another although its name says that it is that module's own."""
    found, modules = [], set()
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] not in PACKAGES:
            continue
        for imported in node.names:
            if is_module_of_ours(f"{node.module}.{imported.name}"):
                modules.add(imported.asname or imported.name)
            elif imported.name.startswith("_"):
                found.append(f"{node.lineno}: {imported.name}")
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            found += [f"{node.lineno}: {node.attr}"] if re.match(r"_(?!_)", node.attr) else []
    return found


def test_private_names_are_seen():
    assert private_names_used("from data_specs import _frames") == []
    assert private_names_used("from data_specs._years import _OPEN, year_ranges") == ["1: _OPEN"]
    assert private_names_used("def f():\n    from data_specs import _years as y\n    return y._OPEN") == ["3: _OPEN"]
    assert private_names_used("from data_specs import _years\n_years.rows_of_year.__doc__") == []


@pytest.mark.slow  # every module is parsed
def test_private_names_stay_in_their_module():
    modules = [path for path in of_packages() if path.suffix == ".py"]
    assert [f"{path}:{place}" for path in modules for place in private_names_used(read(path))] == []


# Written in pieces, so that this file does not name what it forbids.
PLACES = ["../" + "shared", "/work/" + "main", "/work/" + "shared", "." + "library", "/root" + "/", "/home" + "/"]
REGISTRIES = ["pypi" + ".org", "python" + "hosted", "/opt/" + "pypi", "npm" + "js.", "deb." + "debian"]
LEFT_TO_DO = ["TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error"]


def text_files():
    bare = {"Makefile", "LICENSE", ".gitignore"}
    return [path for path in FILES if path.suffix in TEXT or path.name in bare]


def test_no_file_names_a_place_of_one_machine():
    assert lines_with(any_of(PLACES + REGISTRIES), text_files()) == []


def test_nothing_is_left_to_do():
    assert lines_with(any_of(LEFT_TO_DO), [path for path in FILES if path.suffix in CODE]) == []


def test_spelling_is_american():
    british = [
        "enrol" + "ments?",
        "progra" + "mmes?",
        "utili" + "sation",
        "behavi" + "ours?",
        "licen" + "ce",
        "colo" + "urs?",
    ]
    words = re.compile(rf"(?<![a-z])(?:{'|'.join(british)})(?![a-z])", re.IGNORECASE)
    prose = [path for path in FILES if path.suffix in (*CODE, ".md") and path.parts[0] != "tests"]
    assert lines_with(words, prose) == []


# ------------------------------------------------------------------------------------------------ examples


def public_modules():
    names = [path.with_suffix("") for path in of_packages() if path.suffix == ".py"]
    return sorted(".".join(path.parent.parts if path.name == "__init__" else path.parts) for path in names)


@pytest.mark.parametrize("name", public_modules())
def test_examples_in_docstrings_run(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples of {name} fail; see the captured output"


def test_importing_scores_does_not_load_the_rest():
    """A nightly job that only scores pays for neither prices nor pages."""
    code = "import sys, riskadjust; print(sorted({'rating', 'poolwise', 'altair', 'typer'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=dict(os.environ))
    assert said.stdout.decode().strip() == "[]"
