"""The board as it is read and used: the account, help, departments, people, reports, timeline."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pages.conftest import Site
from tests.pages.surfer import Page

K = "/incidents/INC-2026-0001"


async def _sent(site: Site, *, everybody: bool = False, **more: Any) -> str:
    if everybody:
        await site.everybody()
    else:
        await site.people()
    key = await site.declared(**more)
    await site.sent(key)
    return key


async def _answer(site: Site, employee_id: str, button: str, note: str = "") -> Page:
    token = await site.token(employee_id)
    surfer = await site.surfer()
    return await surfer.press(await surfer.get(f"/a/{token}"), f"/a/{token}", button, note=note)


async def _hand_over(site: Site) -> None:
    """As a worker would: every text and mail accepted."""
    await site.run(
        """UPDATE attempt SET state = 'accepted', provider_message_id = 'SM' || id, accepted_at = :now,
                  updated_at = :now WHERE state = 'queued'""",
        now=site.clock.now(),
    )


async def test_the_sections_stand_in_the_order_of_need(site: Site) -> None:
    await _sent(site)
    await _answer(site, "C1", "I need help", "the gate is stuck")
    page = await (await site.surfer("commander")).get(K)
    order = [page.html.index(f'id="part-{name}"') for name in (
        "head", "account", "help", "departments", "curve", "people", "reports", "timeline")]  # fmt: skip
    assert order == sorted(order)
    assert page.status == 200


async def test_before_anybody_is_told_it_says_what_to_do(site: Site) -> None:
    await site.people()
    await site.declared()
    page = await (await site.surfer("commander")).get(K)
    assert "Nobody has been told yet." in page.text
    assert "The first bulletin is due 03:05 UTC, in 5 min" in page.text
    assert page.link("Write the first bulletin").endswith("/bulletins/new")
    number = await site.drafted("INC-2026-0001")
    assert (await (await site.surfer("commander")).get(K)).link("Look at bulletin 1").endswith(f"/bulletins/{number}")


async def test_one_sentence_answers_the_question(site: Site) -> None:
    await _sent(site)
    await _hand_over(site)
    await _answer(site, "C1", "OK")
    await _answer(site, "C2", "I need help")
    await _answer(site, "S1", "I cannot")
    page = await (await site.surfer("viewer")).get(K)
    account = page.part("part-account")
    assert "3 of 5 have answered. 1 needs help. 1 cannot be reached." in account
    assert "3 answered (1 OK, 1 asked for help, 1 cannot do their part)" in account
    assert "1 delivered, no reply" in account
    departments = page.part("part-departments")
    assert "Store Operations 2 of 3" in departments
    assert "0 waiting, 0 sending, 1 asked for help , 1 cannot be reached" in departments
    assert "IT 0 of 1 1 waiting, 0 sending" in departments


async def test_the_next_bulletin_counts_down_and_then_is_late(site: Site) -> None:
    await _sent(site)
    surfer = await site.surfer("commander")
    assert "The next bulletin is due 03:20 UTC, in 20 min" in (await surfer.get(K)).text
    site.clock.advance(seconds=21 * 60)
    late = await surfer.get(K)
    assert "The next bulletin was due 03:20 UTC, 60 s ago" in late.text
    assert "Next bulletin was due 03:20 UTC, 60 s ago" in (await surfer.get("/")).text
    # From now on it is the time that staff were told, whatever the cadence.
    await site.sent("INC-2026-0001", "identified", next_update="2026-03-02T04:05:00Z")
    assert "The next bulletin is due 04:05 UTC, in 44 min" in (await surfer.get(K)).text
    assert "Next bulletin due 04:05 UTC, in 44 min" in (await surfer.get("/")).text
    await site.sent("INC-2026-0001", "resolved", next_update="2026-03-02T05:00:00Z")
    assert "The all-clear is out. No further bulletin is due." in (await surfer.get(K)).text
    assert "Next bulletin" not in (await surfer.get("/")).text
    await site.close("INC-2026-0001")
    assert "Closed 03:21 UTC" in (await surfer.get(K)).text


async def test_help_is_taken_by_name_and_closed_with_what_was_done(site: Site) -> None:
    await _sent(site)
    await _answer(site, "C1", "I need help")
    secret = await site.session("commander", name="Dana Reyes")
    dana, other = await site.surfer(secret=secret), await site.surfer("admin")
    page = await dana.get(K)
    assert "1 person needs help" in page.part("part-help")
    assert "Amara Vance Cashier, Dallas, Store Operations" in page.part("part-help")
    assert "Unassigned" in page.part("part-help")
    page = await dana.press(page, "/take", "Assign to me")
    assert "Assigned to you" in page.part("part-help")
    theirs = await other.get(K)
    assert "Assigned to Dana Reyes" in theirs.part("part-help")
    assert theirs.has_form("/take"), "another may take it over"
    blank = await dana.press(page, "/help/1/close", "Close it")
    assert blank.status == 422
    assert "say in a few words what was done" in blank.text
    done = await dana.press(page, "/help/1/close", "Close it", outcome="brought a torch")
    assert "Nobody is waiting for help" in done.text
    assert "Nobody needs help." in done.part("part-account")
    again = await other.press(theirs, "/take")
    assert again.status == 412
    assert "help request closed by Dana Reyes" in again.text


async def test_each_request_for_help_has_its_number_the_persons_own_words_and_its_age(site: Site) -> None:
    await _sent(site)
    await _answer(site, "C1", "I need help", "the gate is stuck")
    site.clock.advance(seconds=8 * 60)
    for role, shows in (
        ("commander", True),
        ("department_lead", True),
        ("communications_lead", False),
        ("viewer", False),
    ):
        surfer = await site.surfer(role)
        for address in (K, f"{K}/call-sheet"):
            page = await surfer.get(address)
            assert "the gate is stuck" in page.text, (role, address)
            assert "8 min ago" in page.text
            assert ('href="tel:+19725550101"' in page.html) is shows, (role, address)
            if not shows:
                assert "+19725550101" not in page.html
                assert "+1 *** *** 0101" in page.text
    sheet = await (await site.surfer("commander")).get(f"{K}/call-sheet")
    assert "Call first: 1 person needs help" in sheet.text
    assert sheet.text.index("Amara Vance") < sheet.text.index("Grace O'Brien"), "who needs help is called first"
    assert "Unassigned" in sheet.text
    await _answer(site, "C2", "OK", "a customer collapsed")
    sheet = await (await site.surfer("commander")).get(f"{K}/call-sheet")
    assert "Call next: 1 person may need help" in sheet.text
    assert "a customer collapsed" in sheet.text
    # Whoever takes a request can call, whatever the role.
    lead = await site.surfer("communications_lead")
    mine = await lead.press(await lead.get(K), "/take", "Assign to me")
    assert 'href="tel:+19725550101"' in mine.html
    # Somebody who is recorded for stands with what was noted.
    await lead.press(await lead.get(f"{K}?q=nobody"), "/C3/answer", response="need_help", note="her colleague rang")
    board = (await lead.get(K)).part("part-help")
    assert "her colleague rang" in board
    assert "noted by A communications_lead" in board
    assert "No phone number known" in board


async def test_an_answer_in_person_is_recorded_under_ones_name(site: Site) -> None:
    await _sent(site)
    surfer = await site.surfer("commander")
    page = await surfer.get(f"{K}?q=nobody")
    assert "Cannot be reached: no usable contact point" in page.part("part-people")
    blank = await surfer.press(page, "/C3/answer", response="need_help")
    assert blank.status == 422
    assert "“How do you know?” is required; say how you know" in blank.text
    assert ("response", "need_help") in blank.form("/C3/answer").data(None), "what was chosen stays"
    done = await surfer.press(blank, "/C3/answer", note="met at the door")
    assert done.path == f"{K}/people?q=nobody&done=answered"
    assert "The answer is recorded under your name." in done.text
    kept = await site.one("SELECT response, via, note, account_id FROM acknowledgment")
    assert (kept["response"], kept["via"], kept["note"]) == ("need_help", "in_person", "met at the door")
    assert kept["account_id"]


async def test_the_list_is_filtered_searched_and_led_on(site: Site) -> None:
    await _sent(site, everybody=True)
    surfer = await site.surfer("commander")
    page = await surfer.get(K)
    assert "571 people, 20 shown." in page.part("part-people")
    department = await surfer.get(page.link("Security 0 of 17"))
    assert "17 people." in department.part("part-people")
    assert "in Security" in department.text
    cannot = await surfer.get(f"{K}?status=unreachable")
    assert cannot.part("part-people").count("Cannot be reached:") == 5
    found = await surfer.get(f"{K}?q=%3DHYPERLINK")
    assert '=HYPERLINK("http://example.com","Priya O\'Brien")' in found.part("part-people")
    assert '<a href="http://example.com' not in found.html
    whole = await surfer.get(page.link("Show the whole list"))
    assert "571 people, 100 shown." in whole.text
    following = await surfer.get(whole.link("The next 100"))
    assert not {row[:6] for row in whole.html.split('id="p-')[1:]} & {
        row[:6] for row in following.html.split('id="p-')[1:]
    }
    nobody = await surfer.get(f"{K}?q=zzz&status=nonsense&after=abc&bulletin=77&department=")
    assert "Nobody here is found by “zzz”." in nobody.text


async def test_what_was_tried_is_said_without_the_number(site: Site) -> None:
    """Providers repeat the number in their refusal; a viewer must not read it there."""
    await _sent(site)
    await site.run(
        """UPDATE attempt SET state = 'rejected', error_code = 77777, reason = 'To +1 (972) 555-0101 is bad, c1@x.org'
           WHERE address = '+19725550101'"""
    )
    await site.run(
        """UPDATE attempt SET state = 'rejected', error_code = 21211, reason = '+19725550102 is bad'
           WHERE address = '+19725550102'"""
    )
    page = await (await site.surfer("viewer")).get(K)
    people = page.part("part-people")
    assert "Text refused: To +1" in people
    assert "c1@x.org" not in people
    assert "Text refused: the number is not valid" in people
    assert "555" not in people
    assert "Email at 03:04 UTC, in 4 min" in page.text


async def test_a_change_needs_a_reason_and_keeps_what_was_chosen(site: Site) -> None:
    await _sent(site)
    surfer = await site.surfer("commander")
    page = await surfer.get(K)
    refused = await surfer.press(page, "/change", status="identified", severity="SEV2")
    assert refused.status == 422
    assert "Reason is required" in refused.text
    assert ("severity", "SEV2") in refused.form("/change").data(None)
    same = await surfer.press(await surfer.get(K), "/change", reason="because")
    assert same.status == 422
    done = await surfer.press(refused, "/change", reason="cause <found>")
    assert "Changed, with your reason on the timeline." in done.text
    head = done.part("part-head")
    assert "SEV2 Identified" in head
    timeline = done.part("part-timeline")
    assert "Status changed from declared to identified" in timeline
    assert "cause <found>" in timeline
    assert "<found>" not in done.html


async def test_closing_with_people_in_need_must_be_meant(site: Site) -> None:
    await _sent(site)
    await _answer(site, "C1", "I need help")
    surfer = await site.surfer("commander")
    page = await surfer.get(K)
    refused = await surfer.press(page, "/incidents/INC-2026-0001/close", reason="all is well")
    assert refused.status == 409
    assert "1 person still needs help" in refused.text
    assert "accept_open_help" not in refused.text
    assert ("reason", "all is well") in refused.form("/incidents/INC-2026-0001/close").data(None)
    done = await surfer.press(refused, "/incidents/INC-2026-0001/close", accept_open_help="yes")
    assert "The incident is closed." in done.text
    board = await surfer.get(K)
    assert not board.has_form("/change")
    assert "with 1 person still in need of help" in board.part("part-timeline")


async def test_what_people_say_is_shown_whole_and_harmless(site: Site) -> None:
    await site.people(
        'id,name,department,title,site,mobile\nC1,<img src=x onerror=alert(1)>,IT,"<b>Boss</b>",A&B,+19725550101\n'
    )
    key = await site.declared(vendor="<i>Northwind</i>")
    await site.sent(key)
    await _answer(site, "C1", "I need help", '<script>alert("x")</script>\nsecond line')
    surfer = await site.surfer("commander")
    for path in (
        K,
        f"{K}/reports",
        f"{K}/people?status=all",
        f"{K}/timeline",
        f"{K}/bulletins/1",
        "/",
        f"{K}/call-sheet",
    ):
        page = await surfer.get(path)
        assert page.status == 200, path
        for evil in ("<img src=x", "<script>alert", "<b>Boss", "<i>Northwind"):
            assert evil not in page.html, path
    board = await surfer.get(K)
    assert '“<script>alert("x")</script> second line”' in board.part("part-reports")
    assert "<img src=x onerror=alert(1)> <b>Boss</b>, A&B, IT" in board.part("part-help")


async def test_runs_of_answers_are_one_line_of_the_timeline(site: Site) -> None:
    await _sent(site)
    for who in ("C1", "C2", "I1"):
        await _answer(site, who, "OK")
    site.clock.advance(seconds=60)
    await _answer(site, "S1", "I need help")
    surfer = await site.surfer("commander")
    timeline = (await surfer.get(K)).part("part-timeline")
    assert "4 answers" in timeline
    assert "Uma Eriksen needs help" in timeline
    assert "Amara Vance answered" not in timeline
    whole = await surfer.get(f"{K}/timeline")
    assert "Amara Vance answered: OK, on the staff page" in whole.text


async def test_an_earlier_bulletin_can_be_looked_at(site: Site) -> None:
    key = await _sent(site)
    await _answer(site, "C1", "OK")
    await site.sent(key, "identified")
    surfer = await site.surfer("commander")
    assert "0 of 5 have answered." in (await surfer.get(K)).part("part-account")
    earlier = await surfer.get(f"{K}?bulletin=1")
    assert "You are looking at bulletin 1." in earlier.text
    assert "1 of 5 have answered." in earlier.part("part-account")


async def test_the_call_sheet_lists_who_has_not_answered_by_department(site: Site) -> None:
    await _sent(site)
    await _answer(site, "C1", "OK")
    surfer = await site.surfer("commander")
    sheet = await surfer.get((await surfer.get(K)).link("Call sheet"))
    assert "4 people have not answered as of 03:00 UTC." in sheet.text
    assert sheet.text.index("Customer Service 1") < sheet.text.index("IT 1") < sheet.text.index("Store Operations 2")
    assert "Nobody Reachable" in sheet.text
    assert "Amara Vance" not in sheet.text
    one = await surfer.get(sheet.link("IT"))
    assert "1 person has not answered" in one.text


async def test_marks_of_practice_and_drill_stand_on_every_page(site: Site) -> None:
    await _sent(site, drill=True)
    surfer = await site.surfer("commander")
    for path in ("/", "/declare", K, f"{K}/people", f"{K}/call-sheet", f"{K}/bulletins/1", f"{K}/bulletins/new",
                 f"{K}/timeline", f"{K}/reports", "/nowhere"):  # fmt: skip
        page = await surfer.get(path)
        assert "Practice set-up: no real message is sent." in page.text, path
        if path.startswith(K):
            assert "DRILL This is an exercise." in page.text, path


async def test_errors_say_what_happened_what_to_do_and_whom_to_call(site: Site) -> None:
    surfer = await site.surfer("commander")
    for path, status in (("/nowhere", 404), ("/incidents/INC-1999-1", 404), (f"{K}/bulletins/99999999999", 404)):
        page = await surfer.get(path)
        assert page.status == status, path
        assert "What to do" in page.text
        assert "Whom to call" in page.text
        assert "Traceback" not in page.text


@pytest.mark.parametrize("q", ["%00", "%FF", "'%3B--", "%F0%9F%98%80" * 40, "%E2%80%AE"])
async def test_odd_searches_are_only_searches(site: Site, q: str) -> None:
    await _sent(site)
    surfer = await site.surfer("viewer")
    for path in (K, f"{K}/people", f"{K}/call-sheet", f"{K}/reports"):
        page = await surfer.get(f"{path}?q={q}&department={q}&after={q}&bulletin={q}&status={q}")
        assert page.status in (200, 422), path


async def test_ten_thousand_people_are_a_page_of_ordinary_size(site: Site) -> None:
    lines = ["id,name,department,title,site,mobile"]
    lines += [f"P{n},Person {n},{'IT' if n % 3 else 'Store Operations'},Clerk,Site {n % 40}," for n in range(10_000)]
    await site.people("\n".join(lines))
    await site.sent(await site.declared())
    surfer = await site.surfer("commander")
    page = await surfer.get(K)
    assert "10,000 cannot be reached." in page.text
    assert len(page.html) < 120_000
    sheet = await surfer.get(f"{K}/call-sheet")
    assert "The first 2,000 are listed." in sheet.text
