"""One table for a spreadsheet: a row for each recipient of each sent bulletin, by bulletin, then person. Pure.

UTF-8 with a byte order mark, commas, CRLF: opens in the usual spreadsheets as it is. Before a cell that begins with
= + - @ TAB CR LF (or a full-width sign that some programs take for one) stands an apostrophe, so that nothing that
somebody typed is ever calculated. Times are RFC 3339 in UTC; COLUMNS says what each column holds.
"""

from __future__ import annotations

import csv
import io
from datetime import datetime

from app.review.record import Recipient, Record
from app.review.times import rfc3339
from app.review.wording import words

NAME = "csv"
MEDIA_TYPE = "text/csv; charset=utf-8"

COLUMNS: dict[str, str] = {
    "incident": "the incident's key",
    "drill": "yes or no",
    "simulated": "yes: the messages went to a pretend carrier",
    "bulletin": "its number",
    "stage": "the bulletin's stage",
    "sent_at": "when the bulletin was sent",
    "person_id": "the employer's id",
    "name": "",
    "department": "",
    "site": "",
    "status": "one of the eight counts; each person has exactly one",
    "reason": "why they count as unreachable or cancelled",
    "failure": "why nothing reached them, also where the bulletin was replaced or cancelled since",
    "first_channel": "the channel tried first; empty when there was none",
    "attempts": "every attempt in order: channel and state, with the provider's error code",
    "moved_to": "the channels that followed the first",
    "delivered_at": "the handset's receipt, or when the provider took it and tells nothing more",
    "delivered_by": "the channel of that",
    "delivered_proof": "receipt or accepted",
    "answer": "the answer that stands: ok, need_help, cannot",
    "via": "how it came: sms, email, page, voice, in_person, phone",
    "answered_at": "when the answer that stands was given",
    "first_answered_at": "when the first answer was given",
    "seconds_to_answer": "from sent_at to first_answered_at",
    "answers": "how many answers the person gave",
    "late": "yes: one of them came after the end, or after the bulletin was replaced",
    "recorded_by": "who recorded the answer that stands on the person's behalf",
    "told": "who was told that the person had not answered: manager, department lead or commander, name, time",
}
"""Every column and what it holds."""

_RISKY = tuple("=+-@\t\r\n＝＋－＠")


def guarded(cell: str) -> str:
    """The cell, with an apostrophe before anything that a spreadsheet might calculate."""
    return f"'{cell}" if cell.startswith(_RISKY) else cell


def render(record: Record) -> bytes:
    stages = {bulletin.number: (bulletin.stage, bulletin.sent_at) for bulletin in record.bulletins}
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for entry in record.recipients:
        stage, sent_at = stages[entry.bulletin]
        row = [record.key, _yes(record.drill), _yes(record.simulated), entry.bulletin, stage, sent_at, *_person(entry)]
        writer.writerow([_cell(value) for value in row])
    return b"\xef\xbb\xbf" + table.getvalue().encode()


def _person(entry: Recipient) -> list[object]:
    others = dict.fromkeys(a.channel for a in entry.attempts if a.channel != entry.first_channel)
    return [
        entry.person_id,
        entry.name,
        entry.department,
        entry.site,
        entry.status,
        entry.reason,
        entry.failure,
        entry.first_channel,
        "; ".join(_attempt(a.channel, a.state, a.error_code) for a in entry.attempts),
        ", ".join(others),
        entry.delivered_at,
        entry.delivered_channel,
        entry.delivered_proof,
        entry.response,
        entry.via,
        entry.answered_at,
        entry.first_answered_at,
        entry.seconds_to_answer,
        len(entry.answers),
        _yes(any(answer.late for answer in entry.answers)),
        entry.answers[-1].recorded_by if entry.answers else None,
        "; ".join(
            f"{words(told.tell)} {told.name} {rfc3339(told.at)}"
            + {"told": "", "waits": " (not yet)", "not_told": " (not after all)"}[told.outcome]
            for told in entry.told
        ),
    ]


def _attempt(channel: str, state: str, code: int | None) -> str:
    return f"{channel} {words(state)}" + (f" ({code})" if code is not None else "")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _cell(value: object) -> str | int | float:
    """Numbers as they are; everything else as guarded text."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, (int, float)) else guarded(str(value))
