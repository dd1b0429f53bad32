"""Writing, looking at, approving and sending a bulletin by page."""

from __future__ import annotations

import pytest

from tests.pages.conftest import Site

K = "/incidents/INC-2026-0001"


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        ("declared", "investigating"),
        ("investigating", "investigating"),
        ("identified", "identified"),
        ("monitoring", "monitoring"),
        ("resolved", "resolved"),
    ],
)
async def test_the_stage_follows_the_status(site: Site, status: str, stage: str) -> None:
    await site.people()
    await site.declared()
    await site.run("UPDATE incident SET status = :status", status=status)
    page = await (await site.surfer("commander")).get(f"{K}/bulletins/new")
    sent = page.form("/bulletins/new").data(None)
    assert ("stage", stage) in sent
    assert ("fact.what_is_down", "tills and gate screens") in sent
    assert len([1 for name, _ in sent if name == "audience"]) == 7, "everybody, unless somebody is left out"


async def test_a_next_update_that_has_passed_is_moved_on(site: Site) -> None:
    await site.people()
    key = await site.declared()
    await site.sent(key)
    site.clock.advance(seconds=3600)
    page = await (await site.surfer("commander")).get(f"{K}/bulletins/new")
    assert ("fact.next_update", "2026-03-02T04:20") in page.form("/bulletins/new").data(None)


async def test_the_way_from_words_to_everybody(site: Site) -> None:
    await site.people()
    await site.declared()
    surfer = await site.surfer("commander")
    page = await surfer.get(f"{K}/bulletins/new")
    preview = await surfer.press(page, "/bulletins/new", "Preview", fact__what_is_down="tills at <Dallas>")
    assert (preview.status, preview.path) == (200, f"{K}/bulletins/1")
    assert "Down: tills at <Dallas>." in preview.text
    assert "<Dallas>" not in preview.html
    assert "2 parts, plain letters" in preview.text
    reach = preview.text.index("1 cannot be reached")
    assert reach < preview.text.index("no usable contact point") < preview.text.index("Approve")
    assert "Nobody Reachable" in preview.text[: preview.text.index("Approve")], "named before the button, not after"
    approved = await surfer.press(preview, "/approve", "Approve")
    assert "approved, not sent yet" in approved.text
    assert (await site.one("SELECT count(*) AS n FROM delivery"))["n"] == 0
    board = await surfer.press(approved, "/send", "Text 3 people, email 1")
    assert board.path == f"{K}?done=sent"
    assert "0 of 5 have answered." in board.text
    assert await site.count("delivery") == 5


async def test_a_second_press_sends_nothing_again(site: Site) -> None:
    await site.people()
    key = await site.declared()
    number = await site.drafted(key)
    surfer = await site.surfer("commander")
    page = await surfer.press(await surfer.get(f"{K}/bulletins/{number}"), "/approve")
    await surfer.press(page, "/send")
    again = await surfer.press(page, "/send")
    assert again.status == 200
    assert await site.count("delivery") == 5
    assert len(await site.all("SELECT 1 FROM audit_entry WHERE kind = 'bulletin_sent'")) == 1


async def test_a_double_press_writes_one_draft(site: Site) -> None:
    await site.people()
    await site.declared()
    surfer = await site.surfer("commander")
    page = await surfer.get(f"{K}/bulletins/new")
    first = await surfer.press(page, "/bulletins/new", "Preview")
    second = await surfer.press(page, "/bulletins/new", "Preview")
    assert first.path == second.path
    assert await site.count("bulletin") == 1


async def test_back_and_once_more_writes_nothing_new(site: Site) -> None:
    await site.people()
    await site.declared()
    surfer = await site.surfer("commander")
    page = await surfer.get(f"{K}/bulletins/new")
    await surfer.press(page, "/bulletins/new", fact__what_is_down="tills")
    other = await surfer.press(page, "/bulletins/new", fact__what_is_down="gates")
    assert other.status == 409
    assert "You already wrote bulletin 1 with this form. Write another one?" in other.text
    assert other.link("Go to bulletin 1") == f"{K}/bulletins/1"
    anew = await surfer.get(f"{K}/bulletins/new")
    again = await surfer.press(anew, "/bulletins/new", fact__what_is_down="tills")
    assert again.path == f"{K}/bulletins/1", "a browser that asks for the form anew changes nothing about it"
    assert await site.count("bulletin") == 1
    assert (await surfer.press(other, "/bulletins/new")).path == f"{K}/bulletins/2"


async def test_a_warning_must_be_seen_before_it_is_approved(site: Site) -> None:
    await site.people()
    await site.drafted(await site.declared())
    await site.run(
        """UPDATE bulletin SET problems = '[{"level": "warning", "where": "front_line.sms", "message": "is odd"}]'"""
    )
    surfer = await site.surfer("commander")
    page = await surfer.get(f"{K}/bulletins/1")
    assert "Check this: this text is odd" in page.text
    refused = await surfer.press(page, "/approve")
    assert refused.status == 409
    assert "tick the box to approve it as it is" in refused.text
    assert (await site.one("SELECT state FROM bulletin"))["state"] == "draft"
    await surfer.press(refused, "/approve", accept_warnings="yes")
    assert (await site.one("SELECT state FROM bulletin"))["state"] == "approved"


async def test_an_error_stands_beside_its_words_and_blocks(site: Site) -> None:
    await site.people()
    key = await site.declared(vendor="—" * 30, what_works="—" * 60, what_is_down="—" * 60)
    await site.drafted(key)
    page = await (await site.surfer("commander")).get(f"{K}/bulletins/1")
    assert "parts long; shorten a fact" in page.text
    assert "It cannot be approved as it is." in page.text
    assert not page.has_form("/approve")
    again = await (await site.surfer("commander")).get(page.link("Write it again"))
    assert ("fact.what_works", "—" * 60) in again.form("/bulletins/new").data(None)


async def test_a_field_that_is_emptied_takes_the_fact_back(site: Site) -> None:
    await site.people()
    await site.declared(sites=["Paris"])
    surfer = await site.surfer("commander")
    page = await surfer.get(f"{K}/bulletins/new")
    assert (await surfer.press(page, "/bulletins/new", "Preview", fact__sites=[])).status == 200
    made = await site.one("SELECT facts FROM bulletin ORDER BY id DESC LIMIT 1")
    assert "sites" not in made["facts"]
    page = await surfer.get(f"{K}/bulletins/new")
    wrong = await surfer.press(page, "/bulletins/new", "Preview", fact__vendor="")
    assert wrong.status == 422
    assert "Vendor is missing" in wrong.text


async def test_errors_keep_every_field(site: Site) -> None:
    await site.people()
    await site.declared()
    surfer = await site.surfer("commander")
    page = await surfer.get(f"{K}/bulletins/new")
    wrong = await surfer.press(
        page, "/bulletins/new", "Preview", audience=[], stage="identified", fact__what_works="c" * 61
    )
    assert wrong.status == 422
    assert "What works has 61 characters" in wrong.text
    assert "The list of recipients is empty; name at least one" in wrong.text
    kept = wrong.form("/bulletins/new").data(None)
    assert ("stage", "identified") in kept
    assert ("fact.what_works", "c" * 61) in kept


async def test_nobody_to_tell_is_said_before_anything_is_sent(site: Site) -> None:
    await site.people("id,name,department\nX1,Someone,Legal\n")
    await site.declared()
    surfer = await site.surfer("commander")
    preview = await surfer.press(await surfer.get(f"{K}/bulletins/new"), "/bulletins/new", "Preview")
    assert "nobody in the directory belongs to them" in preview.text
    assert not preview.has_form("/approve")


async def test_a_sent_bulletin_shows_what_was_sent_and_can_be_stopped(site: Site) -> None:
    await site.people()
    await site.sent(await site.declared())
    surfer = await site.surfer("commander")
    page = await surfer.get(f"{K}/bulletins/1")
    assert "Sent 03:00 UTC, just now." in page.text
    assert not page.has_form("/approve")
    assert not page.has_form("/send")
    asked = await surfer.send(
        page.form("/cancel").action, [e for e in page.form("/cancel").data(None) if e[0] != "sure"]
    )
    assert (await site.one("SELECT state FROM bulletin"))["state"] == "sent", (
        "an older page's press is asked about first"
    )
    assert 'id="stop" open' in asked.html
    stopped = await surfer.press(page, "/cancel", "Stop bulletin 1")
    assert "The bulletin is cancelled" in stopped.text
    assert (await site.one("SELECT state FROM bulletin"))["state"] == "cancelled"


async def test_a_closed_incident_takes_no_more_bulletins(site: Site) -> None:
    await site.people()
    key = await site.declared()
    await site.drafted(key)
    await site.close(key)
    surfer = await site.surfer("commander")
    assert (await surfer.get(f"{K}/bulletins/new")).status == 409
    page = await surfer.get(f"{K}/bulletins/1")
    assert "The incident is closed, so this can no longer be sent." in page.text
    assert not page.has_form("/approve")
    assert not (await surfer.get(K)).has_link("Write the")


async def test_a_drill_is_marked_in_every_text(site: Site) -> None:
    await site.people()
    key = await site.declared(drill=True)
    await site.drafted(key)
    surfer = await site.surfer("commander")
    page = await surfer.press(await surfer.get(f"{K}/bulletins/1"), "/approve")
    assert "DRILL. Northwind Endpoint fault" in page.text
    assert "Drill: text 3 people, email 1" in page.text
    assert "DRILL This is an exercise." in page.text
