"""The checked way in for tables: a folder of tidy files becomes cataloged, versioned tables of one family."""

from __future__ import annotations

import os
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs import _registry
from data_specs._contract import Contract, check_table, contract_from_entry, first_row, read_text, typed_table
from data_specs._overlay_files import in_order, is_table, table_name
from data_specs._years import years_held
from data_specs.errors import InputRefused, TableRefused

if TYPE_CHECKING:
    import polars as pl
    import tomlkit

__all__ = ["Added", "add_tables"]

_CSV_LIMIT_BYTES = 1_000_000


@dataclass(frozen=True)
class Added:
    """What :func:`add_tables` did with one table."""

    name: str
    action: str
    revision: str
    rows: int
    years: str
    digest: str


def add_tables(folder: str | os.PathLike[str], *, family: str, to: str | os.PathLike[str]) -> list[Added]:
    """Check every table of a folder and store it, with its digest, in a folder that poolwise can use.

    Parameters
    ----------
    folder : path
        Tidy tables, one CSV or Parquet file each. A table the catalog does not know needs an entry in
        ``<family>.toml`` or ``catalog/<family>.toml`` of this folder.
    family : str
        The family they belong to, for example ``hhs_hcc``.
    to : path
        Where ``catalog/`` and ``tables/`` are written: a folder of your own, later used through ``data_specs.use``.

    Returns
    -------
    list of Added
        One line per table: ``added``, ``revised`` or ``unchanged``. An earlier revision keeps its file.

    Raises
    ------
    InputRefused
        Not a path, or the folder does not exist or holds no table.
    TableRefused
        A table has no contract or breaks it, or two files hold it; nothing is written then.
    """
    source, target = _registry.folder_path(folder), _registry.folder_path(to)
    files = in_order({p: table_name(p) for p in source.glob("*") if is_table(p)} if source.is_dir() else {})
    if not files:
        raise InputRefused(
            "no table to add", where=str(source), remedy="name a folder that holds .csv or .parquet files"
        )
    catalog = _Catalog(family, source, target)
    checked = [(catalog.contract_of(f), f) for f in files]
    texts = [(contract, read_text(f), f) for contract, f in checked]
    for contract, text, file in texts:
        check_table(text, contract, file)
    _check_references(texts)
    done = [catalog.store(contract, text) for contract, text, _ in texts]
    catalog.write()
    _registry.forget_files(target)
    return done


def _check_references(texts: list[tuple[Contract, pl.DataFrame, Path]]) -> None:
    """Refuse a cell that points to a row which the referenced table of the same year does not have."""
    at_hand = {contract.full_name: (contract, text) for contract, text, _ in texts}
    for contract, text, file in texts:
        for column in contract.columns:
            if not column.references:
                continue
            name, _, other = column.references.rpartition(".")
            if name not in at_hand:
                continue
            target, rows = at_hand[name]
            pair = [p for p in (target.year_column,) if p and contract.year_column]
            left = [contract.year_column, column.name] if pair else [column.name]
            right = [*pair, other]
            loose = text.with_row_index("_row").drop_nulls(column.name)
            loose = loose.join(rows.select(right).unique(), left_on=left, right_on=right, how="anti")
            if loose.height:
                row = int(loose["_row"].min()) + first_row(file)  # type: ignore[arg-type]
                raise TableRefused(
                    "a cell points to nothing",
                    where=f"{file}, row {row}, column {column.name}",
                    rule=f"{contract.full_name}: every value stands in {column.references}"
                    + (" of the same year" if pair else ""),
                    remedy="add the missing row there, or mend the value here",
                )


class _Catalog:
    """The catalog file of one family in the target folder, with the tables beside it."""

    def __init__(self, family: str, source: Path, target: Path) -> None:
        import tomlkit

        self.family, self.target = family, target
        self.path = target / "catalog" / f"{family}.toml"
        self.document = tomlkit.parse(self.path.read_text(encoding="utf-8")) if self.path.exists() else _empty(family)
        self.entries: dict[str, Any] = {}
        for candidate in (_installed(family), _described(source, family)):
            self.entries.update(candidate)
        own = self.document.get("table", [])
        self.own: dict[str, Any] = {str(e["name"]): e for e in own}
        self.pending: list[tuple[Path, bytes]] = []

    def contract_of(self, file: Path) -> Contract:
        name = table_name(file)
        entry = self.own.get(name) or self.entries.get(name)
        if entry is None:
            raise TableRefused(
                f"table {name!r} of family {self.family!r} is not described",
                where=str(file),
                rule="every table has a catalog entry: title, source, key, columns with type and unit",
                remedy=f"write the entry into {self.family}.toml beside the files",
            )
        return contract_from_entry(self.family, _plain(entry), str(self.path))

    def store(self, contract: Contract, text: pl.DataFrame) -> Added:
        suffix, content = _encoded(text.select(c.name for c in contract.columns))
        digest = _digest(content)
        entry = self._entry(contract)
        revisions = entry.get("revision", [])
        shown = years_held(typed_table(text, contract), contract)
        if revisions and str(revisions[-1]["digest"]) == digest:
            revisions[-1]["years"] = shown  # the entry may say by now which column they stand in
            return Added(contract.full_name, "unchanged", str(revisions[-1]["id"]), text.height, shown, digest)
        number = len(revisions) + 1
        file = contract.name + ("" if number == 1 else f".r{number}") + suffix
        self.pending.append((self.target / "tables" / self.family / file, content))
        line = {"id": f"r{number}", "file": file, "rows": text.height, "years": shown, "digest": digest}
        _append_revision(entry, line)
        action = "added" if number == 1 else "revised"
        return Added(contract.full_name, action, f"r{number}", text.height, shown, digest)

    def _entry(self, contract: Contract) -> Any:
        import tomlkit

        if contract.name not in self.own:
            entry = tomlkit.item({k: v for k, v in _plain(self.entries[contract.name]).items() if k != "revision"})
            if "table" not in self.document:
                self.document["table"] = tomlkit.aot()
            self.document["table"].append(entry)
            self.own[contract.name] = self.document["table"][-1]
        return self.own[contract.name]

    def write(self) -> None:
        import tomlkit

        for path, content in [*self.pending, (self.path, tomlkit.dumps(self.document).encode())]:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, beside = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            Path(beside).chmod(0o644)
            Path(beside).replace(path)


def _empty(family: str) -> tomlkit.TOMLDocument:
    import tomlkit

    document = tomlkit.document()
    document["family"] = family
    return document


def _installed(family: str) -> dict[str, Any]:
    return _entries(_registry.INSTALLED / "catalog" / f"{family}.toml")


def _described(source: Path, family: str) -> dict[str, Any]:
    return {**_entries(source / "catalog" / f"{family}.toml"), **_entries(source / f"{family}.toml")}


def _entries(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    # Read only: the reader of the standard library is many times faster than the one that keeps comments.
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TableRefused(
            f"a catalog is not valid TOML ({error})", where=str(path), remedy="mend the catalog file"
        ) from None
    return {str(e["name"]): e for e in document.get("table", [])}


def _plain(entry: Any) -> dict[str, Any]:
    return entry.unwrap() if hasattr(entry, "unwrap") else dict(entry)


def _append_revision(entry: Any, line: dict[str, Any]) -> None:
    import tomlkit

    if "revision" not in entry:
        entry["revision"] = tomlkit.array().multiline(True)
    inline = tomlkit.inline_table()
    inline.update(line)
    entry["revision"].append(inline)


def _encoded(text: pl.DataFrame) -> tuple[str, bytes]:
    import io

    content = text.write_csv(line_terminator="\n").encode()
    if len(content) <= _CSV_LIMIT_BYTES:
        return ".csv", content
    buffer = io.BytesIO()
    text.write_parquet(buffer, compression="zstd", compression_level=15)
    return ".parquet", buffer.getvalue()


def _digest(content: bytes) -> str:
    import hashlib

    return "sha256:" + hashlib.sha256(content).hexdigest()
