"""Addresses as they come out of a message: a full stop or bracket behind a link belongs to the sentence. Pure."""

from __future__ import annotations

import re

from app.kernel.ids import Signer

_TAIL = r"""[.,;:!?)\]}>'"`*|~…”’»›。，、！？）］」』\s]{1,6}"""
"""What ends a sentence, a quotation, a bracket, or a link in angle brackets or markdown; never a letter or digit."""

_TOKEN = re.compile(rf"(/a/)([A-Za-z2-7]{{20}}){_TAIL}")
_SECRET = re.compile(rf"(/sign-in/[A-Za-z0-9_-]{{32}}){_TAIL}")
_PAGES = "incidents|declare|people|playbooks|readiness|reviews|settings|status"
_PAGE = re.compile(rf"(/(?:{_PAGES})(?:/[A-Za-z0-9_/-]*[A-Za-z0-9])?){_TAIL}")


def without_tail(path: str, signer: Signer) -> str | None:
    """The address that was meant; None when `path` is as we write it, or is no address of ours.

    A staff link counts only when its token is one that we issued; a sign-in link or a page by its shape. So nothing
    opens by this that does not open without it.
    """
    if found := _TOKEN.fullmatch(path):
        return found[1] + found[2] if signer.delivery_id(found[2]) is not None else None
    found = _SECRET.fullmatch(path) or _PAGE.fullmatch(path)
    return found[1] if found else None
