"""A channel is one row in app/channels/kinds.py; these say what else must know of it, and where."""

from __future__ import annotations

from typing import get_args

import pytest

from app.board import page_words
from app.channels.kinds import KINDS, RINGING, sql_list
from app.channels.port import SmtpConfig, TwilioConfig
from app.channels.registry import build
from app.directory.audiences import routes_sql
from app.playbooks.schema import Channel, Holding, Script, Translation
from app.review import wording
from tests.conftest import ROOT
from tests.stack import ACCOUNT, AUTH_TOKEN, SENDER


def test_the_table_is_keyed_by_name_and_speaks_of_each() -> None:
    for name, kind in KINDS.items():
        assert name == kind.name
        assert all((kind.label, kind.noun, kind.verb, kind.provider, kind.chunk, kind.lanes))
    assert page_words.CHANNELS.keys() == page_words.CHANNEL_VERBS.keys() == wording.CHANNEL_WORDS.keys() == KINDS.keys()


def test_a_playbook_may_name_each_and_has_words_for_it() -> None:
    assert set(get_args(Channel)) == KINDS.keys(), "app/playbooks/schema.py: Channel; then make schema"
    for part in (Script, Translation, Holding):
        assert KINDS.keys() <= part.model_fields.keys(), f"app/playbooks/schema.py: {part.__name__} has no words for it"


@pytest.mark.parametrize("name", KINDS)
def test_people_can_be_reached_by_it(name: str) -> None:
    assert f"WHEN '{name}' THEN" in routes_sql(), "app/directory/audiences.py says which contact points it goes to"


def test_each_has_a_provider_when_everything_is_set_up() -> None:
    twilio = TwilioConfig(ACCOUNT, AUTH_TOKEN, SENDER, "http://127.0.0.1:1", voice_sender=SENDER)
    providers = build(twilio, SmtpConfig("127.0.0.1", 1, False, None, None, "muster@example.org", None))
    assert providers.by_channel.keys() == KINDS.keys(), "app/channels/registry.py builds no provider for it"


def test_each_is_documented_for_whoever_writes_playbooks() -> None:
    text = (ROOT / "docs" / "playbooks.md").read_text(encoding="utf-8")
    for name in KINDS:
        assert f"`{name}`" in text, f"docs/playbooks.md does not name {name}"


def test_names_are_written_into_sql_as_they_are() -> None:
    assert sql_list(RINGING) == "'sms', 'voice'"
