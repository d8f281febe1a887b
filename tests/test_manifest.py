"""A result folder is published complete or not at all, and its manifest says what made it."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time

import polars as pl
import pytest

from data_specs import _manifest
from data_specs._manifest import describe_run, publishing, read_manifest, write_manifest
from data_specs.errors import OutputRefused


def publish(place, text="new", name="scores.csv"):
    with publishing(place) as staging:
        (staging / name).write_text(text, encoding="utf-8")
        write_manifest(staging, describe_run("test", {}))


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture(params=["exchange", "renames"])
def way(request, monkeypatch):
    """Both ways of taking a place: the exchange of names (where the system has it) and two renames."""
    if request.param == "renames":
        monkeypatch.setattr(_manifest, "_exchange", lambda *_: False)
    return request.param


# ------------------------------------------------------------------------------------------------ publication


def test_new_folder_with_its_parents(tmp_path):
    publish(tmp_path / "a" / "b")
    assert names(tmp_path) == ["a", "a/b", "a/b/manifest.json", "a/b/scores.csv"]


def test_empty_folder_is_taken(tmp_path, way):
    (tmp_path / "out").mkdir()
    publish(tmp_path / "out")
    assert names(tmp_path) == ["out", "out/manifest.json", "out/scores.csv"]


def test_earlier_result_is_replaced_as_a_whole(tmp_path, way):
    publish(tmp_path / "out", "old", "old.csv")
    publish(tmp_path / "out", "new", "new.csv")
    assert names(tmp_path) == ["out", "out/manifest.json", "out/new.csv"]
    assert (tmp_path / "out" / "new.csv").read_text() == "new"


def test_exchange_is_one_step_where_the_system_has_it(tmp_path):
    if sys.platform not in ("linux", "darwin"):
        pytest.skip("this system has no exchange of names")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not _manifest._exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this file system has no exchange of names")
    assert names(tmp_path) == ["one", "one/other", "other", "other/one"]


def test_crash_midway_leaves_the_old_result(tmp_path, way):
    publish(tmp_path / "out", "old")
    before = (tmp_path / "out" / "manifest.json").read_bytes()

    def crash():
        with publishing(tmp_path / "out") as staging:
            (staging / "scores.csv").write_text("half")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError):
        crash()
    assert names(tmp_path) == ["out", "out/manifest.json", "out/scores.csv"]
    assert (tmp_path / "out" / "scores.csv").read_text() == "old"
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before


def test_crash_midway_leaves_nothing_where_nothing_was(tmp_path):
    def crash():
        with publishing(tmp_path / "out") as staging:
            (staging / "scores.csv").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crash()
    assert names(tmp_path) == []


def test_nothing_is_published_without_a_manifest(tmp_path):
    def forget():
        with publishing(tmp_path / "out") as staging:
            (staging / "scores.csv").write_text("whole")

    with pytest.raises(AssertionError):
        forget()
    assert names(tmp_path) == []


KILLED = """
import os, sys
from pathlib import Path
from data_specs import _manifest
from data_specs._manifest import describe_run, publishing, write_manifest

moment, place = sys.argv[1], Path(sys.argv[2])
if moment == "between renames":
    _manifest._exchange = lambda *_: False
    calls = []
    rename = Path.rename
    def counted(self, target):
        calls.append(target)
        if len(calls) == 2:
            os._exit(9)
        return rename(self, target)
    Path.rename = counted
with publishing(place) as staging:
    (staging / "scores.csv").write_text("killed")
    if moment == "writing":
        os._exit(9)
    write_manifest(staging, describe_run("test", {}))
"""


def killed(moment, place):
    done = subprocess.run([sys.executable, "-c", KILLED, moment, str(place)], check=False)
    assert done.returncode == 9


def test_killed_while_writing_leaves_the_old_result(tmp_path):
    place = tmp_path / "out"
    publish(place, "old")
    killed("writing", place)
    assert (place / "scores.csv").read_text() == "old"
    assert read_manifest(place) is not None


@pytest.mark.slow
def test_killed_between_two_renames_the_next_run_finds_the_old_result(tmp_path):
    place = tmp_path / "out"
    publish(place, "old")
    killed("between renames", place)
    assert not place.exists()

    def crash():
        with publishing(place):
            assert (place / "scores.csv").read_text() == "old"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()
    assert (place / "scores.csv").read_text() == "old"


@pytest.mark.slow
def test_what_killed_runs_left_is_swept_after_a_day(tmp_path):
    place = tmp_path / "out"
    killed("writing", place)
    (left,) = tmp_path.glob(".out.poolwise-unfinished-*")
    publish(place)
    assert left.exists()  # it may belong to a run that still works
    long_ago = time.time() - 2 * 86_400
    os.utime(left, (long_ago, long_ago))
    publish(place)
    assert names(tmp_path) == ["out", "out/manifest.json", "out/scores.csv"]


def test_a_folder_that_cannot_be_moved_stays(tmp_path, monkeypatch):
    """On Windows a folder cannot be renamed while a program has one of its files open."""
    place = tmp_path / "out"
    publish(place, "old")
    monkeypatch.setattr(_manifest, "_exchange", lambda *_: False)
    rename = type(place).rename

    def refuse(self, target):
        if self == place:
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(type(place), "rename", refuse)
    with pytest.raises(OutputRefused, match="cannot be replaced: permission denied") as refusal:
        publish(place)
    assert "close the programs" in refusal.value.remedy
    assert names(tmp_path) == ["out", "out/manifest.json", "out/scores.csv"]
    assert (place / "scores.csv").read_text() == "old"


def test_when_the_second_rename_fails_the_old_result_comes_back(tmp_path, monkeypatch):
    place = tmp_path / "out"
    publish(place, "old")
    monkeypatch.setattr(_manifest, "_exchange", lambda *_: False)
    rename = type(place).rename

    def refuse(self, target):
        if "unfinished" in self.name:
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(type(place), "rename", refuse)
    with pytest.raises(OutputRefused):
        publish(place)
    assert names(tmp_path) == ["out", "out/manifest.json", "out/scores.csv"]
    assert (place / "scores.csv").read_text() == "old"


@pytest.mark.parametrize("rounds", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_reader_never_sees_half(tmp_path, way, rounds):
    """As long as a reader finds one and the same manifest, the files beside it are those it names."""
    place, stop, seen, wrong = tmp_path / "out", threading.Event(), set(), []

    def read(path):
        try:
            return path.read_bytes()
        except OSError:
            return None  # replaced at this moment, or, between two renames, not there

    def watch():
        while not stop.is_set():
            first = read(place / "manifest.json")
            scores, more = read(place / "scores.csv"), read(place / "inputs" / "more.csv")
            if first is None or read(place / "manifest.json") != first:
                continue
            digests = {o["name"]: o["digest"] for o in json.loads(first)["outputs"]}
            found = {"scores.csv": scores, "inputs/more.csv": more}
            seen.add(digests["scores.csv"])
            if any(b is None or "sha256:" + hashlib.sha256(b).hexdigest() != digests[n] for n, b in found.items()):
                wrong.append(digests)

    reader = threading.Thread(target=watch)
    reader.start()
    try:
        for number in range(rounds):
            with publishing(place) as staging:
                (staging / "inputs").mkdir()
                (staging / "scores.csv").write_text(f"{number}" * 2000)
                (staging / "inputs" / "more.csv").write_text(f"{number}" * 1000)
                write_manifest(staging, describe_run("test", {"number": number}))
    finally:
        stop.set()
        reader.join()
    assert wrong == []
    assert seen


# ------------------------------------------------------------------------------------------------ refused places


def refused(place, inputs=()):
    with pytest.raises(OutputRefused) as refusal, publishing(place, inputs=inputs):
        raise AssertionError("nothing may run before the place is known to be good")
    return refusal.value


def test_folder_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    assert "something else than results" in refused(tmp_path / "out").what
    assert names(tmp_path) == ["out", "out/thesis.txt"]


def test_manifest_of_another_program_does_not_make_a_folder_ours(tmp_path):
    (tmp_path / "out").mkdir()
    for content in ("{}", '{"product": "other"}', "[1]", "no json", ""):
        (tmp_path / "out" / "manifest.json").write_text(content)
        assert "something else than results" in refused(tmp_path / "out").what


def test_result_with_a_file_of_the_reader_is_refused(tmp_path):
    publish(tmp_path / "out")
    (tmp_path / "out" / "notes.xlsx").write_text("mine")
    assert "'notes.xlsx' first" in refused(tmp_path / "out").what
    assert names(tmp_path / "out") == ["manifest.json", "notes.xlsx", "scores.csv"]


def test_litter_of_the_system_does_not_count(tmp_path):
    publish(tmp_path / "out", "old")
    (tmp_path / "out" / ".DS_Store").touch()
    publish(tmp_path / "out", "new")
    assert (tmp_path / "out" / "scores.csv").read_text() == "new"


def test_folder_that_holds_the_input_is_refused(tmp_path):
    publish(tmp_path / "out")
    (tmp_path / "out" / "inputs").mkdir()
    assert "holds the input" in refused(tmp_path / "out", [tmp_path / "out" / "inputs"]).what
    assert "holds the input" in refused(tmp_path / "out", [tmp_path / "out"]).what


def test_where_one_is_is_refused(tmp_path, monkeypatch):
    publish(tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    assert "where you are" in refused(".").what


def test_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("a file")
    assert "a file has the name" in refused(tmp_path / "out").what
    assert "cannot be written" in refused(tmp_path / "out" / "below").what


def test_read_only_place_is_refused(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "mkdir", refuse)
    refusal = refused(tmp_path / "out")
    assert refusal.what == "the results cannot be written: permission denied"
    assert refusal.where == str((tmp_path / "out").resolve())


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError("No space left on device (os error 28)"),
        pl.exceptions.ComputeError("/out/scores.csv: No space left on device (os error 28)"),
    ],
)
def test_full_disk_is_a_refusal(tmp_path, error):
    with pytest.raises(OutputRefused, match="no space left on device"), _manifest.writing(tmp_path):
        raise error


def test_other_faults_are_not_taken_for_a_full_disk(tmp_path):
    with pytest.raises(pl.exceptions.ComputeError, match="something else"), _manifest.writing(tmp_path):
        raise pl.exceptions.ComputeError("something else")


# ------------------------------------------------------------------------------------------------ manifest


def described(**more):
    counts = pl.DataFrame({"table": ["enrollees"], "input": [3], "accepted": [2], "rejected": [1]})
    findings = pl.DataFrame(
        {
            "rule_id": ["MEM-006"],
            "table": ["enrollees"],
            "severity": ["error"],
            "action": ["reject_record"],
            "rows": [1],
            "condition": ["sex not in M, F, U"],
            "basis": ["-"],
        }
    )
    uncertain = pl.DataFrame({"table": ["hhs_hcc/icd10_to_cc"], "what": ["rows"], "enrollees": [2]})
    return describe_run(
        "score",
        {"folder": "year"},
        benefit_year=2025,
        settings={"duration_scope": "plan"},
        tables=["hhs_hcc/enrollment_duration_months"],
        counts=counts,
        findings=findings,
        uncertain=uncertain,
        **more,
    )


def test_manifest_says_what_made_the_result(tmp_path):
    source = tmp_path / "PERSON.csv"
    source.write_bytes(b"abc")
    folder = tmp_path / "out"
    with publishing(folder) as staging:
        (staging / "inputs").mkdir()
        (staging / "inputs" / "b.csv").write_bytes(b"")
        (staging / "scores.csv").write_bytes(b"abc")
        write_manifest(staging, described(inputs={"PERSON.csv": source}))
    manifest = read_manifest(folder)
    abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert manifest["product"] == "poolwise"
    assert manifest["version"] == _manifest.product_version()
    assert (manifest["command"], manifest["options"]) == ("score", {"folder": "year"})
    assert (manifest["benefit_year"], manifest["settings"]) == (2025, {"duration_scope": "plan"})
    assert manifest["inputs"] == [{"name": "PERSON.csv", "bytes": 3, "digest": abc}]
    assert [o["name"] for o in manifest["outputs"]] == ["inputs/b.csv", "scores.csv"]
    assert manifest["outputs"][1] == {"name": "scores.csv", "bytes": 3, "digest": abc}
    assert manifest["counts"] == [{"table": "enrollees", "input": 3, "accepted": 2, "rejected": 1}]
    assert manifest["findings"][0]["rule_id"] == "MEM-006"
    assert manifest["uncertain"] == [{"table": "hhs_hcc/icd10_to_cc", "what": "rows", "enrollees": 2}]
    (table,) = manifest["tables"]
    assert (table["table"], table["supplied_by"]) == ("hhs_hcc/enrollment_duration_months", "poolwise")
    assert table["digest"].startswith("sha256:")


def test_only_the_clock_differs_between_equal_runs(tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    with_clock = described()
    assert len(with_clock.pop("created_at")) == len("2025-01-01T00:00:00Z")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert described() == with_clock
    written = []
    for name in ("one", "other"):
        with publishing(tmp_path / name) as staging:
            (staging / "scores.csv").write_bytes(b"abc")
            write_manifest(staging, described())
        written.append((tmp_path / name / "manifest.json").read_bytes())
    assert written[0] == written[1]
