"""Calls as Twilio takes them: what we send, what came back, and what must follow; one case a row, over real HTTP."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
import pytest_asyncio

from app.channels import registry
from app.channels.port import Kind, Outgoing, ProviderDown, Records, TwilioConfig
from app.channels.twilio_http import Account
from app.channels.twilio_voice import TwilioVoice
from app.simulator.config import SimulatorConfig
from app.simulator.server import Running, running
from tests.channels.test_examined import NUMBERS, answering, listed
from tests.channels.test_twilio import CASES, ask, error
from tests.channels.wires import Talk, answers, lost_after, ours, talking
from tests.stack import ACCOUNT, AUTH_TOKEN, SENDER, free_port

NUMBER = "+15002000006"
numbers = (f"+1206200{place:04}" for place in itertools.count(1))


def a_call(to: str = NUMBER, attempt: int = 7) -> Outgoing:
    address = f"http://127.0.0.1:9/webhooks/twilio/voice/token{attempt}"
    return Outgoing(attempt, f"token{attempt}", to, "Tills are down.", callback_url=f"{address}/status",
                    answer_url=address)  # fmt: skip


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def voice() -> AsyncIterator[Callable[..., TwilioVoice]]:
    """The provider, aimed at a port. One for all tests: making one reads certificates, which takes a while."""
    account = Account(ACCOUNT, AUTH_TOKEN, "http://127.0.0.1:1")
    provider = TwilioVoice(account, SENDER)

    def aimed(port: int, *, read: float = 15.0) -> TwilioVoice:
        account.client.api.base_url = f"http://127.0.0.1:{port}"
        account.transport.be_patient(httpx2.Timeout(5.0, read=read))
        return provider

    yield aimed
    await provider.close()


Aim = Callable[..., TwilioVoice]

REFUSALS: list[tuple[str, Talk, Kind, int | None, bool]] = [
    ("a country not switched on for calls", answers(400, error(21215)), Kind.REJECTED, 21215, False),
    ("a caller that is not ours", answers(400, error(21210)), Kind.REJECTED, 21210, False),
    ("a number that cannot be called", answers(400, error(21214)), Kind.REJECTED, 21214, False),
    ("too many calls at once", answers(400, error(10004)), Kind.LATER, 10004, False),
]
ALL = [*CASES, *REFUSALS]


@pytest.mark.parametrize(("talk", "kind", "code", "down"), [case[1:] for case in ALL], ids=[case[0] for case in ALL])
async def test_what_an_answer_proves(voice: Aim, talk: Talk, kind: Kind, code: int | None, down: bool) -> None:
    async with talking(talk) as wire:
        outcome = await voice(wire.port, read=0.5).send(a_call(), ours)
    assert (outcome.kind, outcome.error_code, outcome.down) == (kind, code, down)
    assert (outcome.provider_message_id is not None) == (kind is Kind.ACCEPTED)
    assert outcome.reason or kind is Kind.ACCEPTED
    assert wire.calls == 1


async def test_nobody_listens(voice: Aim) -> None:
    outcome = await voice(free_port()).send(a_call(), ours)
    assert (outcome.kind, outcome.down) == (Kind.LATER, True)


@pytest.mark.parametrize("look", [0, 1])
async def test_a_worker_that_lost_its_lease_calls_nobody(voice: Aim, look: int) -> None:
    async with talking(answers(201, '{"sid": "CA1"}')) as wire:
        provider = voice(wire.port)
        assert (await provider.send(a_call(), lost_after(look))).kind is Kind.FENCED
        assert b"To=" not in wire.heard
        assert (await provider.send(a_call(), ours)).provider_message_id == "CA1"


async def test_a_call_is_asked_for_as_twilio_wants_it(voice: Aim) -> None:
    async with talking(answers(201, '{"sid": "CA1"}')) as wire:
        await voice(wire.port).send(a_call(), ours)
    head, _, body = bytes(wire.heard).partition(b"\r\n\r\n")
    assert head.startswith(f"POST /2010-04-01/Accounts/{ACCOUNT}/Calls.json HTTP/1.1".encode())
    address = "http://127.0.0.1:9/webhooks/twilio/voice/token7"
    assert parse_qs(body.decode()) == {
        "To": [NUMBER], "From": [SENDER], "Url": [address], "Method": ["POST"], "Timeout": ["30"],
        "StatusCallback": [f"{address}/status"], "StatusCallbackMethod": ["POST"],
        "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
        "MachineDetection": ["DetectMessageEnd"],
    }  # fmt: skip


# --- before the first call


CALLER_IDS = f"/2010-04-01/Accounts/{ACCOUNT}/OutgoingCallerIds.json"
NOBODYS: dict[str, Any] = {NUMBERS: listed("incoming_phone_numbers"), CALLER_IDS: listed("outgoing_caller_ids")}
EXAMINED: list[tuple[dict[str, Any], bool | None]] = [
    ({NUMBERS: listed("incoming_phone_numbers", {"phone_number": SENDER, "capabilities": {"voice": True}})}, True),
    ({NUMBERS: listed("incoming_phone_numbers", {"phone_number": SENDER, "capabilities": {"voice": False}})}, False),
    (NOBODYS, False),
    (NOBODYS | {CALLER_IDS: listed("outgoing_caller_ids", {"phone_number": SENDER})}, True),
]


@pytest.mark.parametrize(("documents", "usable"), EXAMINED)
async def test_whether_calls_may_come_from_the_number(documents: dict[str, Any], usable: bool | None) -> None:
    async with answering(documents) as base:
        provider = TwilioVoice(Account(ACCOUNT, AUTH_TOKEN, base), SENDER)
        found = await provider.examine("https://muster.example.org/webhooks/twilio/inbound")
        await provider.close()
    assert found["sender"].ok is usable
    assert SENDER not in found["sender"].detail
    if not usable:
        assert "MUSTER_TWILIO_VOICE_SENDER" in found["sender"].detail


async def test_there_are_calls_only_with_a_number_to_call_from() -> None:
    for voice_sender, channels in ((SENDER, ("sms", "voice")), (None, ("sms",))):
        providers = registry.build(TwilioConfig(ACCOUNT, AUTH_TOKEN, "MG" + "0" * 32, "http://h", voice_sender), None)
        assert providers.channels == channels
        await providers.close()


# --- with the pretend carrier


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def carrier(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    config = SimulatorConfig(
        http_port=0, smtp_port=0, account_sid=ACCOUNT, auth_token=AUTH_TOKEN, sender=SENDER,
        inbound_url="http://127.0.0.1:9/webhooks/twilio/inbound",
        journal=tmp_path_factory.mktemp("carrier") / "simulator.jsonl",
    )  # fmt: skip
    async with running(config) as where:
        await ask(where, "POST", "/simulator/faults", json={"receipts": "off"})
        yield where


@pytest.mark.parametrize(
    ("fault", "kind", "there"),
    [
        ("503", Kind.UNKNOWN, 0), ("429", Kind.LATER, 0), ("cut_before", Kind.UNKNOWN, 0), ("500", Kind.UNKNOWN, 1),
        ("cut", Kind.UNKNOWN, 1), ("hang", Kind.UNKNOWN, 1), ("hang_before", Kind.UNKNOWN, 0),
    ],
)  # fmt: skip
async def test_only_the_list_tells_what_became_of_an_unknown_call(
    voice: Aim, carrier: Running, fault: str, kind: Kind, there: int
) -> None:
    number = next(numbers)
    await ask(carrier, "POST", "/simulator/faults", json={"http": fault})
    assert (await voice(carrier.http_port, read=0.5).send(a_call(number), ours)).kind is kind
    await ask(carrier, "POST", "/simulator/faults", json={"http": None})
    provider = voice(carrier.http_port)
    assert isinstance(provider, Records)
    found = await provider.sent_to(number)
    assert len(found) == there
    for call in found:
        assert call.provider_message_id.startswith("CA")
        assert call.body == ""
        assert call.created_at is not None


@pytest.mark.parametrize("fault", [{"list": "500"}, {"http": "down"}])
async def test_a_list_that_cannot_be_read_says_so(voice: Aim, carrier: Running, fault: dict[str, str]) -> None:
    await ask(carrier, "POST", "/simulator/faults", json=fault)
    with pytest.raises(ProviderDown):
        await voice(carrier.http_port).sent_to(NUMBER)
    await ask(carrier, "POST", "/simulator/faults", json=dict.fromkeys(fault))
