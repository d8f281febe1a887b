"""The codes a made-up market may use: drawn from the benefit year's own tables, never invented.

A code of a condition is offered only where the crosswalk row that leads to the condition holds: for the fiscal year of
the service date, for the age limits of the code at the diagnosis and on the last covered day, and for the sex.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from data_specs import _synthetic_assumptions as assumed
from data_specs._registry import table
from data_specs._synthetic_draws import Flags, Integers, Reals

__all__ = ["DiagnosisCodes", "DiagnosisPool", "DrugCodes", "DrugPool"]

_OLDEST = 1000  # stands for "no upper age"


@dataclass(frozen=True, slots=True)
class DiagnosisPool:
    """The codes of one condition, for every stratum of age and sex and both fiscal years of a benefit year."""

    codes: tuple[Integers, Integers]  # per fiscal year: codes of all strata, laid end to end
    starts: tuple[Integers, Integers]  # per fiscal year and stratum: where its codes start
    counts: tuple[Integers, Integers]  # per fiscal year and stratum: how many there are
    keys_second: Integers  # stratum and code of the second fiscal year as one number, sorted
    strata: int

    def has_codes(self, stratum: Integers) -> Flags:
        """Return whether people of a stratum can be given the condition at any time of the year."""
        return np.asarray((self.counts[0][stratum] > 0) & (self.counts[1][stratum] > 0))

    def draw(self, chosen: Reals, stratum: Integers, second_year: Flags) -> Integers:
        """Return a code per record; the same draw `chosen` keeps the code until the year's list drops it."""
        first = self._at(0, chosen, stratum)
        keys = first * self.strata + stratum
        place = np.minimum(np.searchsorted(self.keys_second, keys), len(self.keys_second) - 1)
        stays = self.keys_second[place] == keys
        return np.where(second_year & ~stays, self._at(1, chosen, stratum), first)

    def _at(self, year: int, chosen: Reals, stratum: Integers) -> Integers:
        nth = (chosen * self.counts[year][stratum]).astype(np.int64)
        return np.asarray(self.codes[year][self.starts[year][stratum] + nth])


class DiagnosisCodes:
    """All diagnosis codes of a benefit year: the crosswalk's and the everyday ones.

    Attributes
    ----------
    names : Series
        The codes in order of their text; elsewhere a code is its position here.
    everyday : array
        Positions of the everyday codes that lead to no payment condition in this year.
    everyday_weights : array
        A row per stratum of :meth:`everyday_stratum`, a column per everyday code.
    """

    def __init__(self, benefit_year: int) -> None:
        rows = table("hhs_hcc/icd10_to_cc", year=benefit_year)
        mapped = set(rows["icd10"].to_list())
        everyday = [entry for entry in assumed.EVERYDAY_CODES if entry[0] not in mapped]
        names = sorted(mapped | {code for code, _, _ in everyday})
        position = {name: place for place, name in enumerate(names)}
        self.names = pl.Series("diagnosis_code", names, dtype=pl.String)
        self.everyday = np.array([position[code] for code, _, _ in everyday], dtype=np.int64)
        by_age = np.array([weights for _, _, weights in everyday], dtype=np.int64).T
        men = np.array([sex != "F" for _, sex, _ in everyday], dtype=np.int64)
        women = np.array([sex != "M" for _, sex, _ in everyday], dtype=np.int64)
        self.everyday_weights = np.stack([by_age * men, by_age * women], axis=1).reshape(-1, len(everyday))

        self._text = rows["icd10"].to_list()
        self._code = np.array([position[name] for name in self._text], dtype=np.int64)
        self._rows_of: dict[str, list[int]] = {}
        for column in ("cc", "cc_2", "cc_3"):
            for row, cc in enumerate(rows[column].to_list()):
                self._rows_of.setdefault(cc, []).append(row)
        self._pools: dict[tuple[tuple[str, ...], tuple[str, ...]], DiagnosisPool | None] = {}
        low = {name: rows[name].cast(pl.Int64).fill_null(0).to_numpy() for name in ("split_age_min", "mce_age_min")}
        high = {
            name: rows[name].cast(pl.Int64).fill_null(_OLDEST).to_numpy() for name in ("split_age_max", "mce_age_max")
        }
        # Every age at which some code begins or ceases to hold starts a new stratum, so a stratum is never divided.
        edges = np.unique(
            np.concatenate([[0], *low.values(), low["mce_age_min"] + 1, *(age + 1 for age in high.values())])
        )
        self._edges = edges[edges < _OLDEST]
        self.strata = 2 * len(self._edges)
        self._holds = self._validity(rows, low, high)

    def stratum(self, age_last: Integers, sex: Integers) -> Integers:
        """Return the stratum of each person: age on the last covered day within the codes' limits, and sex."""
        return (np.searchsorted(self._edges, age_last, side="right") - 1) * 2 + sex

    def everyday_stratum(self, age_last: Integers, sex: Integers) -> Integers:
        """Return the row of `everyday_weights` of each person."""
        return np.searchsorted(assumed.EVERYDAY_AGES, age_last, side="right") * 2 + sex

    def pool(self, ccs: tuple[str, ...], prefixes: tuple[str, ...] = ()) -> DiagnosisPool | None:
        """Return the codes that lead to one of the categories, or None when this year has none."""
        if (ccs, prefixes) not in self._pools:
            self._pools[ccs, prefixes] = self._pool(ccs, prefixes)
        return self._pools[ccs, prefixes]

    def _pool(self, ccs: tuple[str, ...], prefixes: tuple[str, ...]) -> DiagnosisPool | None:
        chosen = sorted({row for cc in ccs for row in self._rows_of.get(cc, ())})
        narrowed = [row for row in chosen if self._text[row].startswith(prefixes)] if prefixes else []
        rows = np.array(narrowed or chosen, dtype=np.int64)
        if len(rows) == 0:
            return None
        parts = [self._part(rows, year) for year in (0, 1)]
        codes, stratum = parts[1][0], np.repeat(np.arange(self.strata), parts[1][2])
        if len(codes) == 0:
            return None
        keys = np.sort(codes * self.strata + stratum)
        first, second = parts
        return DiagnosisPool((first[0], second[0]), (first[1], second[1]), (first[2], second[2]), keys, self.strata)

    def _part(self, rows: Integers, year: int) -> tuple[Integers, Integers, Integers]:
        stratum, place = self._holds[year][rows].T.nonzero()
        counts = np.bincount(stratum, minlength=self.strata)
        return self._code[rows][place], np.cumsum(counts) - counts, counts

    def _validity(self, rows: pl.DataFrame, low: dict[str, Integers], high: dict[str, Integers]) -> tuple[Flags, Flags]:
        # A row of the crosswalk x stratum; the age at diagnosis is the age on the last covered day or one year less.
        youngest = self._edges
        oldest = np.append(self._edges[1:] - 1, _OLDEST - 1)
        age = low["split_age_min"][:, None] <= youngest
        age &= oldest <= high["split_age_max"][:, None]
        age &= low["mce_age_min"][:, None] <= np.maximum(youngest - 1, 0)
        age &= oldest <= high["mce_age_max"][:, None]
        both = []
        for valid, sex_rule in (("valid_fy_start", "mce_sex_w1"), ("valid_fy_end", "mce_sex_w2")):
            # An unknown second fiscal year (null) is the first one carried on.
            holds = rows[valid].fill_null(rows["valid_fy_start"]).to_numpy()
            sexes = [self._allows(rows, sex_rule, other) & holds for other in ("female", "male")]
            both.append(np.stack([age & sex[:, None] for sex in sexes], axis=2).reshape(len(rows), -1))
        return both[0], both[1]

    @staticmethod
    def _allows(rows: pl.DataFrame, sex_rule: str, excluded: str) -> Flags:
        barred = rows["split_sex"].eq_missing(excluded) | rows[sex_rule].eq_missing(excluded)
        return np.asarray((~barred).to_numpy())


@dataclass(frozen=True, slots=True)
class DrugPool:
    """The codes of one drug class, as positions in :attr:`DrugCodes.names`."""

    dispensed: Integers  # NDC
    administered: Integers  # HCPCS


class DrugCodes:
    """All drug codes of a benefit year.

    Attributes
    ----------
    names, types : Series
        Codes and their types (hcpcs, ndc), in order of type and code; elsewhere a code is its position here.
    everyday : array
        Positions of the made-up everyday drugs.
    """

    def __init__(self, benefit_year: int) -> None:
        ndc = table("hhs_hcc/ndc_to_rxc", year=benefit_year).filter("in_latest_release")
        # Some published codes hold a letter: no pharmacy claim could carry them.
        ndc = ndc.filter(pl.col("ndc11").str.contains("^[0-9]{11}$"))
        hcpcs = table("hhs_hcc/hcpcs_to_rxc", year=benefit_year).filter("in_latest_release")
        prevention = table("hhs_hcc/acf_code_map").filter(benefit_year=benefit_year)
        prevention = prevention.filter((pl.col("code_type") == "hcpcs") | pl.col("code").str.contains("^[0-9]{11}$"))
        mapped = pl.concat(
            [
                ndc.select(name="rxc", code_type=pl.lit("ndc"), code="ndc11"),
                hcpcs.select(name="rxc", code_type=pl.lit("hcpcs"), code="hcpcs"),
                prevention.select(name="variable", code_type="code_type", code="code"),
            ]
        ).unique()
        everyday = pl.DataFrame({"code": assumed.EVERYDAY_NDCS}).select(code_type=pl.lit("ndc"), code="code")
        everyday = everyday.join(mapped, on=["code_type", "code"], how="anti")
        known = pl.concat([mapped.select("code_type", "code"), everyday]).unique().sort("code_type", "code")
        known = known.with_row_index("place")
        self.names, self.types = known["code"], known["code_type"]
        placed = mapped.join(known, on=["code_type", "code"], validate="m:1").sort("name", "place")
        self._placed = placed.select("name", "code_type", pl.col("place").cast(pl.Int64))
        kept = known.join(everyday, on=["code_type", "code"], how="semi").sort("place")
        self.everyday = kept["place"].cast(pl.Int64).to_numpy()

    def pool(self, name: str) -> DrugPool | None:
        """Return the codes of a drug class (RXC_01, ACF_PREP), or None when this year has none."""
        rows = self._placed.filter(name=name)
        if rows.height == 0:
            return None
        by_type = [rows.filter(code_type=kind)["place"].unique().sort().to_numpy() for kind in ("ndc", "hcpcs")]
        return DrugPool(by_type[0], by_type[1])
