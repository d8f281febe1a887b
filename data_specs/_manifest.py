"""What a run leaves behind: one manifest, and an output folder that is published complete or not at all.

A folder is written beside its place under another name and then takes its place in one step: by an exchange of two
names where the system offers one (Linux, macOS), by two renames elsewhere. Between two renames the place is empty for
an instant; a reader sees the old folder, none, or the new one, never a part. If the process dies in that instant, the
next run puts the old folder back.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs._registry import digest_of, provenance
from data_specs.errors import OutputRefused, PoolwiseError

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "MANIFEST",
    "describe_run",
    "digests",
    "product_version",
    "publishing",
    "read_manifest",
    "write_manifest",
    "writing",
]

MANIFEST = "manifest.json"
_PRODUCT = "poolwise"
_FORMAT = 1
_LEFT_BY_THE_SYSTEM = {".DS_Store", "Thumbs.db", "desktop.ini"}
_UNFINISHED, _PREVIOUS = "unfinished", "previous"
_ABANDONED_AFTER_SECONDS = 86_400


def product_version() -> str:
    """Return the installed version of poolwise, or ``unknown`` when it runs from a checkout that is not installed."""
    try:
        return importlib.metadata.version(_PRODUCT)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def digests(files: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Return name, bytes and digest (sha256) of files, in order of their names."""
    return [
        {"name": name, "bytes": path.stat().st_size, "digest": digest_of(path)} for name, path in sorted(files.items())
    ]


def describe_run(
    command: str,
    options: Mapping[str, Any],
    *,
    benefit_year: int | None = None,
    settings: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Path] | None = None,
    tables: Sequence[str] = (),
    counts: pl.DataFrame | None = None,
    findings: pl.DataFrame | None = None,
    uncertain: pl.DataFrame | None = None,
) -> dict[str, Any]:
    """Return what a manifest says of a run, all but its outputs.

    Parameters
    ----------
    command, options
        The command and its options as given; the output folder is left out, because the manifest lies in it.
    inputs : mapping of path, optional
        The input files by name.
    tables : sequence of str
        The tables of published figures that took part.
    counts, findings, uncertain : DataFrame, optional
        As :class:`riskadjust.Scores` has them. Of findings the rule, table, severity, action and rows are kept.

    Returns
    -------
    dict
        Ready for :func:`write_manifest`. ``created_at`` (UTC) is the only entry that differs between equal runs; it is
        left out when the environment variable SOURCE_DATE_EPOCH is set.
    """
    shown = ("rule_id", "table", "severity", "action", "rows")
    document: dict[str, Any] = {
        "product": _PRODUCT,
        "manifest_format": _FORMAT,
        "version": product_version(),
        "command": command,
        "options": dict(options),
        "benefit_year": benefit_year,
        "settings": dict(settings or {}),
        "counts": [] if counts is None else counts.to_dicts(),
        "findings": [] if findings is None else findings.select(shown).to_dicts(),
        "uncertain": [] if uncertain is None else uncertain.to_dicts(),
        "inputs": digests(inputs or {}),
        "tables": provenance(list(tables)),
        "software": {"python": platform.python_version(), "polars": importlib.metadata.version("polars")},
    }
    if "SOURCE_DATE_EPOCH" not in os.environ:
        document["created_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return document


def write_manifest(folder: Path, run: Mapping[str, Any]) -> Path:
    """Write the manifest of a folder: the run, and the digest of every file of the folder. Return its path."""
    path = folder / MANIFEST
    outputs = {f.relative_to(folder).as_posix(): f for f in _files(folder) if f != path}
    text = json.dumps({**run, "outputs": digests(outputs)}, indent=2, ensure_ascii=False, default=str)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a result folder, or None when it is no result folder of poolwise."""
    try:
        document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_ours = isinstance(document, dict) and document.get("product") == _PRODUCT
    return document if is_ours else None


@contextmanager
def publishing(target: str | os.PathLike[str], *, inputs: Sequence[Path] = ()) -> Iterator[Path]:
    """Yield an empty folder; when the block ends without an exception it takes the place of `target`.

    Parameters
    ----------
    target : path
        Where the results shall be. May be missing, an empty folder, or an earlier result, which is replaced.
    inputs : sequence of path
        What the run reads: a target that holds it is refused, because replacing it would delete it.

    Yields
    ------
    Path
        The folder to write into; the block ends with :func:`write_manifest`.

    Raises
    ------
    OutputRefused
        The target is something else than named above, cannot be written, or cannot be replaced. What stood there before
        stands there still.
    """
    place = Path(target).expanduser().resolve()
    with writing(place):
        _restore(place)
        _check_place(place, inputs)
        staging = _make_beside(place)
    try:
        yield staging
        if read_manifest(staging) is None:
            raise AssertionError("a result is published only with its manifest")
        with writing(place):
            _flush(staging)
            _check_place(place, inputs)
            _switch(staging, place)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _sweep(place)


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Refuse the output when the file system does: a full disk, a place without permission.

    Raises
    ------
    OutputRefused
        For every error of the operating system within the block, also one that Polars reports in its own way.
    """
    try:
        yield
    except PoolwiseError:
        raise
    except Exception as error:
        reason = _reason(error)
        if not reason:
            raise
        what = f"the results cannot be written: {reason}"
        raise _refused(what, place, "free space there, or name a place where you may write") from None


def _reason(error: Exception) -> str:
    """Return what the operating system said, in its words; nothing when it did not say anything."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    said = re.search(r"([^:\n]+) \(os error \d+\)", str(error))  # as Polars passes it on
    if said:
        return said[1].strip().lower()
    return "the system refused it" if isinstance(error, OSError) else ""


def _beside(place: Path, kind: str) -> Path:
    return place.with_name(f".{place.name}.poolwise-{kind}-{secrets.token_hex(4)}")


def _siblings(place: Path, kind: str) -> list[Path]:
    return sorted(place.parent.glob(f".{_literal(place.name)}.poolwise-{kind}-????????"))


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if not f.is_dir() or f.is_symlink())


def _refused(what: str, place: Path, remedy: str, rule: str = "") -> OutputRefused:
    return OutputRefused(what, where=str(place), rule=rule, remedy=remedy)


def _check_place(place: Path, inputs: Sequence[Path]) -> None:
    """Refuse a place whose replacement would lose something, or that cannot be replaced."""
    for path in inputs:
        if path.resolve().is_relative_to(place):
            raise _refused(
                "the output folder holds the input", place, "name another output folder", "results replace their folder"
            )
    if not place.exists():
        return
    if not place.is_dir():
        raise _refused("a file has the name of the output folder", place, "name another output folder")
    if Path.cwd().is_relative_to(place):
        raise _refused("the output folder is where you are", place, "name a folder within it")
    if os.path.ismount(place):  # Path.is_mount fails on Windows before Python 3.12
        raise _refused("the output folder is a mount point", place, "name a folder within it")
    files = [f for f in _files(place) if f.name not in _LEFT_BY_THE_SYSTEM]
    if files:
        _check_is_ours(place, files)


def _check_is_ours(place: Path, files: Sequence[Path]) -> None:
    manifest = read_manifest(place)
    if manifest is None:
        raise _refused(
            "the output folder exists and holds something else than results of poolwise",
            place,
            "name a new folder, or an empty one",
            f"only a folder with a {MANIFEST} of poolwise is replaced",
        )
    ours = {MANIFEST, *(str(o.get("name")) for o in manifest.get("outputs", ()))}
    foreign = [f.relative_to(place).as_posix() for f in files if f.relative_to(place).as_posix() not in ours]
    if foreign:
        raise _refused(
            f"the output folder also holds {len(foreign)} file(s) that no run of poolwise wrote, {foreign[0]!r} first",
            place,
            "move them elsewhere, or name another output folder",
            "a result is replaced as a whole",
        )


def _make_beside(place: Path) -> Path:
    staging = _beside(place, _UNFINISHED)
    place.parent.mkdir(parents=True, exist_ok=True)
    staging.mkdir()
    return staging


def _flush(folder: Path) -> None:
    """Make the files durable before their folder gets its name, so that a power failure leaves no empty files."""
    for file in _files(folder):
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())


def _switch(staging: Path, place: Path) -> None:
    """Give the finished folder its name. On failure the old folder keeps it, and the new one is deleted."""
    try:
        if not place.exists():
            staging.rename(place)
        elif _exchange(staging, place):
            shutil.rmtree(staging, ignore_errors=True)
        else:
            _two_renames(staging, place)
    except OSError as error:
        raise _refused(
            f"the output folder cannot be replaced: {_reason(error)}",
            place,
            "close the programs that have its files open, or name another output folder",
        ) from None


def _two_renames(staging: Path, place: Path) -> None:
    previous = _beside(place, _PREVIOUS)
    place.rename(previous)
    try:
        staging.rename(place)
    except BaseException:
        if not place.exists():
            previous.rename(place)
        raise
    shutil.rmtree(previous, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step of the file system; return whether that could be done."""
    import ctypes

    name, exchange_flag, folder = {
        "linux": ("renameat2", 2, -100),  # RENAME_EXCHANGE; AT_FDCWD
        "darwin": ("renameatx_np", 2, -2),  # RENAME_SWAP; AT_FDCWD
    }.get(sys.platform, ("", 0, 0))
    if not name:
        return False
    try:
        call = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError):
        return False
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return bool(call(folder, os.fsencode(one), folder, os.fsencode(other), exchange_flag) == 0)


def _restore(place: Path) -> None:
    """Put back the folder that a run had moved aside when it died before the new one got its name."""
    if place.exists():
        return
    for previous in _siblings(place, _PREVIOUS):
        if read_manifest(previous) is not None:
            with suppress(OSError):
                previous.rename(place)
            return


def _sweep(place: Path) -> None:
    """Delete what killed runs have left beside the place; younger folders may belong to a run that still works."""
    for folder in [*_siblings(place, _UNFINISHED), *_siblings(place, _PREVIOUS)]:
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
