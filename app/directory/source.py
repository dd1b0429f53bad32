"""A people file as it comes, told by its first bytes: a workbook, or else a CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from app.directory import csv_source, xlsx_source
from app.directory.table import Table, refuse
from app.kernel.errors import FieldError, Invalid

Source = bytes | Path | Iterable[bytes]
"""A whole file, a path to one, or its bytes in pieces of any size."""

MAX_WORKBOOK = 100_000_000
"""Bytes; a workbook is read whole."""


def read_source(source: Source, sheet: str | None = None) -> Table:
    """The table in a file. `sheet` names one of a workbook. Raises Invalid for a file that cannot be trusted, and when
    a sheet is named of a file that has none."""
    pieces = _pieces(source)
    begin = b""
    while len(begin) < len(xlsx_source.SIGNATURE) and (piece := next(pieces, None)) is not None:
        begin += piece
    if begin.startswith(xlsx_source.SIGNATURE):
        return xlsx_source.read_workbook(_whole(chain([begin], pieces)), sheet)
    if sheet is not None and sheet.strip():
        raise Invalid(
            "The file cannot be imported.",
            [FieldError("sheet", "only an Excel workbook (.xlsx) has sheets; leave it out")],
        )
    return csv_source.read_table(chain([begin], pieces))


def _whole(pieces: Iterable[bytes]) -> bytes:
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) > MAX_WORKBOOK:
            refuse(f"it is larger than {MAX_WORKBOOK // 1_000_000} MB; save the sheet as CSV UTF-8")
    return bytes(content)


def _pieces(source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
    elif isinstance(source, Path):
        try:
            with source.open("rb") as file:
                while piece := file.read(1 << 18):
                    yield piece
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise Invalid(
                "The file cannot be read.", [FieldError("file", f"{source.name}: {reason}")]
            ) from None  # fmt: skip
    else:
        yield from source
