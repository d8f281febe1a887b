"""The PyPI package hccpy in an environment of its own (it needs setuptools below 80), asked through a small program.

hccpy scores a person at a time, for one metal, with the rules of benefit year 2019 or 2022. It is asked about 2019, the
year whose grouping and interaction rules it has.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

BENEFIT_YEAR = 2019
_ROOT = Path(__file__).resolve().parent.parent
_ENVIRONMENT = _ROOT / "build" / "bench" / "hccpy"
_NEEDS = ("hccpy==0.1.9", "setuptools<80", "numpy")
_PROGRAM = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
from hccpy.hhshcc import HHSHCCEngine

asked = json.load(open(sys.argv[1], encoding="utf-8"))
engine = HHSHCCEngine(myear=asked["year"])
people = asked["people"]

def ask(person):
    codes, age, sex, months = person
    return engine.profile(codes, age=age, sex=sex, enroll_months=months, plate=asked["plate"])

for person in people[:50]:
    ask(person)
begin = time.perf_counter()
profiles = [ask(person) for person in people]
seconds = time.perf_counter() - begin
answer = {"seconds": seconds, "scores": [float(p["risk_score"]) for p in profiles],
          "hccs": [sorted(p["hcc_lst"]) for p in profiles]}
json.dump(answer, open(sys.argv[2], "w", encoding="utf-8"))
"""


def environment() -> Path:
    """Return the Python of hccpy's environment, made first if it is missing (needs the package index)."""
    folder = "Scripts" if sys.platform == "win32" else "bin"
    python = _ENVIRONMENT / folder / ("python.exe" if sys.platform == "win32" else "python")
    if (_ENVIRONMENT / "complete").is_file():
        return python
    venv.EnvBuilder(clear=True, with_pip=True).create(_ENVIRONMENT)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_NEEDS]
    subprocess.run(command, check=True, capture_output=True)
    (_ENVIRONMENT / "complete").touch()
    return python


def profiles(people: list[tuple[Any, ...]], plate: str = "S") -> dict[str, Any]:
    """Return seconds of the scoring loop alone, scores and HCC lists of people (codes, age, sex, months)."""
    python = environment()
    with tempfile.TemporaryDirectory() as folder:
        asked, answer, program = (Path(folder) / name for name in ("asked.json", "answer.json", "program.py"))
        asked.write_text(json.dumps({"year": str(BENEFIT_YEAR), "plate": plate, "people": people}), encoding="utf-8")
        program.write_text(_PROGRAM, encoding="utf-8")
        subprocess.run([str(python), str(program), str(asked), str(answer)], check=True, capture_output=True)
        return dict(json.loads(answer.read_text(encoding="utf-8")))
