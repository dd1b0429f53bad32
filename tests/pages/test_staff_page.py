"""The staff page: what a person reads and presses, on any phone, without signing in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.playbooks import service as playbooks
from tests.pages.conftest import Site
from tests.pages.surfer import Page, Surfer

STYLE = Path(__file__).parents[2] / "app" / "web" / "static" / "staff.css"
TABLES = ("acknowledgment", "field_report", "help_request", "audit_entry", "inbound_message")


async def _page(site: Site, who: str = "C1", number: int = 1) -> tuple[Surfer, Page, str]:
    token = await site.token(who, number)
    surfer = await site.surfer()
    return surfer, await surfer.get(f"/a/{token}"), token


async def _sent(site: Site, **more: Any) -> str:
    await site.people()
    key = await site.declared(**more)
    await site.sent(key)
    return key


async def test_looking_acknowledges_nothing(site: Site) -> None:
    await _sent(site)
    before = [await site.count(table) for table in TABLES]
    rows = await site.all("SELECT * FROM delivery ORDER BY id")
    surfer, page, token = await _page(site)
    for _ in range(3):
        await surfer.get(f"/a/{token}")
        head = await surfer.client.head(f"/a/{token}")
        assert (head.status_code, head.text) == (200, "")
    assert page.status == 200
    assert [await site.count(table) for table in TABLES] == before
    assert await site.all("SELECT * FROM delivery ORDER BY id") == rows
    assert "set-cookie" not in page.headers


async def test_what_to_do_comes_first_and_everything_is_there(site: Site) -> None:
    await _sent(site)
    _, page, _ = await _page(site)
    order = (
        "For Amara Vance", "Down: tills and gate screens", "Your answer now", "OK I've read this", "I need help",
        "I cannot", "What to tell customers", "I will know more at 03:20 UTC", "What not to say", "You may decide",
        "Sell for cash and by hand slip", "Ask first", "Refund without a receipt: ask Shift Manager", "Never",
        "By hand", "Red folder under till 1", "Next message: 03:20 UTC, in 20 min",
    )  # fmt: skip
    places = [page.text.find(part) for part in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)
    assert "SEV1, message 1, 03:00 UTC" in page.text


@pytest.mark.parametrize("slug", ["global-vendor-outage", "payment-outage"])
async def test_the_page_is_small_and_has_no_script(site: Site, slug: str) -> None:
    await site.people()
    key = await site.declared(slug, drill=True)
    await site.sent(key)
    for who in ("C1", "C2", "I1", "S1"):
        _, page, _ = await _page(site, who)
        assert len(page.html.encode()) + STYLE.stat().st_size < 30_000
        assert "<script" not in page.html
        assert "style=" not in page.html
        assert page.html.count("<link") == 2  # the style, and an icon that is not fetched
        assert 'href="data:,"' in page.html


async def test_each_title_has_its_own_waterline(site: Site) -> None:
    await _sent(site)
    _, cashier, _ = await _page(site, "C1")
    _, manager, _ = await _page(site, "C2")
    _, analyst, _ = await _page(site, "I1")
    assert "Refund without a receipt" in cashier.text
    assert "Refund up to 200" in manager.text
    assert "Lend a spare device" in analyst.text


@pytest.mark.parametrize(
    ("button", "response", "shown"),
    [
        ("OK", "ok", "Your answer: OK."),
        ("I need help", "need_help", "Your answer: I need help."),
        ("I cannot", "cannot", "Your answer: I cannot."),
    ],
)
async def test_a_press_is_recorded_and_shown(site: Site, button: str, response: str, shown: str) -> None:
    await _sent(site)
    surfer, page, token = await _page(site)
    answered = await surfer.press(page, f"/a/{token}", button)
    assert answered.status == 200
    assert shown in answered.text
    assert "Change my answer" in answered.text
    kept = await site.one("SELECT response, via FROM acknowledgment")
    assert (kept["response"], kept["via"]) == (response, "page")
    assert await site.count("help_request") == (response == "need_help")


async def test_an_answer_can_be_changed(site: Site) -> None:
    await _sent(site)
    surfer, page, token = await _page(site)
    page = await surfer.press(page, f"/a/{token}", "I need help")
    assert "The incident team has your request." in page.text
    page = await surfer.press(page, f"/a/{token}", "OK")
    assert "Your answer: OK." in page.text
    assert [entry["response"] for entry in await site.all("SELECT response FROM acknowledgment ORDER BY id")] == [
        "need_help", "ok",
    ]  # fmt: skip
    assert (await site.one("SELECT outcome FROM help_request"))["outcome"] == "withdrawn"


async def test_whoever_asked_for_help_sees_who_has_it(site: Site) -> None:
    await _sent(site)
    surfer, page, token = await _page(site)
    await surfer.press(page, f"/a/{token}", "I need help")
    dana = await site.surfer(secret=await site.session("commander", name="Dana Reyes"))
    await dana.press(await dana.get("/incidents/INC-2026-0001"), "/take")
    assert "Dana Reyes has your request." in (await surfer.get(f"/a/{token}")).text


async def test_a_double_press_is_one_answer_and_one_report(site: Site) -> None:
    await _sent(site)
    surfer, page, token = await _page(site)
    for _ in range(2):
        await surfer.press(page, f"/a/{token}", "OK", note="till 3 works")
    assert await site.count("acknowledgment") == 1
    assert await site.count("field_report") == 1


async def test_words_go_to_the_incident_team_with_the_answer_or_without(site: Site) -> None:
    await _sent(site)
    surfer, page, token = await _page(site)
    page = await surfer.press(page, f"/a/{token}", "Send only this", note="  smoke in <aisle> 4  ")
    assert "Passed on to the incident team. This is not your answer yet" in page.text
    assert await site.count("acknowledgment") == 0
    page = await surfer.press(page, f"/a/{token}", "I cannot", note="I am at home")
    assert "Your answer: I cannot." in page.text
    page = await surfer.press(page, f"/a/{token}", "I need help", note="somebody fell here")
    reports = await site.all("SELECT text, via, maybe_help FROM field_report ORDER BY id")
    # Words that may call for help are marked here as well, unless help was asked for with them.
    assert [(entry["text"], entry["via"], entry["maybe_help"]) for entry in reports] == [
        ("smoke in <aisle> 4", "page", True), ("I am at home", "page", False), ("somebody fell here", "page", False),
    ]  # fmt: skip


@pytest.mark.parametrize("nonce", ["", "1772420400.x", "old"])
async def test_a_stale_page_asks_to_press_again_and_keeps_the_words(site: Site, nonce: str) -> None:
    await _sent(site)
    surfer, page, token = await _page(site)
    if nonce == "old":
        site.clock.advance(seconds=12 * 3600 + 1)
        nonce = dict(page.form(f"/a/{token}").data("OK"))["nonce"]
    refused = await surfer.send(
        f"/a/{token}", [("nonce", nonce), ("response", "need_help"), ("note", "stuck </textarea>")]
    )
    assert refused.status == 409
    assert "Press your answer once more." in refused.text
    assert await site.count("acknowledgment") == 0
    assert await site.count("field_report") == 0
    again = await surfer.press(refused, f"/a/{token}", "I need help")
    assert "Your answer: I need help." in again.text
    assert (await site.one("SELECT text FROM field_report"))["text"] == "stuck </textarea>"


async def test_anothers_page_does_not_answer_for_me(site: Site) -> None:
    await _sent(site)
    surfer, page, _ = await _page(site, "C2")
    mine = await site.token("C1")
    nonce = dict(page.forms[0].data("OK"))["nonce"]
    assert (await surfer.send(f"/a/{mine}", [("nonce", nonce), ("response", "ok")])).status == 409
    assert await site.count("acknowledgment") == 0


@pytest.mark.parametrize(("response", "note"), [("", ""), ("maybe", ""), ("", "x" * 2001)])
async def test_what_cannot_be_taken_is_said(site: Site, response: str, note: str) -> None:
    await _sent(site)
    surfer, page, token = await _page(site)
    nonce = dict(page.forms[0].data("OK"))["nonce"]
    refused = await surfer.send(f"/a/{token}", [("nonce", nonce), ("response", response), ("note", note)])
    assert refused.status == 422
    assert refused.has_form(f"/a/{token}")
    assert await site.count("acknowledgment") + await site.count("field_report") == 0


async def test_an_older_page_leads_to_the_newer_message(site: Site) -> None:
    key = await _sent(site)
    await site.sent(key, "identified", what_works="cash only")
    surfer, old, _ = await _page(site, "C1", 1)
    assert "There is a newer message." in old.text
    newer = await surfer.get(old.link("Open the newer message"))
    assert "cash only" in newer.text
    assert "There is a newer message" not in newer.text


async def test_after_it_is_over_an_answer_is_kept_as_late(site: Site) -> None:
    key = await _sent(site)
    await site.close(key)
    surfer, page, token = await _page(site)
    assert "It is over." in page.text
    assert "Next message" not in page.text
    await surfer.press(page, f"/a/{token}", "OK")
    assert (await site.one("SELECT late FROM acknowledgment"))["late"] is True


async def test_a_withdrawn_message_says_so(site: Site) -> None:
    await _sent(site)
    surfer = await site.surfer("commander")
    await surfer.press(await surfer.get("/incidents/INC-2026-0001/bulletins/1"), "/cancel")
    _, page, _ = await _page(site)
    assert "This message was withdrawn." in page.text


async def test_an_unknown_link_is_explained(site: Site) -> None:
    await _sent(site)
    surfer = await site.surfer()
    token = await site.token("C1")
    changed = token[:12] + ("a" if token[12] != "a" else "b") + token[13:]
    for wrong in ("x", token[:-1], changed, "a" * 20, "%00" * 20):
        page = await surfer.get(f"/a/{wrong}")
        assert page.status == 404, wrong
        assert "Open the link in your message again" in page.text
        assert (await surfer.send(f"/a/{wrong}", [("response", "ok")])).status == 404


async def test_whoever_left_learns_nothing(site: Site) -> None:
    await _sent(site)
    surfer, page, token = await _page(site)
    await site.run("UPDATE person SET active = false WHERE employee_id = 'C1'")
    gone = await surfer.get(f"/a/{token}")
    pressed = await surfer.press(page, f"/a/{token}", "OK", note="hello")
    for shown in (gone, pressed):
        assert shown.status == 410
        for secret in ("Northwind", "SEV1", "INC-", "Amara", "incident", "tills"):
            assert secret not in shown.html
    assert await site.count("acknowledgment") + await site.count("field_report") == 0


async def test_a_drill_begins_and_ends_with_drill(site: Site) -> None:
    await _sent(site, drill=True)
    _, page, _ = await _page(site)
    assert page.text.startswith("DRILL.")
    assert page.text.endswith("DRILL")
    assert page.title.startswith("DRILL")
    assert "Practice set-up: no real message is sent." in page.text


FRENCH = """
      languages:
        fr:
          page: "Panne chez ${vendor}. Marche: ${what_works}."
          say: ["Je vous sers sans la caisse."]
    contact_centre:
"""


async def test_the_words_come_in_the_persons_language(site: Site, tmp_path: Path) -> None:
    shipped = (site.house.playbooks_dir / "global-vendor-outage.yaml").read_text(encoding="utf-8")
    translated = shipped.replace("\n    contact_centre:\n", FRENCH)
    (tmp_path / "global-vendor-outage.yaml").write_text(translated, encoding="utf-8")
    site.app.state.house = site.house = replace(site.house, playbooks_dir=tmp_path)
    assert await playbooks.sync(site.house) == ()
    await _sent(site, what_works="cash")
    _, french, _ = await _page(site, "C2")
    assert "Panne chez Northwind Endpoint. Marche: cash." in french.text
    assert "Je vous sers sans la caisse." in french.text
    assert '<h1 lang="fr">' in french.html
    assert "It will be fixed by noon." in french.text, "what is not translated stays as it is"
    _, english, _ = await _page(site, "C1")
    assert "Panne" not in english.text
    assert '<h1 lang="en">' in english.html


async def test_names_and_facts_are_only_text(site: Site) -> None:
    await site.people(
        "id,name,department,title,site,mobile\nC1,<script>alert(1)</script>,Store Operations,<b>x,y,+19725550101\n"
    )
    key = await site.declared(what_is_down="<script>alert(2)</script>", what_works='a & "b" ${vendor}')
    await site.sent(key)
    _, page, _ = await _page(site)
    assert "<script" not in page.html
    assert 'Down: <script>alert(2)</script>. Works: a & "b" ${vendor}.' in page.text
