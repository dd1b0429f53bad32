"""Declaring by page: finding the playbook, the form that keeps everything, and one incident for a double press."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from app.main import attach
from tests.pages.conftest import Site

SLUG = "global-vendor-outage"
FACTS = {
    "fact__vendor": "Northwind Endpoint", "fact__what_is_down": "tills", "fact__what_works": "cash",
    "fact__next_update": "2026-03-02T03:20",
}  # fmt: skip


async def test_the_playbook_is_found_by_what_people_report(site: Site) -> None:
    surfer = await site.surfer("commander")
    everything = await surfer.get("/declare")
    assert everything.has_link("Customers cannot pay")
    assert everything.has_link("Outage at a vendor")
    found = await surfer.get("/declare?q=customers+are+charged+TWICE")
    assert found.text.index("Customers cannot pay") < found.text.index("Outage at a vendor")
    assert "Fits: customers are charged twice" in found.text
    nothing = await surfer.get("/declare?q=earthquake")
    assert "No playbook mentions “earthquake”" in nothing.text
    assert nothing.has_link("Customers cannot pay"), "a wrong word hides nothing"


async def test_three_presses_declare(site: Site) -> None:
    await site.everybody()
    surfer = await site.surfer("commander")
    chosen = await surfer.get((await surfer.get("/declare")).link("Outage at a vendor"))
    filled = await surfer.get(chosen.link("Use the examples"))
    bulletin = await surfer.press(filled, f"/declare/{SLUG}", "Declare and write the first bulletin")
    assert bulletin.status == 200
    assert bulletin.path.startswith("/incidents/INC-2026-0001/bulletins/new")
    assert "The incident is declared. Nobody has been told yet." in bulletin.text
    made = await site.one("SELECT severity, drill, facts FROM incident")
    assert (made["severity"], made["drill"]) == ("SEV1", False)
    assert made["facts"]["next_update"].startswith("2026-03-02T03:20")


async def test_made_up_facts_never_stand_where_messages_are_real(site: Site) -> None:
    await site.everybody()
    slug = "customer-data-breach"
    surfer = await site.surfer("commander")
    practice = await surfer.get(f"/declare/{slug}?examples=1")
    assert dict(practice.form(f"/declare/{slug}").data(None))["fact.known_since"]
    real = replace(site.house, simulated=False)
    attach(site.app, real, site.app.state.hub, signatures=None)
    for address in (f"/declare/{slug}", f"/declare/{slug}?examples=1", f"/declare/{slug}?examples=1&drill=1"):
        page = await surfer.get(address)
        assert not page.has_link("Use the examples")
        facts = dict(page.form(f"/declare/{slug}").data(None))
        filled = {name for name, value in facts.items() if name.startswith("fact.") and value}
        assert filled == {"fact.next_update", "fact.next_update.was"}, (
            "a time to promise is proposed, nothing is made up"
        )
        assert ("The examples are not filled in" in page.text) is ("examples" in address)


async def test_a_practice_incident_is_never_sent_for_real(site: Site) -> None:
    await site.people()
    key = await site.declared()
    number = await site.drafted(key)
    surfer = await site.surfer("commander")
    page = await surfer.press(await surfer.get(f"/incidents/{key}/bulletins/{number}"), "/approve")
    attach(site.app, replace(site.house, simulated=False), site.app.state.hub, signatures=None)
    refused = await surfer.press(page, "/send")
    assert refused.status == 409
    assert "was declared for practice" in refused.text
    assert (await site.one("SELECT count(*) AS n FROM delivery"))["n"] == 0


async def test_declaring_says_that_nobody_will_hear_of_help(site: Site) -> None:
    await site.people()
    surfer = await site.surfer("commander")
    warning = "If someone asks for help, no one will get a text or email about it"
    assert warning in (await surfer.get(f"/declare/{SLUG}")).text
    key = await site.declared()
    number = await site.drafted(key)
    preview = await surfer.get(f"/incidents/{key}/bulletins/{number}")
    assert preview.html.index(warning) < preview.html.index(">Approve<"), "before anything is approved"
    await site.session("department_lead", person="C3", name="Nobody Reachable")
    assert warning in (await surfer.get(f"/declare/{SLUG}")).text, "a lead whom nothing reaches hears nothing"
    await site.session("department_lead", person="C2", name="Björn Yıldız")
    assert warning not in (await surfer.get(f"/declare/{SLUG}")).text
    assert warning not in (await surfer.get(f"/incidents/{key}/bulletins/{number}")).text


async def test_the_form_says_what_each_severity_means_and_does(site: Site) -> None:
    await site.everybody()
    page = await (await site.surfer("commander")).get(f"/declare/{SLUG}")
    assert "Customers cannot be served at most sites" in page.text
    ladder = "text, email after 4 min, tell the manager after 10 min, tell the department lead after 14 min"
    assert f"A bulletin every 20 min; one approval; {ladder}" in page.text, "calls are not set up here"
    assert "What staff and customers see, not what IT calls it" in page.text
    assert "for example: tills and gate screens" in page.html


async def test_who_will_be_told_is_counted(site: Site) -> None:
    await site.people()
    surfer = await site.surfer("commander")
    page = await surfer.get(f"/declare/{SLUG}")
    assert "5 people Text 3 people, email 1. 1 person cannot be reached by any message." in page.text
    again = await surfer.press(page, f"/declare/{SLUG}", "Count again", fact__sites=["Paris"], fact__vendor="Northwind")
    assert "3 people Text 2 people, email 1." in again.text
    sent = dict(again.form(f"/declare/{SLUG}").data(None))
    assert (sent["fact.vendor"], sent["fact.sites"]) == ("Northwind", "Paris"), "counting keeps what was typed"
    alone = await surfer.send(
        f"/declare/{SLUG}/count", [*page.form(f"/declare/{SLUG}").data(None), ("fact.sites", "Paris")]
    )
    assert alone.text.startswith("3 people")
    assert "<html" not in alone.html


async def test_a_double_press_declares_once(site: Site) -> None:
    await site.people()
    surfer = await site.surfer("commander")
    page = await surfer.get(f"/declare/{SLUG}")
    first = await surfer.press(page, f"/declare/{SLUG}", "Declare and", **FACTS)
    second = await surfer.press(page, f"/declare/{SLUG}", "Declare and", **FACTS)
    assert first.path == second.path
    assert await site.count("incident") == 1


async def test_going_back_and_changing_the_words_is_asked_about_first(site: Site) -> None:
    await site.people()
    surfer = await site.surfer("commander")
    page = await surfer.get(f"/declare/{SLUG}")
    await surfer.press(page, f"/declare/{SLUG}", "Declare and", **FACTS)
    changed = await surfer.press(page, f"/declare/{SLUG}", "Declare and", **(FACTS | {"fact__what_is_down": "gates"}))
    assert changed.status == 409
    assert "You already declared INC-2026-0001. Declare another one?" in changed.text
    assert changed.link("Go to INC-2026-0001") == "/incidents/INC-2026-0001"
    assert ("fact.what_is_down", "gates") in changed.form(f"/declare/{SLUG}").data("Declare another")
    assert await site.count("incident") == 1
    await surfer.press(changed, f"/declare/{SLUG}", "Declare another incident")
    assert await site.count("incident") == 2, "pressed again, it is meant"


async def test_errors_name_every_field_and_lose_nothing(site: Site) -> None:
    await site.people()
    surfer = await site.surfer("commander")
    page = await surfer.get(f"/declare/{SLUG}")
    typed = {
        "fact__vendor": "x" * 31, "fact__what_is_down": "", "fact__what_works": "cash & <b>cards</b>",
        "fact__next_update": "2026-03-02T02:00", "fact__sites": ["Dallas"], "title": "y" * 121, "severity": "SEV2",
        "drill": "yes",
    }  # fmt: skip
    wrong = await surfer.press(page, f"/declare/{SLUG}", "Declare and", **typed)
    assert wrong.status == 422
    assert "Nothing was declared yet: 4 things need correcting." in wrong.text
    for said in (
        "Vendor has 31 characters; shorten it by 1 to at most 30",
        "What is down is missing; give text of at most 60 characters",
        "Next update has passed already; give a time that lies ahead, such as 03:20",
        "Title has 121 characters; use at most 120",
    ):
        assert said in wrong.text
    kept = wrong.form(f"/declare/{SLUG}").data(None)
    for name, value in typed.items():
        for one in [value] if isinstance(value, str) else value:
            assert (name.replace("__", "."), one) in kept, name
    assert await site.count("incident") == 0


async def test_a_time_may_be_typed_as_on_the_clock(site: Site) -> None:
    await site.people()
    surfer = await site.surfer("commander")
    page = await surfer.get(f"/declare/{SLUG}")
    await surfer.press(page, f"/declare/{SLUG}", "Declare and", **(FACTS | {"fact__next_update": "2:45"}))
    made = await site.one("SELECT facts FROM incident")
    assert made["facts"]["next_update"].startswith("2026-03-03T02:45"), "02:45 is past at 03:00: tomorrow's is meant"


async def test_numbers_and_choices_are_read_as_they_are_meant(site: Site) -> None:
    await site.people()
    surfer = await site.surfer("commander")
    page = await surfer.get("/declare/payment-outage?examples=1")
    await surfer.press(page, "/declare/payment-outage", "Declare and", fact__offline_limit="75", drill="yes")
    made = await site.one("SELECT facts, drill FROM incident")
    assert made["facts"]["offline_limit"] == 75
    assert made["facts"]["what_fails"] == ["cards at tills", "contactless"]
    assert made["drill"] is True


async def test_an_unknown_playbook_is_said_plainly(site: Site) -> None:
    page = await (await site.surfer("commander")).get("/declare/no-such-plan")
    assert page.status == 404
    assert "No playbook is called" in page.text


async def test_home_puts_what_goes_on_first(site: Site) -> None:
    surfer = await site.surfer("commander")
    empty = await surfer.get("/")
    assert "Nothing is going on" in empty.text
    assert "First, tell Muster who works here" in empty.text
    await site.people()
    over = await site.declared()
    await site.close(over)
    key = await site.declared("payment-outage", drill=True)
    await site.sent(key)
    home = await surfer.get("/")
    assert home.text.index("Customers cannot pay") < home.text.index("Over") < home.text.index("Outage at a vendor")
    assert "0 of 5 have answered. Nobody needs help. 1 cannot be reached." in home.text
    assert "SEV1 Declared DRILL Practice" in home.text


async def test_what_looks_like_an_open_incident_shows_that_one_first(site: Site) -> None:
    await site.people()
    key = await site.declared(SLUG)
    site.clock.advance(seconds=720)
    surfer = await site.surfer("commander")
    page = await surfer.get(f"/declare/{SLUG}")
    asked = await surfer.press(page, f"/declare/{SLUG}", "Declare and", **FACTS)
    assert asked.status == 409
    assert "Nothing was declared yet: this looks like an open incident." in asked.text
    assert "SEV1, declared; declared 03:00 UTC, 12 min ago by An API commander" in asked.text
    assert asked.link(f"Go to {key}") == f"/incidents/{key}"
    assert await site.count("incident") == 1
    made = await surfer.press(asked, f"/declare/{SLUG}", "Declare another incident")
    assert made.path.startswith("/incidents/INC-2026-0002")


@pytest.mark.parametrize(
    ("slug", "title", "drill", "asked"),
    [
        ("ransomware", "", "", False),
        ("ransomware", "Global Vendor Outage: tills", "", True),
        (SLUG, "", "yes", False),
    ],
)
async def test_a_playbook_or_a_name_like_it_is_alike_and_a_drill_is_not(
    site: Site, slug: str, title: str, drill: str, asked: bool
) -> None:
    await site.people()
    key = await site.declared(SLUG)
    await site.run("UPDATE incident SET title = 'Global vendor outage'")
    surfer = await site.surfer("commander")
    page = await surfer.get(f"/declare/{slug}?examples=1")
    made = await surfer.press(page, f"/declare/{slug}", "Declare and", title=title, drill=drill)
    assert (f"Go to {key}" in made.text) == asked
    assert await site.count("incident") == (1 if asked else 2)


async def test_of_two_who_declare_the_same_at_once_one_is_shown_the_others(site: Site) -> None:
    await site.people()
    pages = [
        (surfer, await surfer.get(f"/declare/{SLUG}")) for surfer in [await site.surfer("commander") for _ in "ab"]
    ]
    made = await asyncio.gather(
        *(surfer.press(page, f"/declare/{SLUG}", "Declare and", **FACTS) for surfer, page in pages)
    )
    assert sorted(page.status for page in made) == [200, 409]
    assert await site.count("incident") == 1
