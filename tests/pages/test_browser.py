"""The pages in a real browser: as few presses as promised, live without reloading, and usable without scripts."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright, expect

from app.access import service as access
from app.access.pages import COOKIE
from app.directory import service as directory
from app.kernel.db import row, rows
from tests.stack import Stack, stack

# One browser for all, so one loop; each test has pages, cookies and an installation of its own.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PHONE = (390, 844)
SMALLEST = (240, 480)
TOUCH = 44


def _chromium() -> str | None:
    fixed = Path("/usr/bin/chromium")
    if fixed.exists():
        return str(fixed)
    return next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    executable = _chromium()
    if executable is None:
        pytest.skip("Chromium is not installed (Debian: apt install chromium); pages are not tried in a browser")
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="module")
async def muster(database_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    async with stack(database_url, tmp_path) as running:
        await running.import_people()
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def quiet(database_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    """Without a worker: nothing goes out, so nothing moves on a page."""
    async with stack(database_url, tmp_path, worker=False) as running:
        await running.import_people()
        yield running


async def _link(muster: Stack, role: str = "commander") -> str:
    async with muster.house.db.begin() as session:
        secret = await access.create_sign_in(session, muster.house.clock, name="Dana Reyes", role=role)
    return f"{muster.base_url}/sign-in/{secret}"


async def _signed_in(muster: Stack, context: BrowserContext, role: str = "commander") -> Page:
    link = await _link(muster, role)
    async with muster.house.db.begin() as session:
        secret = await access.sign_in(session, muster.house.clock, link.rpartition("/")[2])
    await context.add_cookies([{"name": COOKIE, "value": secret, "url": muster.base_url}])
    return await context.new_page()


async def test_from_the_link_to_everybody_told_in_eight_presses(muster: Stack, browser: Browser) -> None:
    page = await browser.new_page(viewport={"width": PHONE[0], "height": PHONE[1]})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(await _link(muster))
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("link", name="Declare an incident").click()
    await page.get_by_role("link", name=re.compile("Outage at a vendor")).click()
    await page.get_by_role("link", name="Use the examples").click()
    await page.get_by_role("button", name="Declare and write the first bulletin").click()
    await page.get_by_role("button", name="Preview").click()
    await expect(page.get_by_text("5 cannot be reached", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Approve").click()
    await page.get_by_role("button", name=re.compile(r"Text 5\d\d people, email \d+")).click()
    await expect(page.locator("#part-account .sentence")).to_contain_text("0 of 571 have answered.")
    # The same page, not loaded again: the worker hands everything over meanwhile.
    await expect(page.locator("#part-account .l-waiting")).to_contain_text(
        re.compile(r"5\d\d delivered"), timeout=30_000
    )
    assert complaints == []
    await page.close()


async def test_the_board_follows_without_disturbing_who_types(muster: Stack, browser: Browser) -> None:
    key = await muster.declare()
    await muster.send(key)
    await muster.settled(key)
    context = await browser.new_context()
    page = await _signed_in(muster, context)
    await page.goto(f"{muster.base_url}/incidents/{key}")
    people = await muster.recipients(key, status="waiting")
    first, second, third = (person["person_id"] for person in people[:3])

    async def ring(who: str, response: str) -> None:
        await muster.call(
            "POST", f"/incidents/{key}/bulletins/1/recipients/{who}/acknowledgment",
            {"response": response, "via": "phone", "note": "rang in"},
        )  # fmt: skip

    await page.locator(f"#s-{first}").click()
    note = page.locator(f"#note-{first}")
    await note.fill("asked at the d")
    await ring(second, "need_help")
    await expect(page.locator("#part-help")).to_contain_text("1 person needs help", timeout=3000)
    await expect(page.locator("#part-account .sentence")).to_contain_text("1 needs help.")
    await expect(note).to_have_value("asked at the d")
    # The list waits while somebody writes in it.
    await expect(page.locator(f"#p-{second}")).to_be_visible()
    await page.locator(f"#s-{first}").click()
    await expect(page.locator(f"#p-{second}")).to_have_count(0, timeout=3000)
    await page.get_by_text("The numbers as a table").click()
    await ring(third, "ok")
    await expect(page.locator("#part-account .sentence")).to_contain_text("2 of 571 have answered.", timeout=3000)
    await expect(page.locator("#curve-table")).to_have_attribute("open", "")
    # Taking it is a form of its own inside a part that is replaced: it still works.
    await page.get_by_role("button", name=re.compile("Assign to me")).click()
    await expect(page.locator("#part-help")).to_contain_text("Assigned to you")
    await context.close()


async def test_a_board_that_hears_nothing_for_twenty_seconds_says_so_until_it_hears_again(
    quiet: Stack, browser: Browser
) -> None:
    key = await quiet.declare()
    context = await browser.new_context()
    page = await _signed_in(quiet, context)
    await page.clock.install()
    held: list[Route] = []

    async def hold(route: Route) -> None:
        held.append(route)

    # The stream is asked for, and nothing comes: a heartbeat in between would end the silence.
    await page.route(re.compile(r"/live(\?|$)"), hold)
    await page.goto(f"{quiet.base_url}/incidents/{key}")
    silence = page.locator("#stale")
    await expect(page.locator("#part-as-of")).to_contain_text(re.compile(r"As of \d\d:\d\d:\d\d UTC"))
    await page.clock.fast_forward(15_000)
    await expect(silence).to_be_hidden()
    await page.clock.fast_forward(30_000)
    await expect(silence).to_be_visible()
    await expect(silence).to_contain_text(
        re.compile(r"No contact since \d\d:\d\d:\d\d UTC\. This page may be out of date\.")
    )
    await expect(silence.get_by_role("link", name="Reload")).to_be_visible()
    await held[0].continue_()
    await expect(silence).to_be_hidden()
    await context.close()


async def test_a_draft_is_discarded_only_after_the_question(quiet: Stack, browser: Browser) -> None:
    key = await quiet.declare()
    number = await quiet.write(key)
    context = await browser.new_context(java_script_enabled=False)
    page = await _signed_in(quiet, context)
    await page.goto(f"{quiet.base_url}/incidents/{key}/bulletins/{number}")
    await page.get_by_text(f"Discard bulletin {number}", exact=True).click()
    await expect(page.get_by_text("Nobody will get bulletin 1, and it can't be brought back.")).to_be_visible()
    assert (await quiet.call("GET", f"/incidents/{key}/bulletins/{number}"))["state"] == "approved"
    await page.get_by_role("button", name=f"Yes, discard bulletin {number}").click()
    await expect(page.get_by_text("The bulletin is cancelled.")).to_be_visible()
    assert (await quiet.call("GET", f"/incidents/{key}/bulletins/{number}"))["state"] == "cancelled"
    await context.close()


async def test_ticking_sites_counts_again_by_itself(quiet: Stack, browser: Browser) -> None:
    context = await browser.new_context()
    page = await _signed_in(quiet, context)
    await page.goto(f"{quiet.base_url}/declare/global-vendor-outage")
    await expect(page.locator("#told")).to_contain_text("571 people")
    await page.get_by_label("Paris").check()
    await expect(page.locator("#told")).not_to_contain_text("571 people")
    await context.close()


async def test_everything_works_without_scripts(quiet: Stack, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await _signed_in(quiet, context)
    await page.goto(f"{quiet.base_url}/declare/payment-outage?examples=1")
    await page.get_by_text("This is a drill.").click()
    await page.get_by_role("button", name="Declare and write").click()
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator("#aud-front_line + .seen .bubble")).to_contain_text("DRILL.")
    await expect(page.locator("#aud-it + .seen .bubble")).to_be_hidden()
    await page.get_by_text("IT", exact=True).first.click()
    await expect(page.locator("#aud-it + .seen .bubble")).to_be_visible()
    await page.get_by_role("button", name="Approve").click()
    await page.get_by_role("button", name=re.compile("^Drill: text")).click()
    await expect(page.locator("#part-account .sentence")).to_contain_text("0 of 571 have answered.")
    await page.locator("summary", has_text="Answered in person").first.click()
    form = page.locator("form.behalf").first
    await form.get_by_label("OK").check()
    await form.get_by_label("How do you know?").fill("met at the door")
    await form.get_by_role("button").click()
    await expect(page.get_by_text("The answer is recorded under your name.")).to_be_visible()
    await context.close()


async def test_nothing_is_cut_off_or_too_small_to_press(quiet: Stack, browser: Browser) -> None:
    muster = quiet
    key = await muster.declare(drill=True)
    number = await muster.send(key)
    draft = await muster.write(key, "identified", facts={"what_is_down": "x" * 60})
    person = (await muster.recipients(key, status="pending"))[0]["person_id"]
    await muster.call(
        "POST", f"/incidents/{key}/bulletins/1/recipients/{person}/acknowledgment",
        {"response": "need_help", "via": "phone", "note": "rang in"},
    )  # fmt: skip
    async with muster.house.db.begin() as session:
        found = await row(session, "SELECT min(id) AS id FROM delivery")
        people = await rows(session, "SELECT address FROM contact_point WHERE kind = 'mobile' ORDER BY id LIMIT 9")
        for place, point in enumerate(people):
            reason = ("invalid", "landline", "opted_out")[place % 3]
            await directory.suppress(session, point["address"], "sms", reason, muster.house.clock.now())
    assert found
    staff = f"/a/{muster.house.signer.link_token(found['id'])}"
    at = f"/incidents/{key}"
    for size, paths in (
        (PHONE, ("/", "/declare", "/declare/payment-outage", at, f"{at}/bulletins/new", f"{at}/bulletins/{number}",
                 f"{at}/bulletins/{draft}", f"{at}/people", f"{at}/call-sheet", f"{at}/timeline", f"{at}/reports",
                 "/people/numbers", staff)),
        (SMALLEST, (staff,)),
        ((1280, 800), (at, f"{at}/people", f"{at}/call-sheet", f"{at}/bulletins/{draft}")),
    ):  # fmt: skip
        context = await browser.new_context(viewport={"width": size[0], "height": size[1]})
        page = await _signed_in(muster, context)
        for path in paths:
            await page.goto(muster.base_url + path)
            wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, (path, size, wide)
            small = await page.evaluate(_TOO_SMALL, TOUCH)
            assert small == [], (path, size, small)
            for summary in (await page.locator(".act summary").all())[:1]:
                await summary.click()
            outside = await page.evaluate(_OUTSIDE)
            assert outside == [], (path, size, outside)
        await context.close()


_TOO_SMALL = """(least) => [...document.querySelectorAll(
    "button, a.button, summary, select, input, textarea, label.choice")]
  .filter((e) => e.type !== "hidden" && e.type !== "radio" && e.type !== "checkbox" && e.offsetParent)
  .filter((e) => e.getBoundingClientRect().height < least - 0.5)
  .map((e) => e.tagName + " " + e.textContent.trim().slice(0, 30) + " " + e.getBoundingClientRect().height)"""

_OUTSIDE = """() => [...document.querySelectorAll(
    "a[href^='tel:'], form.behalf input, form.behalf button, form.behalf span")]
  .filter((e) => e.offsetParent)
  .filter((e) => e.getBoundingClientRect().right > (e.closest(".people-part, .sheet-group, .section") ??
    document.body).getBoundingClientRect().right)
  .map((e) => e.tagName + " " + e.textContent.trim().slice(0, 30))"""
"""Numbers to call, and fields of an answer, that reach out of the card that they stand in, where nobody sees them."""
