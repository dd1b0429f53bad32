"""The exports: JSON is the record, CSV is safe in a spreadsheet, Markdown stays a document whoever is named."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.kernel.errors import Invalid, NotYet
from app.review import formats, wording
from app.review.formats import FORMATS, csv_format, markdown
from app.review.markup import escape, quote, table
from app.review.record import Record
from app.review.times import rfc3339
from tests.review.conftest import Told
from tests.review.story import EVIL

READER = MarkdownIt("commonmark").enable("table")


def plain(value: Any) -> Any:
    """What the record is in JSON's own types."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def texts(html: str) -> str:
    """What a browser would show."""
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        html = html.replace(entity, sign)
    return html


def test_json_is_exactly_the_record(told: Told) -> None:
    found = json.loads(told.exports["json"])
    assert found == plain(asdict(told.record))
    assert found["simulated"] is True
    assert found["as_of"] == "2026-03-02T03:55:00.000Z"
    assert found["bulletins"][0]["reach"]["to_delivered"] == {
        "50": {"at": "2026-03-02T03:03:20.000Z", "seconds_after_declared": 200.0, "seconds_after_sent": 20.0},
        "90": None,
        "100": None,
    }


@pytest.mark.parametrize("name", FORMATS)
def test_no_export_shows_anybodys_number_or_address(told: Told, name: str) -> None:
    said = told.exports[name].decode("utf-8", "replace")
    assert not re.search(r"415.{0,3}555.{0,3}01", said)
    assert not re.search(r"(ana|ben|cleo|finn|gus)@example", said)


def test_csv_has_one_row_for_each_recipient_and_bulletin(told: Told) -> None:
    content = told.exports["csv"]
    assert content.startswith(b"\xef\xbb\xbfincident,drill,simulated,bulletin,")
    assert content.count(b"\r\n") == content.count(b"\n") == 20
    rows = read_csv(content)
    assert len(rows) == 19
    assert list(rows[0]) == list(csv_format.COLUMNS)
    finn = next(row for row in rows if (row["bulletin"], row["person_id"]) == ("1", "p6"))
    assert finn == {
        "incident": "INC-2026-0001", "drill": "no", "simulated": "yes", "bulletin": "1", "stage": "investigating",
        "sent_at": "2026-03-02T03:03:00.000Z", "person_id": "p6", "name": "Finn Adair", "department": "IT",
        "site": "Office", "status": "acknowledged", "reason": "", "failure": "", "first_channel": "sms",
        "attempts": "sms undelivered (30007); email accepted", "moved_to": "email",
        "delivered_at": "2026-03-02T03:03:40.000Z", "delivered_by": "email", "delivered_proof": "accepted",
        "answer": "ok", "via": "page", "answered_at": "2026-03-02T03:05:00.000Z",
        "first_answered_at": "2026-03-02T03:05:00.000Z", "seconds_to_answer": "120", "answers": "1", "late": "no",
        "recorded_by": "", "told": "",
    }  # fmt: skip
    cleo = next(row for row in rows if (row["bulletin"], row["person_id"]) == ("1", "p3"))
    assert (cleo["answer"], cleo["via"], cleo["recorded_by"]) == ("cannot", "in_person", "Kim Commander")
    gus = next(row for row in rows if (row["bulletin"], row["person_id"]) == ("1", "p7"))
    assert (gus["late"], gus["seconds_to_answer"]) == ("yes", "1380")


def test_csv_cells_are_never_formulas(told: Told) -> None:
    rows = read_csv(told.exports["csv"])
    assert next(row["name"] for row in rows if row["person_id"] == "p4") == f"'{EVIL}"
    for row in rows:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1"])
def test_csv_guards_every_dangerous_beginning(record: Record, name: str) -> None:
    people = tuple(replace(person, name=name, site=name, department=name) for person in record.recipients)
    rows = read_csv(csv_format.render(replace(record, recipients=people)))
    assert len(rows) == len(people)
    assert all(row[column] == f"'{name}" for row in rows for column in ("name", "site", "department"))


def test_markdown_tells_the_figures(told: Told) -> None:
    said = told.exports["md"].decode()
    assert said.startswith("# Review of INC-2026-0001: A sample outage: North&#124;wind \\`x\\` &lt;b&gt;\n")
    assert "Simulated: the messages went to a pretend carrier." in said
    assert "Times are in the zone Europe/Berlin." in said
    for line in (
        "| 50 % delivered | 2026-03-02 04:03:20 CET | 3 min 20 s | 20 s |",
        "| 90 % delivered | not reached | – | – |",
        "| 50 % acknowledged | 2026-03-02 04:26:00 CET | 26 min | 23 min |",
        "| 50 % answered | 2026-03-02 04:07:30 CET | 7 min 30 s | 4 min 30 s |",
        "| Store Operations | 2 s | 10 s | not reached | not reached | 7 min | not reached | 1 min |",
        "Delivered to 5 of 7: 3 by the handset's receipt, 2 where the provider accepted it and reports nothing more.",
        "Answered: 5 of 7 (by text 1, on the page 3, in person 1). Median time to answer: 2 min.",
        "Moved on to another channel: 3 people (email 3, of which 3 handed over).",
        "3 bulletins for 7 people in all: 5 answered at least once, 2 could not be reached by any.",
        "| Fact: next update | 2026-03-02 04:45:00 CET |",
        "#### Could not be reached: 2 of 7",
        "| the number is not valid | Eve Stone | p5 | IT | Office |",
        "| 2 | 2026-03-02 04:23:00 CET | 2026-03-02 04:25:00 CET | 2 min late |",
        "Reached by no bulletin: 2 people.",
        "Holding an older bulletin than the latest: 5 people.",
        "| First message | 3 min 2 s after declaring |",
        "| From resolved to the all-clear | 1 min |",
    ):  # fmt: skip
        assert f"\n{line}\n" in said, line
    assert "Ring me on +1 \\*\\*\\* \\*\\*\\* 0103 please" in said
    assert "someone at this number (+1 \\*\\*\\* \\*\\*\\* 0199), by text:" in said


def test_markdown_counts_stand_under_their_heads(told: Told) -> None:
    said = formats.find("md").render(told.after_second).decode()
    second = said[said.index("### Bulletin 2: identified") :]
    head, _, everybody, *_ = re.findall(r"^\| .*$", second, re.MULTILINE)
    found = dict(zip(head.strip("| ").split(" | "), everybody.strip("| ").split(" | "), strict=True))
    assert found == {
        "Department": "Everybody", "People": "7", "answered OK": "1", "need help": "0", "answered cannot": "0",
        "no reply": "3", "sending": "1", "not known": "0", "not reached": "2", "stopped": "0",
    }  # fmt: skip
    assert "- Bulletin 2 (identified), 7 people: answered OK 1, no reply 3, sending 1, not reached 2." in said


def test_an_all_clear_is_told_of_as_news_that_asked_for_nothing(told: Told) -> None:
    said = told.exports["md"].decode()
    all_clear = said[said.index("### Bulletin 3: resolved\n") : said.index("## Without the latest bulletin")]
    assert "\nIt asked for no answer. Asked for help all the same: 0 people.\n" in all_clear
    for asking in ("answered", "acknowledged", "no reply", "Median", "told that", "Told that"):
        assert asking not in all_clear
    head, _, everybody, *_ = re.findall(r"^\| .*$", all_clear, re.MULTILINE)
    found = dict(zip(head.strip("| ").split(" | "), everybody.strip("| ").split(" | "), strict=True))
    assert set(found) == {
        "Department",
        "People",
        "need help",
        "delivered",
        "sending",
        "not known",
        "not reached",
        "stopped",
    }
    [line] = re.findall(r"^- Bulletin 3 .*$", said, re.MULTILINE)
    assert "no reply" not in line


def test_an_all_clear_that_went_out_before_the_status_is_no_negative_time(told: Told) -> None:
    early = replace(told.record, summary=replace(told.record.summary, seconds_from_resolved_to_all_clear=-4.0))
    said = markdown.render(early).decode()
    assert "| From resolved to the all-clear | the all-clear went out 4 s before |" in said


def test_markdown_holds_every_timeline_entry_once(told: Told) -> None:
    said = told.exports["md"].decode()
    listed = said[said.index("## Timeline") :]
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \| 2026", listed, re.MULTILINE)]
    assert sorted(numbers) == [entry.seq for entry in told.record.timeline]
    assert "| Kim Commander | severity from SEV2 to SEV1: Every store is down |" in said
    assert "| Ben Ode | Ben Ode answered again: OK on the page to bulletin 1 |" in said
    assert "| system | 2 people tried by email for bulletin 1 |" in said


def test_nothing_that_somebody_typed_becomes_markup(told: Told) -> None:
    html = READER.render(told.exports["md"].decode())
    tags = set(re.findall(r"</?([a-z][a-z0-9]*)", html))
    assert tags <= {
        "h1", "h2", "h3", "h4", "p", "table", "thead", "tbody", "tr", "th", "td", "blockquote", "br", "ul", "li",
    }  # fmt: skip
    assert EVIL in texts(html)
    assert "Queue out of the door | `tills` <script>x</script>" in texts(html)
    assert "North|wind `x` <b>" in texts(html)
    for one in re.findall(r"<table>.*?</table>", html, re.DOTALL):
        rows = [len(re.findall(r"<t[hd]", row)) for row in re.findall(r"<tr>.*?</tr>", one, re.DOTALL)]
        assert len(set(rows)) == 1


_TYPED = st.text(
    st.sampled_from("ab 1.)#=+-*_`~|<>&!\\[](){}$:\"'/\n\r\t\u2028\u202e@x\x07")
    | st.characters(exclude_categories=["Cs"]),
    max_size=40,
)


@settings(deadline=None)
@given(_TYPED, _TYPED)
def test_any_text_stays_text_in_a_cell(first: str, second: str) -> None:
    html = READER.render("\n".join(table(("A", "B"), [(first, second), ("end", "end")])))
    assert set(re.findall(r"</?([a-z]+)", html)) <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert html.count("<tr>") == 3
    assert html.count("<td>") == 4


@settings(deadline=None)
@given(_TYPED)
def test_any_text_stays_text_in_a_quote_and_a_heading(text: str) -> None:
    html = READER.render("\n".join([f"# Head: {escape(text)}", "", *quote(text), "", "end"]))
    assert set(re.findall(r"</?([a-z]+[0-9]?)", html)) <= {"h1", "p", "blockquote", "br"}
    assert html.count("<blockquote>") == html.count("<h1>") == 1


def test_a_timeline_entry_of_a_kind_not_known_here_is_told_whole() -> None:
    assert wording.sentence("tea_break", {"minutes": 5, "text": "why"}) == "tea break (minutes 5): why"
    assert wording.sentence("declared", {"other": True}) == "declared (other yes)"


def test_formats_that_are_to_come_and_formats_that_are_not_known() -> None:
    for name in formats.COMING:
        with pytest.raises(NotYet, match="json, md, csv"):
            formats.find(name)
    with pytest.raises(Invalid) as caught:
        formats.find("docx")
    assert "json, md, csv" in caught.value.errors[0].message
    assert formats.find("md") is markdown
