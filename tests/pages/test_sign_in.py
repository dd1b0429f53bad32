"""Signing in and out, and that nothing is open to whoever has not."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from app.access.pages import COOKIE
from tests.pages.conftest import Site

PAGES = (
    "/declare", "/declare/global-vendor-outage", "/incidents/INC-2026-0001", "/incidents/INC-2026-0001/bulletins/new",
    "/incidents/INC-2026-0001/bulletins/1", "/incidents/INC-2026-0001/people", "/incidents/INC-2026-0001/call-sheet",
    "/incidents/INC-2026-0001/timeline", "/incidents/INC-2026-0001/reports", "/incidents/INC-2026-0001/live",
)  # fmt: skip


async def test_opening_the_link_does_not_use_it_up(site: Site) -> None:
    secret = await site.link("commander")
    scanner = await site.surfer()
    for _ in range(3):
        page = await scanner.get(f"/sign-in/{secret}")
        assert page.status == 200
        assert [form.method for form in page.forms] == ["post"]
    person = await site.surfer()
    home = await person.press(await person.get(f"/sign-in/{secret}"), f"/sign-in/{secret}")
    assert (home.status, home.path) == (200, "/")
    assert "A commander, commander" in home.text


async def test_a_link_signs_in_once(site: Site) -> None:
    secret = await site.link("viewer")
    first, second = await site.surfer(), await site.surfer()
    await first.press(await first.get(f"/sign-in/{secret}"), f"/sign-in/{secret}")
    page = await second.press(await second.get(f"/sign-in/{secret}"), f"/sign-in/{secret}")
    assert page.status == 401
    assert "used before or is too old" in page.text
    again = await first.press(await first.get(f"/sign-in/{secret}"), f"/sign-in/{secret}")
    assert (again.status, again.path) == (200, "/"), "whoever presses twice is signed in all the same"


@pytest.mark.parametrize(
    ("goal", "leads"),
    [
        ("/incidents/INC-2026-0001", "/incidents/INC-2026-0001"),
        ("//evil.example", "/"),
        ("https://evil.example/incidents/INC-1", "/"),
        ("/incidents/../../a", "/"),
        ("/\\evil.example", "/"),
        ("/sign-out", "/"),
    ],
)
async def test_a_link_leads_on_to_an_incident_and_never_away(site: Site, goal: str, leads: str) -> None:
    surfer = await site.surfer()
    page = await surfer.get(f"/sign-in/{await site.link('viewer')}?{urlencode({'next': goal})}")
    [form] = page.forms
    assert (await surfer.send(form.action, [], follow=False)).headers["location"] == leads


async def test_a_link_is_good_for_an_hour(site: Site) -> None:
    secret = await site.link("viewer")
    site.clock.advance(seconds=3601)
    surfer = await site.surfer()
    assert (await surfer.press(await surfer.get(f"/sign-in/{secret}"), f"/sign-in/{secret}")).status == 401


@pytest.mark.parametrize(("base_url", "secure"), [("http://127.0.0.1:8000", False), ("https://muster.example", True)])
async def test_the_cookie_is_kept_from_scripts_and_from_other_sites(site: Site, base_url: str, secure: bool) -> None:
    site.app.state.house = replace(site.house, base_url=base_url)
    secret = await site.link("viewer")
    surfer = await site.surfer()
    page = await surfer.send(f"/sign-in/{secret}", [], follow=False)
    cookie = page.headers["set-cookie"].lower()
    assert page.status == 303
    assert cookie.startswith(COOKIE)
    assert all(part in cookie for part in ("httponly", "samesite=lax", "path=/"))
    assert ("; secure" in cookie) is secure


async def test_signed_out_the_first_page_says_how_to_sign_in(site: Site) -> None:
    page = await (await site.surfer()).get("/")
    assert page.status == 200
    assert "muster signin" in page.text
    assert "What is going on" not in page.text


async def test_no_page_is_open_to_whoever_is_signed_out(site: Site) -> None:
    await site.people()
    await site.sent(await site.declared())
    surfer = await site.surfer()
    for path in PAGES:
        page = await surfer.get(path)
        assert page.status == 401, path
        assert "muster signin" in page.text
        assert "Northwind" not in page.text


async def test_signing_out_ends_the_session(site: Site) -> None:
    secret = await site.session("commander")
    surfer, copy = await site.surfer(secret=secret), await site.surfer(secret=secret)
    home = await surfer.press(await surfer.get("/"), "/sign-out")
    assert "muster signin" in home.text
    assert (await copy.get("/declare")).status == 401


async def test_a_session_ends_by_itself_after_a_working_day(site: Site) -> None:
    surfer = await site.surfer("commander")
    assert (await surfer.get("/declare")).status == 200
    site.clock.advance(seconds=12 * 3600 + 1)
    assert (await surfer.get("/declare")).status == 401


async def test_whoever_leaves_is_signed_out(site: Site) -> None:
    await site.people()
    surfer = await site.surfer(secret=await site.session("commander", person="C1"))
    assert (await surfer.get("/declare")).status == 200
    await site.run("UPDATE person SET active = false WHERE employee_id = 'C1'")
    assert (await surfer.get("/declare")).status == 401
