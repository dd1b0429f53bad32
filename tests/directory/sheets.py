"""Makes workbooks as spreadsheets write them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import xlsxwriter

HEADER = ("id", "name", "department", "mobile", "email", "active")


def workbook(rows: Iterable[Sequence[Any]], *, name: str = "People", hidden: Sequence[str] = ()) -> bytes:
    """One sheet with these rows, behind hidden ones. None is a cell that is not there."""
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True, "strings_to_formulas": False}) as book:
        for other in hidden:
            sheet = book.add_worksheet(other)
            sheet.write(0, 0, "nothing for you")
            sheet.hide()
        page = book.add_worksheet(name)
        page.activate()
        for number, row in enumerate(rows):
            for place, value in enumerate(row):
                if value is not None:
                    page.write(number, place, value)
    return content.getvalue()
