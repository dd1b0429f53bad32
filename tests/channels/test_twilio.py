"""What Twilio answers, and what that proves: one case a row, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
import pytest_asyncio

from app.channels.port import Kind, ProviderDown, Records
from app.channels.twilio import TwilioSms
from app.channels.twilio_http import TEMPORARY_CODES, read_refusal
from app.simulator.config import SimulatorConfig
from app.simulator.server import Running, running
from tests.channels.wires import (
    Talk,
    a_message,
    answers,
    cut_after_reading,
    cut_at_once,
    cut_in_the_answer,
    lost_after,
    never_answers,
    ours,
    talking,
)
from tests.stack import ACCOUNT, AUTH_TOKEN, SENDER, free_port


def error(code: int | None, message: str = "No.") -> str:
    return json.dumps({"code": code, "message": message, "more_info": "x", "status": 400})


def problem(status: int, code: object) -> str:
    return json.dumps({"type": "about:blank", "title": "No", "status": status, "code": code, "detail": "Not so."})


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def twilio() -> AsyncIterator[Callable[..., TwilioSms]]:
    """The provider, aimed at a port. One for all tests: making one reads certificates, which takes a while."""
    provider = TwilioSms(ACCOUNT, AUTH_TOKEN, SENDER, "http://127.0.0.1:1")

    def aimed(port: int, *, sender: str = SENDER, read: float = 15.0) -> TwilioSms:
        provider.client.api.base_url = f"http://127.0.0.1:{port}"
        provider.sender = sender
        provider.transport.be_patient(httpx2.Timeout(5.0, read=read))
        return provider

    yield aimed
    await provider.close()


Aim = Callable[..., TwilioSms]


HTML = "<html>Bad gateway</html>"
CASES: list[tuple[str, Talk, Kind, int | None, bool]] = [
    ("accepted", answers(201, '{"sid": "SM1"}'), Kind.ACCEPTED, None, False),
    ("accepted, told with 200", answers(200, '{"sid": "SM1"}'), Kind.ACCEPTED, None, False),
    ("an invalid number", answers(400, error(21211)), Kind.REJECTED, 21211, False),
    ("opted out", answers(400, error(21610)), Kind.REJECTED, 21610, False),
    ("a region not switched on", answers(403, error(21408)), Kind.REJECTED, 21408, False),
    ("a code nobody knows", answers(400, error(29999)), Kind.REJECTED, 29999, False),
    ("a refusal without a code", answers(400, error(None)), Kind.REJECTED, 400, False),
    ("a refusal that is no JSON", answers(400, HTML), Kind.REJECTED, 400, False),
    ("a refusal as problem+json", answers(400, problem(400, 21211)), Kind.REJECTED, 21211, False),
    ("a problem with a strange code", answers(400, problem(400, "many")), Kind.REJECTED, 400, False),
    ("a code that is a word", answers(400, '{"code": "x", "message": 5}'), Kind.REJECTED, 400, False),
    ("a code too big", answers(400, '{"code": 99999999999, "message": "x"}'), Kind.REJECTED, 400, False),
    ("wrong login", answers(401, error(20003)), Kind.LATER, 20003, True),
    ("login refused by a proxy", answers(403, HTML), Kind.LATER, 403, True),
    ("suspended account", answers(403, error(20005)), Kind.LATER, 20005, True),
    ("no such account", answers(404, error(20404)), Kind.LATER, 20404, True),
    ("rate limit", answers(429, error(20429)), Kind.LATER, 20429, False),
    ("the day is used up, which comes as a rate limit", answers(429, error(63038)), Kind.REJECTED, 63038, False),
    ("rate limit without a body", answers(429, ""), Kind.LATER, 429, False),
    ("rate limit as problem+json", answers(429, problem(429, 20429)), Kind.LATER, 20429, False),
    ("queue full", answers(400, error(21611)), Kind.LATER, 21611, False),
    ("500", answers(500, error(20500)), Kind.UNKNOWN, 20500, True),
    ("502 from a proxy", answers(502, HTML), Kind.UNKNOWN, 502, True),
    ("503", answers(503, error(20503)), Kind.UNKNOWN, 20503, True),
    ("503 as problem+json", answers(503, problem(503, 20503)), Kind.UNKNOWN, 20503, True),
    ("sent somewhere else", answers(302, ""), Kind.UNKNOWN, 302, False),
    ("201 with a body that is no JSON", answers(201, HTML), Kind.UNKNOWN, None, False),
    ("201 with a list", answers(201, "[]"), Kind.UNKNOWN, None, False),
    ("201 with nothing", answers(201, ""), Kind.UNKNOWN, None, False),
    ("201 without a sid", answers(201, '{"status": "queued"}'), Kind.UNKNOWN, None, False),
    ("201 with a sid that is a number", answers(201, '{"sid": 12}'), Kind.UNKNOWN, None, False),
    ("cut in the answer", cut_in_the_answer, Kind.UNKNOWN, None, True),
    ("cut before the answer", cut_after_reading, Kind.UNKNOWN, None, True),
    ("no answer in time", never_answers, Kind.UNKNOWN, None, True),
]


@pytest.mark.parametrize(("talk", "kind", "code", "down"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
async def test_what_an_answer_proves(twilio: Aim, talk: Talk, kind: Kind, code: int | None, down: bool) -> None:
    async with talking(talk) as wire:
        outcome = await twilio(wire.port, read=0.5).send(a_message(), ours)
    assert (outcome.kind, outcome.error_code, outcome.down) == (kind, code, down)
    assert (outcome.provider_message_id == "SM1") == (kind is Kind.ACCEPTED)
    assert outcome.reason or kind is Kind.ACCEPTED
    assert wire.calls == 1


async def test_nobody_listens(twilio: Aim) -> None:
    outcome = await twilio(free_port()).send(a_message(), ours)
    assert (outcome.kind, outcome.down) == (Kind.LATER, True)


async def test_a_cut_before_anything_was_read_is_not_taken_for_nothing_sent(twilio: Aim) -> None:
    """The bytes may have left: how far they came is not ours to know."""
    async with talking(cut_at_once) as wire:
        outcome = await twilio(wire.port).send(a_message(), ours)
    assert (outcome.kind, outcome.down) == (Kind.UNKNOWN, True)


@pytest.mark.parametrize("code", sorted(TEMPORARY_CODES))
@pytest.mark.parametrize("status", [400, 429])
def test_temporary_refusals_took_nothing(status: int, code: int) -> None:
    outcome = read_refusal(status, code, "x")
    assert (outcome.kind, outcome.error_code) == (Kind.LATER, code)
    assert outcome.retry_after


@pytest.mark.parametrize("look", [0, 1])
async def test_a_worker_that_lost_its_lease_sends_nothing(twilio: Aim, look: int) -> None:
    """0: before the headers. 1: between the headers and the body, without which a request means nothing."""
    async with talking(answers(201, '{"sid": "SM1"}')) as wire:
        provider = twilio(wire.port)
        outcome = await provider.send(a_message(text="secret words"), lost_after(look))
        assert outcome.kind is Kind.FENCED
        assert b"secret" not in wire.heard
        # The next one finds the way open.
        assert (await provider.send(a_message(), ours)).kind is Kind.ACCEPTED


async def test_a_message_is_posted_as_twilio_wants_it(twilio: Aim) -> None:
    async with talking(answers(201, '{"sid": "SM1"}')) as wire:
        await twilio(wire.port).send(a_message(text="Ärger & <Kasse> 100 % 🙂"), ours)
    head, _, body = bytes(wire.heard).partition(b"\r\n\r\n")
    assert head.startswith(f"POST /2010-04-01/Accounts/{ACCOUNT}/Messages.json HTTP/1.1".encode())
    assert b"authorization: basic" in head.lower()
    assert b"content-type: application/x-www-form-urlencoded" in head.lower()
    assert {name: values[0] for name, values in parse_qs(body.decode()).items()} == {
        "To": "+15002000006", "From": SENDER, "Body": "Ärger & <Kasse> 100 % 🙂", "ValidityPeriod": "14400",
        "StatusCallback": "http://127.0.0.1:9/webhooks/twilio/status/token",
    }  # fmt: skip


async def test_a_messaging_service_takes_the_place_of_the_number(twilio: Aim) -> None:
    service = "MG" + "0" * 32
    async with talking(answers(201, '{"sid": "SM1"}')) as wire:
        await twilio(wire.port, sender=service).send(a_message(), ours)
    form = parse_qs(bytes(wire.heard).partition(b"\r\n\r\n")[2].decode())
    assert form["MessagingServiceSid"] == [service]
    assert "From" not in form


async def test_surroundings_never_bend_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with talking(answers(201, '{"sid": "SM1"}')) as wire:
        provider = TwilioSms(ACCOUNT, AUTH_TOKEN, SENDER, f"http://127.0.0.1:{wire.port}")
        assert (await provider.send(a_message(), ours)).kind is Kind.ACCEPTED
        await provider.close()


# --- with the pretend carrier


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def simulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    config = SimulatorConfig(
        http_port=0, smtp_port=0, account_sid=ACCOUNT, auth_token=AUTH_TOKEN, sender=SENDER,
        inbound_url="http://127.0.0.1:9/webhooks/twilio/inbound",
        journal=tmp_path_factory.mktemp("carrier") / "simulator.jsonl",
    )  # fmt: skip
    async with running(config) as where:
        yield where


@pytest_asyncio.fixture(loop_scope="module")
async def carrier(simulator: Running) -> Running:
    """The pretend carrier, with nothing in it and no fault."""
    await ask(simulator, "POST", "/simulator/reset")
    await ask(simulator, "POST", "/simulator/faults", json={"receipts": "off"})
    return simulator


async def ask(where: Running, method: str, path: str, **more: Any) -> Any:
    async with httpx2.AsyncClient(verify=False, base_url=where.url, trust_env=False) as client:
        return (await client.request(method, path, **more)).json()


@pytest.mark.parametrize("look", [0, 1])
async def test_the_carrier_has_nothing_of_a_fenced_worker(twilio: Aim, carrier: Running, look: int) -> None:
    provider = twilio(carrier.http_port)
    assert (await provider.send(a_message(), ours)).kind is Kind.ACCEPTED  # a connection that is kept open
    assert (await provider.send(a_message(attempt=8), lost_after(look))).kind is Kind.FENCED
    assert (await ask(carrier, "GET", "/simulator/stats"))["accepted"] == 1


@pytest.mark.parametrize(
    ("fault", "kind", "there"),
    [
        ("503", Kind.UNKNOWN, 0), ("429", Kind.LATER, 0), ("cut_before", Kind.UNKNOWN, 0), ("500", Kind.UNKNOWN, 1),
        ("cut", Kind.UNKNOWN, 1), ("hang", Kind.UNKNOWN, 1), ("hang_before", Kind.UNKNOWN, 0),
    ],
)  # fmt: skip
async def test_unknown_means_just_that(twilio: Aim, carrier: Running, fault: str, kind: Kind, there: int) -> None:
    """The same outcome whether the carrier has it or not; only its list tells."""
    await ask(carrier, "POST", "/simulator/faults", json={"http": fault})
    provider = twilio(carrier.http_port, read=0.5)
    assert (await provider.send(a_message(text="words of mine"), ours)).kind is kind
    await ask(carrier, "POST", "/simulator/faults", json={"http": None})
    listed = await twilio(carrier.http_port).sent_to("+15002000006")
    assert [message.body for message in listed] == ["words of mine"] * there
    assert all(message.provider_message_id.startswith("SM") for message in listed)


async def test_the_list_shows_more_than_a_page_of_a_shared_phone(twilio: Aim, carrier: Running) -> None:
    provider = twilio(carrier.http_port)
    assert isinstance(provider, Records)
    await asyncio.gather(*(provider.send(a_message(text=f"number {n}"), ours) for n in range(70)))
    assert len(await provider.sent_to("+15002000006")) == 70


@pytest.mark.parametrize("fault", [{"list": "500"}, {"http": "down"}])
async def test_a_list_that_cannot_be_read_says_so(twilio: Aim, carrier: Running, fault: dict[str, str]) -> None:
    await ask(carrier, "POST", "/simulator/faults", json=fault)
    with pytest.raises(ProviderDown):
        await twilio(carrier.http_port).sent_to("+15002000006")


async def test_health_is_told_in_words_that_help(twilio: Aim, carrier: Running) -> None:
    assert (await twilio(carrier.http_port).check()).ok
    wrong = TwilioSms(ACCOUNT, "wrong", SENDER, carrier.url)
    health = await wrong.check()
    await wrong.close()
    assert not health.ok
    assert "auth token" in health.detail
    assert "cannot be reached" in (await twilio(free_port()).check()).detail
    async with talking(answers(200, HTML)) as wire:
        assert not (await twilio(wire.port).check()).ok
    async with talking(answers(200, '{"sid": "AC1", "status": "suspended"}')) as wire:
        assert "suspended" in (await twilio(wire.port).check()).detail
