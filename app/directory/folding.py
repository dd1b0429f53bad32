"""How names of departments, sites, titles and shifts are compared: without regard to case, width or white space."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """The form in which two spellings are equal: `" Store  operations"` and `"STORE OPERATIONS"`."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def fold_sql(expression: str) -> str:
    """The same comparison made by the database, for columns that are stored only as written.

    Both sides of a comparison must be folded by the database: its rules differ from Python's for a few letters.
    `expression` is SQL of ours, never a value.
    """
    return rf"btrim(regexp_replace(lower(normalize({expression}, NFKC)), '\s+', ' ', 'g'))"


def id_key(employee_id: str) -> str:
    """The form in which two ids are alike: without case, width, white space and leading zeros (`00123` and `123`)."""
    return fold(employee_id).replace(" ", "").lstrip("0")


def id_key_sql(expression: str) -> str:
    """The same made by the database; see `fold_sql`."""
    return rf"ltrim(regexp_replace(lower(normalize({expression}, NFKC)), '\s+', '', 'g'), '0')"
