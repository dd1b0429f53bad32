"""The review as a page: the whole document, its files, and who may read it."""

from __future__ import annotations

import json
import re

from tests.pages.conftest import Site

KEY = "INC-2026-0001"
PAGE = f"/incidents/{KEY}/review"


async def test_the_page_holds_the_document_as_headings_and_tables(site: Site) -> None:
    await site.people()
    key = await site.declared()
    await site.sent(key)
    page = await (await site.surfer("viewer")).get(PAGE)
    assert f"Review of {key}" in page.text
    assert "The incident is still open" in page.text
    found = re.findall(r"<h2[^>]*>(.*?)</h2>", page.html)
    assert {"Summary", "Who was reached, and how fast", "What was said", "Timeline"} <= set(found)
    assert page.html.count("<table>") > 5
    assert "| ---" not in page.html


async def test_its_files_are_the_ones_of_the_api(site: Site) -> None:
    await site.people()
    await site.sent(await site.declared())
    surfer = await site.surfer("commander")
    for name, media in (("md", "text/markdown"), ("csv", "text/csv"), ("json", "application/json")):
        file = await surfer.client.get(f"/incidents/{KEY}/review?format={name}")
        assert file.status_code == 200
        assert file.headers["content-type"].startswith(media)
        assert file.headers["content-disposition"] == f'attachment; filename="{KEY}-review.{name}"'
        if name == "json":
            assert json.loads(file.text)["key"] == KEY
    assert (await surfer.client.get(f"/incidents/{KEY}/review?format=pdf")).status_code == 501


async def test_what_somebody_wrote_never_becomes_markup(site: Site) -> None:
    await site.people()
    await site.declared(what_is_down="<script>alert(1)</script> [x](javascript:alert)")
    page = await (await site.surfer("viewer")).get(PAGE)
    assert "<script>alert" not in page.html
    assert 'href="javascript' not in page.html
    assert "<script>alert(1)</script>" in page.text


async def test_nobody_reads_it_without_a_session(site: Site) -> None:
    await site.people()
    await site.declared()
    surfer = await site.surfer()
    response = await surfer.client.get(f"/incidents/{KEY}/review", follow_redirects=False)
    assert response.status_code == 401


async def test_an_incident_that_does_not_exist_has_none(site: Site) -> None:
    surfer = await site.surfer("viewer")
    assert (await surfer.client.get("/incidents/INC-2026-9999/review")).status_code == 404
