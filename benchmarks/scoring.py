"""Enrollee scores: from text frames, and the kernel alone; against DuckDB, hccpy and a probe of the machine.

Every class checks its answers once, in ``setup_cache`` or ``setup``: a fast wrong score is worse than none.
"""

# ruff: noqa: ARG002  (asv hands every parameter to every method)
from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from asv_runner.benchmarks.mark import SkipNotImplemented

from benchmarks import _arrays, _clock, _data, _duckdb_sql, _hccpy, _probes, _sizes

THREADS = min(2, os.cpu_count() or 1)
_ORDERS = ("no order", "by enrollee")
_SCORE_ONCE = """
import json, sys, time
from benchmarks.scoring import read_year, score
year = read_year(sys.argv[1])
score(year)
seconds = []
for _ in range(int(sys.argv[2])):
    begin = time.perf_counter()
    score(year)
    seconds.append(time.perf_counter() - begin)
print(json.dumps(seconds))
"""


def score(year: _data.Year, benefit_year: int = _data.BENEFIT_YEAR) -> Any:
    import riskadjust

    return riskadjust.score(year.enrollees, year.spans, year.diagnoses, year.drugs, benefit_year=benefit_year)


def read_year(folder: str) -> _data.Year:
    """Return the tables of a folder, whole in memory, as a caller would hand them over."""
    files = {name: Path(folder) / f"{name}.parquet" for name in _data.TABLES}
    return _data.Year(**{n: pl.read_parquet(f).rechunk() for n, f in files.items() if f.is_file()})


def write_year(year: _data.Year, folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in _data.TABLES:
        if (frame := getattr(year, name)) is not None:
            frame.write_parquet(folder / f"{name}.parquet")


def checksum(scores: pl.DataFrame) -> int:
    """Return a number that changes when a score, an adjusted score or the order of the lines does."""
    milli = [(pl.col(c) * 1000).round().cast(pl.Int64) for c in scores.columns if c.startswith("score_")]
    adjusted = (pl.col("csr_adjusted_score") * 10**7).round().cast(pl.Int64).fill_null(-1)
    place = pl.int_range(pl.len(), dtype=pl.Int64) % 9973 + 1
    return int(scores.select((pl.sum_horizontal(*milli, adjusted) * place).sum()).item())


def check_same(ours: pl.DataFrame, theirs: pl.DataFrame) -> None:
    """Refuse to go on unless every line and every column is the same, to the last bit."""
    if ours.height != theirs.height:
        raise AssertionError(f"{ours.height} lines of ours, {theirs.height} of the rival")
    for name in ours.columns:
        differing = int(ours[name].cast(theirs[name].dtype).ne_missing(theirs[name]).sum())
        if differing:
            raise AssertionError(f"{name} differs in {differing} of {ours.height} lines")


class FromText:
    """``riskadjust.score`` from frames of text and dates; no drugs, as the rival's SQL has none."""

    params = (_sizes.ENROLLEES, _ORDERS)
    param_names = ("enrollees", "diagnoses")
    timeout = 3600
    number, repeat, warmup_time = 1, 3, 0

    def setup_cache(self) -> dict[str, int]:
        """Write each year, score it both ways, and keep the checksum of the common answer."""
        checks = {}
        for enrollees in _sizes.ENROLLEES:
            for order in _ORDERS:
                year = _data.made_up_year(enrollees, mapped_share=0.3, by_enrollee=order == "by enrollee")
                session = _duckdb_sql.connection(THREADS)
                _duckdb_sql.store_year(session, year)
                scores = score(year).scores
                check_same(scores, _duckdb_sql.text_scores(session))
                folder = self._folder(enrollees, order)
                write_year(year, Path(folder))
                checks[folder] = checksum(scores)
                session.close()
                del year, scores
                gc.collect()
        return checks

    setup_cache.timeout = 3600  # type: ignore[attr-defined]

    def _folder(self, enrollees: int, order: str) -> str:
        return f"{enrollees}-{order.replace(' ', '-')}"

    def setup(self, checks: dict[str, int], enrollees: int, order: str) -> None:
        self.folder = self._folder(enrollees, order)
        self.expected = checks[self.folder]
        self.year = read_year(self.folder)

    def _score(self) -> None:
        result = score(self.year)
        if checksum(result.scores) != self.expected:
            raise AssertionError("not the scores that were checked")

    def time_score(self, checks: dict[str, int], enrollees: int, order: str) -> None:
        score(self.year)

    def peakmem_score(self, checks: dict[str, int], enrollees: int, order: str) -> None:
        self._score()

    def track_ratio_to_duckdb(self, checks: dict[str, int], enrollees: int, order: str) -> float:
        session = _duckdb_sql.connection(THREADS)
        _duckdb_sql.store_year(session, self.year)
        self._score()
        rounds = 5 if enrollees <= 10**6 else 3
        return _clock.ratio(lambda: score(self.year), lambda: _duckdb_sql.text_scores(session), rounds)

    track_ratio_to_duckdb.unit = "times as long"  # type: ignore[attr-defined]

    def track_bytes_of_frames(self, checks: dict[str, int], enrollees: int, order: str) -> int:
        """What the input takes before scoring begins: a part of the peak memory."""
        frames = (self.year.enrollees, self.year.spans, self.year.diagnoses)
        return int(sum(frame.estimated_size() for frame in frames))

    track_bytes_of_frames.unit = "bytes"  # type: ignore[attr-defined]

    def track_diagnoses_per_second(self, checks: dict[str, int], enrollees: int, order: str) -> float:
        self._score()
        return self.year.diagnoses.height / _clock.typical(lambda: score(self.year), 3)

    track_diagnoses_per_second.unit = "diagnoses/s"  # type: ignore[attr-defined]

    def track_speedup_of_two_threads(self, checks: dict[str, int], enrollees: int, order: str) -> float:
        """Polars fixes its threads at import, so each setting is a process of its own; they alternate."""
        if enrollees > 10**6:
            raise SkipNotImplemented
        return float(np.median([self._seconds(1) / self._seconds(2) for _ in range(3)]))

    def _seconds(self, threads: int) -> float:
        environment = {**os.environ, "POOLWISE_THREADS": str(threads), "POLARS_MAX_THREADS": str(threads)}
        root = Path(__file__).resolve().parent.parent
        program = f"import sys; sys.path.append({str(root)!r})\n{_SCORE_ONCE}"
        command = [sys.executable, "-c", program, self.folder, "2"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return float(min(json.loads(answer.stdout)))


class Kernel:
    """The kernel alone, five metals at once, on integers; every diagnosis is handed in, mapped or not."""

    params = (_sizes.KERNEL_ENROLLEES, (0.3, 0.05))
    param_names = ("enrollees", "mapped_share")
    timeout = 1800
    number, repeat = 1, 5

    def setup(self, enrollees: int, mapped_share: float) -> None:
        from riskadjust._model import compile_year
        from riskadjust._settings import ScoringSettings

        year = _data.made_up_year(enrollees, mapped_share=mapped_share)
        self.model = compile_year(_data.BENEFIT_YEAR, ScoringSettings())
        self.arrays = _arrays.kernel_arrays(year, self.model)
        self.diagnoses = year.diagnoses.height
        lines = score(year).scores.unique("enrollee_id", keep="first", maintain_order=True)
        expected = np.rint(lines.select(pl.col("^score_.*$")).to_numpy() * 1000).astype(np.int32)
        if not np.array_equal(self._run().scores, expected):
            raise AssertionError("the kernel's scores are not those of riskadjust.score")

    def teardown(self, enrollees: int, mapped_share: float) -> None:
        os.environ.pop("POOLWISE_THREADS", None)

    def _run(self) -> Any:
        from riskadjust._kernel import run_kernel

        return run_kernel(self.model, self.arrays)

    def _run_on(self, threads: int) -> Any:
        os.environ["POOLWISE_THREADS"] = str(threads)
        return self._run()

    def time_kernel(self, enrollees: int, mapped_share: float) -> None:
        self._run()

    def track_enrollees_per_second(self, enrollees: int, mapped_share: float) -> float:
        return enrollees / _clock.typical(self._run)

    track_enrollees_per_second.unit = "enrollees/s"  # type: ignore[attr-defined]

    def track_ratio_to_duckdb(self, enrollees: int, mapped_share: float) -> float:
        session = _duckdb_sql.connection(THREADS)
        _duckdb_sql.store_integers(session, self.arrays, self.model.diagnoses.codes)
        theirs = _duckdb_sql.integer_scores(session).sort("pid").select(_duckdb_sql.METALS).to_numpy()
        if not np.array_equal(theirs, self._run().scores):
            raise AssertionError("DuckDB and the kernel disagree")
        return _clock.ratio(self._run, lambda: _duckdb_sql.integer_scores(session))

    track_ratio_to_duckdb.unit = "times as long"  # type: ignore[attr-defined]

    def track_share_of_gather_rate(self, enrollees: int, mapped_share: float) -> float:
        """Diagnoses a second through the kernel over codes a second through the probe, both on one thread."""
        probe = _probes.Gather(self.arrays.code_ids, entries=len(self.model.diagnoses.codes) + 1)
        return _clock.ratio(lambda: self._run_on(1), probe.run, 9)

    track_share_of_gather_rate.unit = "share"  # type: ignore[attr-defined]

    def track_speedup_of_two_threads(self, enrollees: int, mapped_share: float) -> float:
        return _clock.ratio(lambda: self._run_on(2), lambda: self._run_on(1), 9)

    track_speedup_of_two_threads.unit = "times as fast"  # type: ignore[attr-defined]


class AgainstHccpy:
    """Rates per person against hccpy, which scores one person for one metal at a time (benefit year 2019).

    5 % of the diagnoses map. hccpy gets text codes, its only input, and its loop alone is timed; five metals are five
    calls.
    """

    timeout = 1800

    def setup(self) -> None:
        from riskadjust._model import compile_year
        from riskadjust._settings import ScoringSettings

        year = _data.made_up_year(
            _sizes.KERNEL_ENROLLEES[0], mapped_share=0.05, benefit_year=_hccpy.BENEFIT_YEAR, by_enrollee=True
        )
        self.year = year
        self.model = compile_year(_hccpy.BENEFIT_YEAR, ScoringSettings())
        self.arrays = _arrays.kernel_arrays(year, self.model)
        try:
            _hccpy.environment()
        except (OSError, subprocess.CalledProcessError) as error:
            raise SkipNotImplemented("hccpy cannot be installed here") from error
        self.asked = self._asked()
        self.answer = _hccpy.profiles(self.asked)
        self._check()

    def _asked(self) -> list[tuple[Any, ...]]:
        people = self.year.enrollees.head(_sizes.RIVAL_PEOPLE)
        codes = self.year.diagnoses.group_by("enrollee_id").agg("diagnosis_code")
        lists = people.join(codes, on="enrollee_id", how="left", maintain_order="left", validate="1:1")
        asked = people.height
        facts = (self.arrays.age_last[:asked].tolist(), people["sex"].to_list(), self.arrays.months[:asked].tolist())
        return [(c or [], *own) for c, *own in zip(lists["diagnosis_code"].to_list(), *facts, strict=True)]

    def _same(self) -> tuple[np.ndarray, np.ndarray]:
        """Return for whom both agree on silver, and for whom hccpy has the rules to be right.

        It knows one HCC per code, tests the editor's sex and age conditions and the splits only in part, has no group
        for HCC 26-30 of children, and no complete infant model.
        """
        from riskadjust._kernel import run_kernel

        crosswalk = _data.data_specs.table("hhs_hcc/icd10_to_cc", year=_hccpy.BENEFIT_YEAR)
        conditions = ("cc_2", "mce_age_min", "mce_age_max", "mce_sex_w1", "mce_sex_w2")
        conditions += ("split_age_min", "split_age_max", "split_sex")
        odd = set(crosswalk.filter(pl.any_horizontal(pl.col(c).is_not_null() for c in conditions))["icd10"])
        lost = {f"HHS_HCC{n:03d}" for n in range(26, 31)}
        silver = run_kernel(self.model, self.arrays).scores[: len(self.asked), 2]
        same = np.abs(np.array(self.answer["scores"]) * 1000 - silver) < 0.5
        able = [
            age >= 2 and odd.isdisjoint(codes) and (age >= 21 or lost.isdisjoint(hccs))
            for (codes, age, _, _), hccs in zip(self.asked, self.answer["hccs"], strict=True)
        ]
        return same, np.array(able)

    def _check(self) -> None:
        same, able = self._same()
        if not same[able].all() or able.mean() < 0.8:
            raise AssertionError("hccpy and the kernel disagree where both should be right")

    def _ratio(self, metals: int) -> float:
        from riskadjust._kernel import run_kernel

        ratios = []
        for _ in range(3):
            ours = _clock.typical(lambda: run_kernel(self.model, self.arrays), 3) / len(self.arrays.sex)
            theirs = _hccpy.profiles(self.asked)["seconds"] / len(self.asked)
            ratios.append(metals * theirs / ours)
        return float(np.median(ratios))

    def track_ratio_five_metals(self) -> float:
        return self._ratio(5)

    def track_ratio_one_metal(self) -> float:
        return self._ratio(1)

    def track_ratio_from_text(self) -> float:
        """Not the kernel alone but ``riskadjust.score`` from frames, against one metal of hccpy."""
        ours = _clock.typical(lambda: score(self.year, _hccpy.BENEFIT_YEAR), 3) / len(self.arrays.sex)
        return self.answer["seconds"] / len(self.asked) / ours

    def track_share_that_agrees(self) -> float:
        same, _ = self._same()
        return float(same.mean())

    for _track in (track_ratio_five_metals, track_ratio_one_metal, track_ratio_from_text):
        _track.unit = "times as long"  # type: ignore[attr-defined]
    track_share_that_agrees.unit = "share"  # type: ignore[attr-defined]
    del _track
