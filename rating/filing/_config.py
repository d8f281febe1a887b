"""The file that says what a rate filing is made of: a TOML document, read and checked before anything is worked out."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from data_specs.errors import InputRefused
from rating._rate_settings import RateSettings
from rating.filing._filing_settings import FilingSettings
from rating.filing._formulas import CATEGORIES, Formulas

__all__ = ["CONFIG_NAME", "FilingConfig", "nearest", "read_config"]

CONFIG_NAME = "filing.toml"
_TABLES = (".csv", ".parquet")
_NEAR = 0.6
_MOST_SHOWN = 40

TEXT, WHOLE, NUMBER, DATE, FLAG, TABLE, PLACE = "text", "whole number", "number", "date", "flag", "table file", "path"
_CATEGORY = {"cost": NUMBER, "utilization": NUMBER, "source": TEXT, "note": TEXT}
# Every table of the document with its keys; a star marks those that must be there.
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "filing": {
        "issuer_id": TEXT + "*",
        "state": TEXT + "*",
        "market": TEXT + "*",
        "plan_year": WHOLE + "*",
        "company_legal_name": TEXT,
        "effective_date": DATE,
        "exp_period_start": DATE,
        "exp_period_end": DATE,
        "claims_paid_through": DATE,
    },
    "inputs": {
        "plans": TABLE + "*",
        "areas": TABLE + "*",
        "experience": TABLE,
        "triangle": TABLE,
        "mix": TABLE,
        "variants": TABLE,
        "current": TABLE,
        "prior": PLACE,
    },
    "completion": {"annual_trend": NUMBER, "absent_cells": TEXT},
    "trend": {**_CATEGORY},
    "trend.study": {
        "series": TABLE + "*",
        "estimator": TEXT,
        "confidence": NUMBER,
        "months_needed": WHOLE,
        "month_effects": FLAG,
        "day_basis": TEXT,
        "hac_lags": WHOLE,
    },
    **{f"trend.{category}": _CATEGORY for category in CATEGORIES},
    "large_claims": {
        "claims": TABLE + "*",
        "threshold": NUMBER + "*",
        "pooling_charge_pmpm": NUMBER,
        "expected_excess_share": NUMBER,
    },
    "morbidity": {"experience": TABLE + "*", "projected": TABLE + "*", "risk": TEXT, "age_factors": TABLE},
    "credibility": {"full_standard": NUMBER + "*", "source": TEXT},
    "manual": {
        "source_pmpm": TABLE + "*",
        "source": TEXT + "*",
        "annual_trend": NUMBER + "*",
        "trend_months": NUMBER + "*",
        "area": NUMBER + "*",
        "age": NUMBER + "*",
        "benefit": NUMBER + "*",
        "morbidity": NUMBER + "*",
    },
    "risk_adjustment": {
        "transfers": TABLE + "*",
        "benefit_year": WHOLE + "*",
        "member_months": NUMBER,
        "factor": NUMBER,
        "net_of_user_fee": FLAG,
        "source": TEXT,
        "note": TEXT,
    },
    "reinsurance": {
        "claims": TABLE + "*",
        "terms_of_year": WHOLE + "*",
        "attachment": NUMBER,
        "cap": NUMBER,
        "coinsurance": NUMBER,
        "budget": NUMBER,
        "factor": NUMBER,
        "member_months": NUMBER,
        "seed": WHOLE,
        "source": TEXT,
        "note": TEXT,
    },
    "pricing": {
        "claims": TABLE + "*",
        "designs": TABLE + "*",
        "claims_year": WHOLE + "*",
        "factor": NUMBER,
        "induced_demand": TEXT,
        "coinsurance_is": TEXT,
    },
    "assumptions": {},
    "settings": {},
}
_FREE = ("assumptions", "settings")
_VALUE = {"value": NUMBER + "*", "source": TEXT, "note": TEXT}


@dataclass(frozen=True)
class FilingConfig:
    """What a rate filing is made of, checked; files are absolute paths.

    Attributes
    ----------
    path : Path
        The TOML document.
    sections : dict of dict
        Its tables by name, ``"trend.study"`` for a table within a table; those that are not there are absent.
    plan_changes : dict of (name, plan) to Decimal
        What stands in for a column of the plans; plan ``""``: every offered one. No document has any: see
        :func:`rating.filing._config_changes.with_changes`.
    """

    path: Path
    sections: dict[str, dict[str, Any]]
    plan_changes: dict[tuple[str, str], Decimal] = field(default_factory=dict)

    def section(self, name: str) -> dict[str, Any]:
        """Return a table of the document; an empty one where it is not there."""
        return self.sections.get(name, {})

    @property
    def files(self) -> dict[str, Path]:
        """Every file that the document names, by table and key: ``inputs.plans``."""
        return {
            f"{section}.{key}": value
            for section, keys in self.sections.items()
            for key, value in keys.items()
            if isinstance(value, Path)
        }

    def changed(self, section: str, key: str, value: Any) -> FilingConfig:
        """Return the document with one value in the place of another; it is checked like the others.

        Raises
        ------
        InputRefused
            The table has no such key, or the key cannot have the value.
        """
        where = f"{section}.{key}"
        keys = SECTIONS.get(section)
        if keys is None:
            raise _unknown(section, [s for s in SECTIONS if s not in _FREE], where, "table")
        if section not in _FREE:
            if key not in keys:
                raise _unknown(key, keys, where, f"key of [{section}]")
            value = _checked(keys[key], value, where, self.path.parent)
        changed = {**self.section(section), key: value}
        return replace(self, sections={**self.sections, section: changed})


def read_config(path: Path) -> FilingConfig:
    """Return a filing's document, checked: known names, values of their kind, files that are there.

    Parameters
    ----------
    path : Path
        The TOML document, or the folder that holds it as ``filing.toml``. Paths in it are relative to it.

    Raises
    ------
    InputRefused
        It is no TOML document, a table or key is not known (the nearest name is said), a needed one is missing, a value
        is of another kind, or a file is not there.
    """
    place = path / CONFIG_NAME if path.is_dir() else path
    document = _parsed(place)
    flat = _flat(document, str(place))
    sections: dict[str, dict[str, Any]] = {}
    for name, keys in flat.items():
        where = f"{place}, [{name}]"
        if name in _FREE:
            sections[name] = _free(name, keys, where)
            continue
        sections[name] = _section(SECTIONS[name], keys, where, name, place.parent)
    for name in ("filing", "inputs"):
        if name not in sections:
            raise InputRefused(
                f"the table [{name}] is missing",
                where=str(place),
                rule=_rule(name),
                remedy=f"add [{name}] with {', '.join(_needed(SECTIONS[name]))}",
            )
    _check_together(sections, place)
    return FilingConfig(place.resolve(), sections)


def _parsed(place: Path) -> dict[str, Any]:
    try:
        text = place.read_bytes().decode("utf-8")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputRefused(
            f"the filing's document cannot be read: {reason}",
            where=str(place),
            remedy=f"name a TOML file, or a folder with {CONFIG_NAME} in it",
        ) from None
    except UnicodeDecodeError:
        raise InputRefused("the file is not UTF-8 text", where=str(place), remedy="save it as UTF-8") from None
    try:
        # Decimals are kept as they are written.
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise InputRefused(
            f"the file is no TOML document: {error}",
            where=str(place),
            rule="TOML 1.0: [table], then key = value; text in quotes, dates as 2027-01-01",
            remedy="mend the line",
        ) from None


def _flat(document: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """Return the tables of a document by name, those within ``trend`` as ``trend.study`` and so on."""
    names = [name for name in SECTIONS if "." not in name]
    found: dict[str, dict[str, Any]] = {}
    for name, keys in document.items():
        if name not in names:
            raise _unknown(name, names, f"{where}, [{name}]", "table")
        if not isinstance(keys, dict):
            raise InputRefused(
                f"{name} is no table", where=where, rule=_rule(name), remedy=f"write [{name}] on a line of its own"
            )
        found[name] = {}
        for key, value in keys.items():
            inner = f"{name}.{key}"
            if isinstance(value, dict) and inner in SECTIONS:
                found[inner] = value
            else:
                found[name][key] = value
    return found


def _section(kinds: Mapping[str, str], keys: Mapping[str, Any], where: str, name: str, folder: Path) -> dict[str, Any]:
    inner = [s.removeprefix(f"{name}.") for s in SECTIONS if s.startswith(f"{name}.")]
    for key in keys:
        if key not in kinds:
            raise _unknown(key, [*kinds, *inner], f"{where}, {key}", f"key of [{name}]")
    missing = [key for key in _needed(kinds) if key not in keys]
    if missing:
        raise InputRefused(
            f"{', '.join(missing)} is missing" if len(missing) == 1 else f"{', '.join(missing)} are missing",
            where=where,
            rule=_rule(name),
            remedy="add it" if len(missing) == 1 else "add them",
        )
    return {key: _checked(kinds[key], value, f"{where}, {key}", folder) for key, value in keys.items()}


def _free(name: str, keys: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a table whose keys are the names of quantities or of settings."""
    if name == "settings":
        known = [*FilingSettings.names(), *RateSettings.names()]
    else:
        known = [*Formulas.of(FilingSettings().as_dict()).names("market"), "exchange_type"]
    found = {}
    for key, value in keys.items():
        if key not in known:
            raise _unknown(key, known, f"{where}, {key}", "setting" if name == "settings" else "quantity of the market")
        at = f"{where}, {key}"
        if name == "settings" and isinstance(value, (dict, list)):
            raise _wrong_kind(at, "a setting", "text, a number, true or false")
        if isinstance(value, dict):
            found[key] = _section(_VALUE, value, at, key, Path())
        elif name == "assumptions" and key != "exchange_type":
            found[key] = _checked(NUMBER, value, at, Path())
        else:
            found[key] = value
    return found


def _checked(kind: str, value: Any, where: str, folder: Path) -> Any:
    """Return a value of the kind that its key has; files as absolute paths."""
    kind = kind.rstrip("*")
    is_flag = isinstance(value, bool)
    if kind in (TABLE, PLACE):
        if not isinstance(value, str):
            raise _wrong_kind(where, "the path of a file", 'text in quotes: "experience.csv"')
        return _file(value, where, folder, of_table=kind == TABLE)
    fits = {
        TEXT: isinstance(value, str),
        WHOLE: isinstance(value, int) and not is_flag,
        NUMBER: isinstance(value, (int, Decimal)) and not is_flag,
        DATE: type(value) is date,
        FLAG: is_flag,
    }[kind]
    if not fits or (isinstance(value, Decimal) and not value.is_finite()):
        examples = {TEXT: 'text in quotes: "00101"', WHOLE: "digits, without quotes: 2027", NUMBER: "1.045, no quotes"}
        examples |= {DATE: "2027-01-01, without quotes", FLAG: "true or false"}
        raise _wrong_kind(where, f"a {kind}", examples[kind])
    return value


def _file(text: str, where: str, folder: Path, *, of_table: bool) -> Path:
    path = Path(text).expanduser()
    place = (path if path.is_absolute() else folder / path).resolve()
    if of_table and place.suffix.lower() not in _TABLES:
        raise InputRefused(
            f"the file is neither {' nor '.join(_TABLES)}", where=where, remedy="save it as CSV (UTF-8) or as Parquet"
        )
    if place.is_file() or (place.is_dir() and not of_table):
        return place
    held = [p.name for p in place.parent.iterdir()] if place.parent.is_dir() else []
    near = nearest(place.name, held)
    raise InputRefused(
        f"the file {text!r} does not exist",
        where=where,
        rule="paths are relative to the document",
        remedy=f"did you mean {near!r}?" if near else "check the path",
    )


def _check_together(sections: Mapping[str, Mapping[str, Any]], place: Path) -> None:
    """Refuse tables that make no sense without another one."""
    inputs = sections["inputs"]
    for name, needs in (("triangle", "experience"),):
        if name in inputs and needs not in inputs:
            raise InputRefused(
                f"{name} is named and {needs} is not", where=f"{place}, [inputs]", remedy=f"add {needs}, or take it out"
            )
    for name in ("large_claims", "credibility", "completion"):
        if name in sections and "experience" not in inputs:
            raise InputRefused(
                f"[{name}] is about an experience, and none is named",
                where=f"{place}, [inputs]",
                remedy=f"add experience, or take [{name}] out",
            )


# ------------------------------------------------------------------------------------------------ words


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most like another, or "".

    Examples
    --------
    >>> nearest("credibilty", ["manual", "credibility"]), nearest("x", ["manual"])
    ('credibility', '')
    """
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=_NEAR)
    return found[0] if found else ""


def _needed(kinds: Mapping[str, str]) -> list[str]:
    return [key for key, kind in kinds.items() if kind.endswith("*")]


def _rule(name: str) -> str:
    keys = SECTIONS.get(name, _VALUE)
    return f"[{name}] has the keys {', '.join(keys)}" if keys else f"[{name}] has a line for each name"


def _unknown(word: str, known: Iterable[str], where: str, kind: str) -> InputRefused:
    names = list(known)
    near = nearest(word, names)
    return InputRefused(
        f"{word!r} is no {kind}",
        where=where,
        rule="names are " + (", ".join(names) if len(names) <= _MOST_SHOWN else "those of filing/urrt_formulas"),
        remedy=f"did you mean {near!r}?" if near else "take it out",
    )


def _wrong_kind(where: str, kind: str, example: str) -> InputRefused:
    return InputRefused(f"the value is not {kind}", where=where, remedy=f"write {example}")
