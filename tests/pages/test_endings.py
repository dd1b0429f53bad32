"""How an incident ends on the pages: the all-clear leads to closing, closing without one is asked, then the review."""

from __future__ import annotations

from tests.pages.conftest import Site

K = "/incidents/INC-2026-0001"


async def test_a_sent_all_clear_offers_to_set_the_status_and_to_close(site: Site) -> None:
    await site.people()
    key = await site.declared()
    await site.sent(key)
    await site.sent(key, "resolved")
    surfer = await site.surfer("commander")
    board = await surfer.get(K)
    assert board.link("Set it to resolved and close it") == f"{K}/bulletins/2#over"
    page = await surfer.get(f"{K}/bulletins/2")
    done = await surfer.press(page, "/change", "Set the status to resolved")
    assert "Resolved" in done.text
    page = await surfer.get(f"{K}/bulletins/2")
    assert "The incident's status is resolved." in page.text
    assert "no all-clear has gone out" not in page.text
    review = await surfer.press(page, "/close", "Close INC-2026-0001")
    assert review.path.startswith(f"{K}/review")
    assert "The incident is closed." in review.text
    assert "without an all-clear" not in review.text
    assert (await surfer.get(K)).link("Read the review") == f"{K}/review"


async def test_only_the_all_clear_that_went_out_last_offers_it(site: Site) -> None:
    await site.people()
    key = await site.declared()
    await site.sent(key)
    await site.sent(key, "resolved")
    await site.sent(key, "monitoring")
    surfer = await site.surfer("commander")
    for number in (1, 2, 3):
        assert "After the all-clear" not in (await surfer.get(f"{K}/bulletins/{number}")).text


async def test_whoever_may_not_close_is_not_offered_it(site: Site) -> None:
    await site.people()
    key = await site.declared()
    await site.sent(key)
    await site.sent(key, "resolved")
    for role in ("communications_lead", "department_lead", "viewer"):
        page = await (await site.surfer(role)).get(f"{K}/bulletins/2")
        assert "After the all-clear" not in page.text


async def test_closing_without_an_all_clear_offers_to_write_it_and_wants_a_reason(site: Site) -> None:
    await site.people()
    await site.sent(await site.declared())
    surfer = await site.surfer("commander")
    board = await surfer.get(K)
    assert "People were told about this incident, and no all-clear has gone out." in board.text
    write = await surfer.get(board.link("Write the all-clear first"))
    assert ("stage", "resolved") in write.form("/bulletins/new").data(None)
    refused = await surfer.press(board, "/close", "without an all-clear", reason="")
    assert refused.status == 422
    review = await surfer.press(refused, "/close", "without an all-clear", reason="A false alarm that nobody acted on")
    assert review.path.startswith(f"{K}/review")
    assert "status from declared to closed, without an all-clear" in review.text
    assert "without an all-clear" in (await surfer.get(K)).part("part-head")


async def test_a_page_from_before_anybody_was_told_does_not_close_without_an_all_clear(site: Site) -> None:
    await site.people()
    key = await site.declared()
    surfer = await site.surfer("commander")
    old = await surfer.get(K)
    assert "no all-clear has gone out" not in old.text
    await site.sent(key)
    refused = await surfer.press(old, "/close", reason="It was nothing")
    assert refused.status in (409, 412)
    assert ("reason", "It was nothing") in refused.form("/close").data(None)
    found = await site.one("SELECT closed_at FROM incident")
    assert found["closed_at"] is None


async def test_where_nobody_was_told_closing_asks_for_no_all_clear(site: Site) -> None:
    await site.people()
    await site.declared()
    surfer = await site.surfer("commander")
    review = await surfer.press(await surfer.get(K), "/close", reason="Declared by mistake")
    assert "The incident is closed." in review.text
    assert "without an all-clear" not in review.text


async def test_open_help_still_has_to_be_accepted_after_an_all_clear(site: Site) -> None:
    await site.people()
    key = await site.declared()
    await site.sent(key)
    await site.sent(key, "resolved")
    await site.run(
        """INSERT INTO help_request (incident_id, delivery_id, person_id, person_version_id, opened_at, told_rung)
           SELECT incident_id, id, person_id, person_version_id, created_at, -1 FROM delivery ORDER BY id LIMIT 1"""
    )
    surfer = await site.surfer("commander")
    page = await surfer.get(f"{K}/bulletins/2")
    assert "Close anyway: 1 person still needs help" in page.text
    refused = await surfer.press(page, "/close")
    assert "1 person still needs help" in refused.text
    closed = await surfer.press(page, "/close", accept_open_help="yes")
    assert "The incident is closed." in closed.text
