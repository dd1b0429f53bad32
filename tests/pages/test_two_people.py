"""Two people on one page: what the other changed is said, never put back, and nothing that was typed is lost."""

from __future__ import annotations

import pytest

from app.access.matrix import Actor
from app.bulletins import writing
from app.kernel.db import row
from tests.pages.conftest import FEW, Site
from tests.pages.surfer import Surfer

K = "/incidents/INC-2026-0001"


async def two(site: Site) -> tuple[Surfer, Surfer]:
    """Al and Bo, both commanders."""
    return (
        await site.surfer(secret=await site.session("commander", name="Al Reyes")),
        await site.surfer(secret=await site.session("commander", name="Bo Lind")),
    )


async def incident(site: Site) -> tuple[str, str]:
    found = await site.one("SELECT status, severity FROM incident")
    return found["status"], found["severity"]


async def test_an_older_page_never_puts_a_status_back(site: Site) -> None:
    await site.people()
    await site.declared()
    al, bo = await two(site)
    older = await al.get(K)
    await bo.press(await bo.get(K), "/change", status="monitoring", reason="tills are back")
    site.clock.advance(seconds=120)
    told = await al.press(older, "/change", severity="SEV2", reason="smaller than feared")
    assert told.status == 412
    assert await incident(site) == ("monitoring", "SEV1")
    assert "Status changed from declared to monitoring by Bo Lind, 03:00 UTC, 2 min ago: “tills are back”" in told.text
    again = dict(told.form("/change").data(None))
    assert (again["status"], again["severity"], again["reason"]) == ("monitoring", "SEV2", "smaller than feared")
    assert (await al.press(told, "/change")).path == f"{K}?done=changed"
    assert await incident(site) == ("monitoring", "SEV2")


async def test_a_double_press_changes_once_and_says_nothing_of_it(site: Site) -> None:
    await site.people()
    await site.declared()
    al, _ = await two(site)
    page = await al.get(K)
    for _ in range(2):
        assert (await al.press(page, "/change", status="identified", reason="found it")).path == f"{K}?done=changed"
    assert (await site.one("SELECT count(*) AS n FROM audit_entry WHERE kind = 'status_changed'"))["n"] == 1


async def test_a_board_that_missed_a_bulletin_does_not_close_the_incident(site: Site) -> None:
    await site.people()
    key = await site.declared()
    al, _ = await two(site)
    older = await al.get(K)
    await site.sent(key)
    told = await al.press(older, "/close", reason="all is well")
    assert told.status == 412
    assert "Bulletin 1 sent by An API commander" in told.text
    assert ("reason", "all is well") in told.form("/close").data(None)
    assert (await incident(site))[0] == "declared"


@pytest.mark.parametrize(("step", "button"), [("send", None), ("cancel", "Yes, discard")])
async def test_a_bulletin_that_another_discarded_is_neither_sent_nor_discarded_again(
    site: Site, step: str, button: str | None
) -> None:
    await site.people()
    await site.declared()
    al, bo = await two(site)
    page = await al.press(await al.get(f"{K}/bulletins/new"), "/bulletins/new", fact__what_is_down="tills")
    approved = await al.press(page, "/approve")
    await bo.press(await bo.get(f"{K}/bulletins/1"), "/cancel", "Yes, discard")
    told = await al.press(approved, f"/{step}", button)
    assert told.status == 412
    assert "Bulletin 1 cancelled by Bo Lind" in told.text
    assert await site.count("delivery") == 0


async def test_who_sends_hears_that_the_status_changed_meanwhile(site: Site) -> None:
    await site.people()
    await site.declared()
    al, bo = await two(site)
    page = await al.press(await al.get(f"{K}/bulletins/new"), "/bulletins/new", fact__what_is_down="tills")
    approved = await al.press(page, "/approve")
    await bo.press(await bo.get(K), "/change", status="monitoring", reason="tills are back")
    told = await al.press(approved, "/send")
    assert told.status == 412
    assert "Status changed from declared to monitoring by Bo Lind" in told.text
    assert await site.count("delivery") == 0
    assert (await al.press(told, "/send")).path == f"{K}?done=sent"


async def help_asked(site: Site) -> str:
    """The page's id of the one open request for help."""
    key = await site.declared()
    await site.sent(key)
    lead = await site.surfer("admin")
    await lead.press(await lead.get(K), "/C1/answer", response="need_help", note="rang")
    return str((await site.one("SELECT id FROM help_request"))["id"])


async def test_help_that_another_took_meanwhile_is_not_taken_over_unseen(site: Site) -> None:
    await site.people()
    request = await help_asked(site)
    al, bo = await two(site)
    older = await al.get(K)
    await bo.press(await bo.get(K), f"/help/{request}/take")
    told = await al.press(older, f"/help/{request}/take")
    assert told.status == 412
    assert "Amara Vance's help request assigned to Bo Lind by Bo Lind" in told.text
    assert (await site.one("SELECT a.name FROM help_request h JOIN account a ON a.id = h.taken_by"))[
        "name"
    ] == "Bo Lind"
    assert (await al.press(told, f"/help/{request}/take")).path == f"{K}?done=taken"
    assert (await site.one("SELECT a.name FROM help_request h JOIN account a ON a.id = h.taken_by"))[
        "name"
    ] == "Al Reyes"


async def test_what_was_typed_about_help_is_shown_when_another_closed_it(site: Site) -> None:
    await site.people()
    request = await help_asked(site)
    al, bo = await two(site)
    older = await al.get(K)
    await bo.press(await bo.get(K), f"/help/{request}/close", outcome="sent a guard")
    told = await al.press(older, f"/help/{request}/close", outcome="rang the store")
    assert told.status == 412
    assert "help request closed by Bo Lind" in told.text
    assert "“sent a guard”" in told.text
    assert "You typed: “rang the store”" in told.text


async def test_an_answer_that_came_meanwhile_is_not_overwritten_unseen(site: Site) -> None:
    await site.people()
    await site.sent(await site.declared())
    al, bo = await two(site)
    older = await al.get(K)
    await bo.press(await bo.get(K), "/C1/answer", response="need_help", note="rang")
    told = await al.press(older, "/C1/answer", response="ok", note="saw her at the desk")
    assert told.status == 412
    assert "Amara Vance's answer: needs help by Bo Lind" in told.text
    typed = dict(told.form("/C1/answer").data(None))
    assert (typed["response"], typed["note"]) == ("ok", "saw her at the desk")
    assert (await site.one("SELECT response FROM delivery d WHERE response IS NOT NULL"))["response"] == "need_help"
    await al.press(told, "/C1/answer")
    assert (await site.one("SELECT response FROM delivery d WHERE response IS NOT NULL"))["response"] == "ok"


async def test_an_answer_is_recorded_once_however_often_it_is_pressed(site: Site) -> None:
    await site.people()
    await site.sent(await site.declared())
    al, _ = await two(site)
    page = await al.get(K)
    for _ in range(2):
        assert (await al.press(page, "/C1/answer", response="ok", note="at the desk")).status == 200
    assert await site.count("acknowledgment") == 1


async def test_a_form_to_write_keeps_what_was_typed_and_takes_over_what_went_out_meanwhile(site: Site) -> None:
    await site.people()
    key = await site.declared()
    al, _ = await two(site)
    older = await al.get(f"{K}/bulletins/new")
    await site.sent(key, what_works="phones only")
    told = await al.press(older, "/bulletins/new", fact__what_is_down="gates")
    assert told.status == 412
    assert "Bulletin 1 sent by An API commander" in told.text
    again = dict(told.form("/bulletins/new").data(None))
    assert (again["fact.what_is_down"], again["fact.what_works"]) == ("gates", "phones only")
    await al.press(told, "/bulletins/new")
    facts = (await site.one("SELECT facts FROM bulletin WHERE number = 2"))["facts"]
    assert (facts["what_is_down"], facts["what_works"]) == ("gates", "phones only")


async def test_the_stage_follows_a_status_that_changed_meanwhile_unless_it_was_chosen(site: Site) -> None:
    await site.people()
    await site.declared()
    al, bo = await two(site)
    for chosen, comes in (({}, "monitoring"), ({"stage": "resolved"}, "resolved")):
        older = await al.get(f"{K}/bulletins/new")
        status = "monitoring" if not chosen else "identified"
        await bo.press(await bo.get(K), "/change", status=status, reason="seen")
        told = await al.press(older, "/bulletins/new", **chosen)
        assert told.status == 412
        assert ("stage", comes) in told.form("/bulletins/new").data(None)


async def test_who_writes_is_seen_by_the_other(site: Site) -> None:
    await site.people()
    await site.declared()
    al, bo = await two(site)
    page = await al.get(f"{K}/bulletins/new")
    assert "is writing" not in page.text, "oneself is no news"
    site.clock.advance(seconds=60)
    for where in (K, f"{K}/bulletins/new"):
        assert "Al Reyes is writing bulletin 1, page opened 03:00 UTC, 60 s ago" in (await bo.get(where)).text
    await al.press(page, "/bulletins/new", fact__what_is_down="tills")
    seen = await bo.get(f"{K}/bulletins/new")
    assert "Al Reyes is writing bulletin 1, draft saved 03:01 UTC" in seen.text
    assert seen.link("Open draft 1") == f"{K}/bulletins/1"
    site.clock.advance(seconds=400)
    assert "Bo Lind is writing" not in (await al.get(K)).text, "a page that is long gone is no writer"


async def test_a_page_that_was_sent_off_is_no_writer_though_its_stream_lives_a_moment_longer(site: Site) -> None:
    await site.people()
    key = await site.declared()
    al, bo = await two(site)
    page = await al.get(f"{K}/bulletins/new")
    await al.press(page, "/bulletins/new", fact__what_is_down="tills")
    async with site.house.db.begin() as session:
        made = await row(session, "SELECT created_by FROM bulletin WHERE number = 1")
        assert made
        actor = Actor(made["created_by"], "Al Reyes", "commander")
        await writing.renewed(session, site.house, actor, key)
    seen = (await bo.get(K)).text
    assert "draft saved" in seen
    assert "page opened" not in seen
    async with site.house.db.begin() as session:
        await writing.connected(session, site.house, actor, key)
        await writing.renewed(session, site.house, actor, key)
    assert "Al Reyes is writing bulletin 2, page opened" in (await bo.get(K)).text, "a page that is open again counts"


async def test_the_same_words_again_are_said_before_the_button_and_need_a_tick(site: Site) -> None:
    await site.people()
    key = await site.declared()
    await site.sent(key)
    site.clock.advance(seconds=180)
    al, _ = await two(site)
    await site.drafted(key)
    approved = await al.press(await al.get(f"{K}/bulletins/2"), "/approve", "Approve")
    said = "bulletin 1, sent by An API commander 03:00 UTC, 3 min ago, went to 4 of these 5 people"
    assert said in approved.text
    assert approved.text.index(said) < approved.text.index("Text 3 people")
    bare = await al.press(approved, "/send")
    assert bare.status == 409
    assert "told 4 of these people the same words" in bare.text
    assert "tick the box that says so" in bare.text
    assert (await al.press(approved, "/send", confirm="yes")).path == f"{K}?done=sent"


async def test_other_words_or_later_need_no_tick(site: Site) -> None:
    await site.people()
    key = await site.declared()
    await site.sent(key)
    al, _ = await two(site)
    await site.drafted(key, what_is_down="tills and gates")
    assert "Same text again" not in (await al.get(f"{K}/bulletins/2")).text
    await site.drafted(key)
    assert "Same text again" in (await al.get(f"{K}/bulletins/3")).text
    site.clock.advance(seconds=601)
    assert "Same text again" not in (await al.get(f"{K}/bulletins/3")).text


async def test_a_flag_on_another_number_than_the_page_showed_is_not_lifted(site: Site) -> None:
    await site.people()
    refused = """INSERT INTO suppression (address, channel, reason, since)
                 SELECT address, 'sms', 'invalid', :at FROM contact_point WHERE address = :address"""
    await site.run(refused, address="+19725550101", at=site.clock.now())
    admin = await site.surfer("admin")
    older = await admin.get("/people/numbers")
    await site.people(FEW.replace("+19725550101", "+19725550199"))
    site.clock.advance(seconds=60)
    await site.run(refused, address="+19725550199", at=site.clock.now())
    told = await admin.press(older, "/people/numbers/retry")
    assert told.status == 412
    assert "changed and refused again after you opened the page" in told.text
    assert (await site.one("SELECT count(*) AS n FROM suppression WHERE address = '+19725550199'"))["n"] == 1
    assert (await admin.press(told, "/people/numbers/retry")).path == "/people/numbers?done=retried"


async def test_a_form_that_was_refused_for_something_else_still_hears_of_a_change(site: Site) -> None:
    await site.people()
    key = await site.declared()
    al, bo = await two(site)
    board, paper = await al.get(K), await al.get(f"{K}/bulletins/new")
    await bo.press(await bo.get(K), "/change", status="monitoring", reason="tills are back")
    blank = await al.press(board, "/change", severity="SEV2")
    assert blank.status == 422
    assert (await al.press(blank, "/change", reason="smaller")).status == 412
    wrong = await al.press(paper, "/bulletins/new", fact__what_is_down="x" * 300)
    assert wrong.status == 412, "first what changed"
    wrong = await al.press(wrong, "/bulletins/new")
    assert wrong.status == 422
    await site.sent(key, what_works="phones only")
    told = await al.press(wrong, "/bulletins/new", fact__what_is_down="gates")
    assert told.status == 412
    again = dict(told.form("/bulletins/new").data(None))
    assert (again["fact.what_is_down"], again["fact.what_works"]) == ("gates", "phones only")
    told = await al.press(told, "/bulletins/new", audience=[])
    assert told.status == 422
    assert ("fact.what_is_down", "gates") in told.form("/bulletins/new").data(None)
