"""The mailbox itself: whether it can be read, who says so, and a worker that reads it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.channels.imap import ImapMailbox
from app.channels.port import ImapConfig, MailboxDown, Place
from app.readiness import doctor
from tests.journeys.crew import Crew, a_person, playbook_folder
from tests.mailbox.postbox import PASSWORD, USER, Postbox, sample
from tests.stack import free_port, stack

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


async def test_a_mailbox_that_can_be_read_is_said_to_be(postbox: Postbox) -> None:
    finding = await doctor._mailbox(postbox.mailbox)
    assert (finding.name, finding.ok) == ("mailbox", True)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"password": "wrong"}, "user name or password"), ({"folder": "Nowhere"}, "no folder 'Nowhere'")],
)
async def test_what_is_set_up_wrongly_is_named_and_nothing_secret(
    postbox: Postbox, change: dict[str, Any], words: str
) -> None:
    finding = await doctor._mailbox(replace(postbox, **change).mailbox)
    assert finding.ok is False
    assert not finding.stops
    assert words in finding.detail
    assert "MUSTER_IMAP_URL" in finding.detail
    assert PASSWORD not in finding.detail
    assert USER not in finding.detail


async def test_where_nobody_listens_is_named_too() -> None:
    port = free_port()
    finding = await doctor._mailbox(ImapMailbox(ImapConfig("127.0.0.1", port, False, USER, PASSWORD)))
    assert finding.ok is False
    assert f"127.0.0.1:{port} cannot be read" in finding.detail


async def test_without_one_it_is_a_note() -> None:
    finding = await doctor._mailbox(None)
    assert finding.ok is None
    assert "bounces and mail answers go unread" in finding.detail


async def test_what_is_new_comes_in_order_with_its_time_and_at_most_so_much(postbox: Postbox) -> None:
    for place in range(5):
        postbox.deliver(b"Subject: %d\r\n\r\n" % place + b"x" * 5000 + b"\r\n", NOW + timedelta(minutes=place))
    box = postbox.mailbox
    first = await box.new(None, since=NOW, limit=3, most_bytes=1000)
    assert [letter.at for letter in first.letters] == [NOW + timedelta(minutes=place) for place in range(3)]
    assert all(len(letter.raw) == 1000 and letter.size > 5000 for letter in first.letters)
    assert first.more
    rest = await box.new(Place(first.validity, first.letters[-1].uid), since=NOW, limit=3, most_bytes=1000)
    assert [letter.raw[:10] for letter in rest.letters] == [b"Subject: 3", b"Subject: 4"]
    assert not rest.more
    other = await box.new(Place(first.validity + 1, 4), since=NOW, limit=9, most_bytes=10)
    assert len(other.letters) == 5  # another mailbox by now: its numbers mean nothing
    await box.close()


async def test_a_connection_that_broke_is_made_anew(postbox: Postbox) -> None:
    box = postbox.mailbox
    await box.new(None, since=NOW, limit=1, most_bytes=10)
    assert box._box is not None
    box._box.client.shutdown()
    with pytest.raises(MailboxDown):
        await box.new(None, since=NOW, limit=1, most_bytes=10)
    assert (await box.new(None, since=NOW, limit=1, most_bytes=10)).letters == ()
    await box.close()


@pytest.mark.slow
async def test_a_worker_hears_an_answer_by_mail(database_url: str, tmp_path: Path, postbox: Postbox) -> None:
    folder = playbook_folder(tmp_path)
    async with stack(database_url, tmp_path, playbooks_dir=folder, mailbox=postbox.mailbox) as muster:
        crew, person = Crew(muster), a_person()
        key = await crew.told(person, severity="SEV4")
        entry = await crew.until_attempts(key, person, ("email", "accepted"))
        token = entry["attempts"][0]["provider_message_id"].strip("<").partition(".")[0]
        postbox.deliver(sample("answer-message-id-only", token), datetime.now(UTC))
        entry = await crew.until(key, person, status="acknowledged")
        assert entry["via"] == "email"
