"""Prepares a virtual environment for the Makefile, and says in one line what the machine lacks.

Runs before anything is installed, so it imports the standard library only. The Makefile has looked for Python itself.

    venv.py create FOLDER              check the machine, make an empty environment      (any Python)
    venv.py needs GROUP...             install what poolwise and the named extras need   (the environment's Python)
    venv.py project [--editable]       build this checkout and install it                (the environment's Python)
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REFUSED = 2
NO_NETWORK = (
    "connection broken by",
    "failed to establish a new connection",
    "max retries exceeded",
    "name resolution",
    "network is unreachable",
    "read timed out",
    "(from versions: none)",
)
NO_COMPILER = ("microsoft visual c++", "unable to find vcvarsall")  # Windows; elsewhere it is looked for beforehand

GET_VENV = "apt-get install python3-venv (Debian, Ubuntu), dnf install python3-pip (Fedora, RHEL)"
GET_COMPILER = (
    "apt-get install gcc libc6-dev (Debian, Ubuntu), dnf install gcc (Fedora, RHEL), xcode-select --install (macOS), "
    "winget install Microsoft.VisualStudio.2022.BuildTools with its C++ workload (Windows)"
)
GET_HEADERS = "apt-get install python3-dev (Debian, Ubuntu), dnf install python3-devel (Fedora, RHEL)"


def refuse(what, remedy):
    sys.stderr.write(f"poolwise: {what}: {remedy}\n")
    sys.exit(REFUSED)


def check_machine():
    # Looked for, not imported: Debian ships Python without ensurepip, some distributions without venv.
    if not all(importlib.util.find_spec(name) for name in ("ensurepip", "venv")):
        refuse(f"{sys.executable} cannot make virtual environments (venv or ensurepip is missing)", GET_VENV)
    if sys.platform == "win32":
        return  # setuptools finds the Microsoft compiler by itself, and no check of ours would find it better
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        refuse(f"no C compiler ({compiler} is not on the path; CC names another)", GET_COMPILER)
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
        refuse(f"the C header files of {sys.executable} are missing (Python.h)", GET_HEADERS)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.c"
        source.write_text("#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n")
        probe = [compiler, "-c", str(source), "-o", str(Path(folder) / "probe.o")]
        if subprocess.run(probe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
            refuse(f"the C compiler {compiler} cannot compile an empty program", GET_COMPILER)


def create(folder):
    check_machine()
    import venv

    print(f"making {folder} with Python {sys.version.split()[0]}", flush=True)
    venv.EnvBuilder(clear=True, with_pip=True).create(folder)


def pip(*arguments):
    """Runs pip; its own words are shown only when it fails, and not even then when one line says it better."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install"]
    with tempfile.TemporaryFile() as log:
        code = subprocess.run([*command, *arguments], stdout=log, stderr=subprocess.STDOUT, check=False).returncode
        if code == 0:
            return
        log.seek(0)
        said = log.read().decode(errors="replace")
    if any(sign in said.lower() for sign in NO_NETWORK):
        refuse(
            "the package index cannot be reached, and poolwise's dependencies come from there",
            "check the network or the proxy (HTTPS_PROXY), or point pip at a mirror (pip config set global.index-url)",
        )
    if any(sign in said.lower() for sign in NO_COMPILER):
        refuse("no C compiler", GET_COMPILER)
    sys.stderr.write(said[-20_000:])
    sys.exit(f"poolwise: pip could not install {' '.join(arguments)}; its words are above")


def needs(groups):
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = declared["project"]
    wanted = [*declared["build-system"]["requires"], *project["dependencies"]]
    for group in groups:
        wanted += project["optional-dependencies"][group]
    print(f"installing what is needed ({', '.join(['poolwise', *groups])})", flush=True)
    pip("--upgrade", "--upgrade-strategy", "only-if-needed", *wanted)


def forget_last_build():
    """Empties what a build leaves behind but its binaries: setuptools would pack files that were deleted since."""
    for stale in ROOT.glob("*.egg-info"):
        shutil.rmtree(stale)
    for library in ROOT.glob("build/*/lib*"):
        for path in library.rglob("*"):
            if path.is_file() and path.suffix not in (".so", ".pyd"):
                path.unlink()


def project(editable):
    forget_last_build()
    print("building and installing poolwise", flush=True)
    # Not through a build environment of its own: the build tools are installed already, and this runs often.
    how = ["--no-deps", "--no-build-isolation", "--force-reinstall"]
    pip(*how, *(["--editable"] if editable else []), str(ROOT))


def main(arguments):
    if arguments[:1] == ["create"] and len(arguments) == 2:
        return create(arguments[1])
    if arguments[:1] == ["needs"]:
        return needs(arguments[1:])
    if arguments[:1] == ["project"]:
        return project(editable="--editable" in arguments)
    return sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
