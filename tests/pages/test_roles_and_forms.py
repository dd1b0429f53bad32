"""Who may open and press what, and that a form counts only when it came from one's own page."""

from __future__ import annotations

import pytest

from app.web.csrf import FIELD
from tests.pages.conftest import ROLES, Site

LEADS = {"admin", "commander", "communications_lead"}
K = "/incidents/INC-2026-0001"

OPENS: tuple[tuple[str, set[str]], ...] = (
    ("/", set(ROLES)),
    (K, set(ROLES)),
    (f"{K}/bulletins/1", set(ROLES)),
    (f"{K}/people", set(ROLES)),
    (f"{K}/call-sheet", set(ROLES)),
    (f"{K}/timeline", set(ROLES)),
    (f"{K}/reports", set(ROLES)),
    ("/people/numbers", set(ROLES)),
    ("/declare", {"admin", "commander"}),
    ("/declare/payment-outage", {"admin", "commander"}),
    (f"{K}/bulletins/new", LEADS),
)

POSTS: tuple[tuple[str, set[str]], ...] = (
    ("/declare/payment-outage", {"admin", "commander"}),
    ("/declare/payment-outage/count", {"admin", "commander"}),
    (f"{K}/change", {"admin", "commander"}),
    ("/people/numbers/retry", {"admin", "department_lead"}),
    (f"{K}/close", {"admin", "commander"}),
    (f"{K}/bulletins/new", LEADS),
    (f"{K}/bulletins/2/approve", LEADS),
    (f"{K}/bulletins/2/send", LEADS),
    (f"{K}/bulletins/2/cancel", LEADS),
    (f"{K}/help/1/take", LEADS | {"department_lead"}),
    (f"{K}/help/1/close", LEADS | {"department_lead"}),
    (f"{K}/reports/1/media/1", LEADS | {"department_lead"}),
    (f"{K}/reports/1/help", LEADS | {"department_lead"}),
    (f"{K}/reports/1/clear", LEADS | {"department_lead"}),
    ("/people/numbers/opt-out", LEADS | {"department_lead"}),
    ("/people/numbers/opt-in", LEADS | {"department_lead"}),
    ("/people/numbers/keep/1", LEADS | {"department_lead"}),
    ("/reports/1/clear", LEADS | {"department_lead"}),
    (f"{K}/bulletins/1/people/C1/answer", LEADS | {"department_lead"}),
)


async def _begin(site: Site) -> None:
    await site.people()
    key = await site.declared()
    await site.sent(key)
    await site.drafted(key)
    token = await site.token("C2")
    surfer = await site.surfer()
    await surfer.press(await surfer.get(f"/a/{token}"), f"/a/{token}", "I need help")


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_opens_what_it_may(site: Site, role: str) -> None:
    await _begin(site)
    surfer = await site.surfer(role)
    for path, allowed in OPENS:
        page = await surfer.get(path)
        assert page.status == (200 if role in allowed else 403), path
        assert role in allowed or "Not allowed for this role" in page.text


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_is_refused_what_it_may_not_press(site: Site, role: str) -> None:
    await _begin(site)
    surfer = await site.surfer(role)
    token = next(value for name, value in (await surfer.get("/")).form("/sign-out").data(None) if name == FIELD)
    for path, allowed in POSTS:
        before = [await site.count(table) for table in ("audit_entry", "incident", "bulletin", "acknowledgment")]
        page = await surfer.send(path, [(FIELD, token)], follow=False)
        if role in allowed:
            assert page.status in (200, 303, 404, 409, 422), (path, page.status)
        else:
            assert page.status == 403, (path, page.status)
            after = [await site.count(table) for table in ("audit_entry", "incident", "bulletin", "acknowledgment")]
            assert after == before, path


@pytest.mark.parametrize("role", ROLES)
async def test_what_a_role_may_not_do_is_not_offered(site: Site, role: str) -> None:
    await _begin(site)
    surfer = await site.surfer(role)
    home, board, draft = await surfer.get("/"), await surfer.get(K), await surfer.get(f"{K}/bulletins/2")
    assert home.has_link("Declare an incident") is (role in {"admin", "commander"})
    assert board.has_link("Write the next bulletin") is (role in LEADS)
    assert board.has_form("/change") is (role in {"admin", "commander"})
    assert board.has_form("/take") is (role != "viewer")
    assert board.has_form("/answer") is (role != "viewer")
    assert draft.has_form("/approve") is (role in LEADS)


@pytest.mark.parametrize("token", ["", "1.x", "another session's"])
async def test_a_form_from_elsewhere_changes_nothing(site: Site, token: str) -> None:
    await _begin(site)
    if token.startswith("another"):
        other = await (await site.surfer("commander")).get("/")
        token = next(value for name, value in other.form("/sign-out").data(None) if name == FIELD)
    surfer = await site.surfer("commander")
    for path, _ in (*POSTS, ("/sign-out", set())):
        before = await site.count("audit_entry")
        page = await surfer.send(path, [(FIELD, token), ("reason", "x"), ("status", "resolved")])
        assert page.status == 403, path
        assert "Nothing was changed" in page.text
        assert await site.count("audit_entry") == before, path
    assert (await surfer.get("/declare")).status == 200, "still signed in"


async def test_a_department_lead_acts_for_the_own_department_only(site: Site) -> None:
    await _begin(site)
    surfer = await site.surfer("department_lead")
    board = await surfer.get(K)
    assert "Amara Vance" in board.part("part-people")
    assert "Grace O'Brien" not in board.part("part-people")
    form = board.form("/C1/answer")
    form.fill({"response": "ok", "note": "asked at the till"})
    refused = await surfer.send(form.action.replace("/C1/", "/I1/"), form.data(None))
    assert refused.status == 403
    assert (await surfer.send(form.action, form.data(None))).status == 200
    assert await site.count("acknowledgment") == 2  # C2 pressed a button, C1 was recorded


async def test_a_viewer_sees_no_whole_number_on_the_call_sheet(site: Site) -> None:
    await _begin(site)
    for role, sees in (("viewer", False), ("communications_lead", False), ("commander", True), ("admin", True)):
        sheet = await (await site.surfer(role)).get(f"{K}/call-sheet")
        assert ("+19725550101" in sheet.html) is sees, role
        assert ("+1 972-555-0101" in sheet.text) is sees, role
        assert ("+1 *** *** 0101" in sheet.text) is not sees, role
    lead = await (await site.surfer("department_lead")).get(f"{K}/call-sheet?department=IT")
    assert "+19725550101" in lead.html
    assert "+16175550103" not in lead.html
    assert "Grace" not in lead.text
