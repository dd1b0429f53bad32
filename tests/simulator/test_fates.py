"""One test per row of the table of fates, all against one running simulator; numbers never meet."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2
import pytest
import pytest_asyncio
from twilio.base.exceptions import TwilioRestException

from app.simulator.fates import BY_KEY, FATES, REPORTS, WORRIES, Fate

from .stand import ACCOUNT, SENDER, SPEED, TOKEN, Stand, listening, standing, until

exchanges = itertools.count(200)


@dataclass
class Texted(Stand):
    """A simulator where one text was sent to a number of every fate that accepts it at once: their SIDs by name."""

    sids: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)

    def receipts(self, key: str) -> list[str]:
        return self.receiver.of(self.sids[key])

    def answers(self, key: str) -> list[str]:
        return answers_from(self, self.numbers[key])


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def all_fates(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Texted]:
    async with (
        listening() as receiver,
        standing(tmp_path_factory.mktemp("fates") / "j.jsonl", receiver, auto=True, speed=SPEED) as stand,
    ):
        texted = Texted(stand.where, stand.receiver, stand.twilio, stand.http)
        for fate in FATES:
            if not fate.refuse and fate.handover == "normal":
                texted.numbers[fate.key] = number_for(fate.key)
                texted.sids[fate.key] = await texted.send(texted.numbers[fate.key], token=fate.key)
        yield texted


def number_for(key: str) -> str:
    """A number of this fate that no other test uses."""
    return f"+1500{next(exchanges)}{BY_KEY[key].digits}"


async def posted(stand: Stand, to: str, token: str, patience: float = 3.0) -> httpx2.Response:
    """Send one bulletin by hand, to see what the wire does."""
    body = f"Tills down. {stand.link(token)} Code K7. Reply 1 OK, 2 need help, 3 cannot"
    async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=patience) as client:
        return await client.post(
            f"{stand.where.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
            auth=(ACCOUNT, TOKEN),
            data={"To": to, "From": SENDER, "Body": body, "StatusCallback": stand.callback(token)},
        )


async def texts_to(stand: Stand, to: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await stand.http.get("/simulator/messages", params={"to": to})).json()["messages"]
    return found


def answers_from(stand: Stand, number: str) -> list[str]:
    return [got.form["Body"] for got in stand.receiver.incoming if got.form["From"] == number]


REFUSED = [fate for fate in FATES if fate.refuse]
ENDS = [fate for fate in FATES if fate.error]
ANSWERS: list[tuple[str, list[str]]] = [
    ("ok", ["1"]),
    ("ok_code", ["1 K7"]),
    ("late", ["1"]),
    ("need_help", ["2"]),
    ("cannot", ["3"]),
    ("says_help", ["HELP"]),
    ("changes", ["1", "2 K7"]),
    ("says_yes_later", ["yes in 2 hours"]),
    ("slow_receipts", ["1"]),
    ("shuffled_receipts", ["1"]),
    ("double_receipts", ["1"]),
    ("no_receipts", ["1"]),
    ("strange_receipt", ["1"]),
]


@pytest.mark.parametrize("fate", REFUSED, ids=lambda fate: fate.key)
async def test_a_number_that_is_refused(all_fates: Texted, fate: Fate) -> None:
    number = number_for(fate.key)
    with pytest.raises(TwilioRestException) as caught:
        await all_fates.send(number)
    assert caught.value.code == fate.refuse
    assert await texts_to(all_fates, number) == []


@pytest.mark.parametrize("fate", ENDS, ids=lambda fate: fate.key)
async def test_a_text_that_fails_after_it_was_accepted(all_fates: Texted, fate: Fate) -> None:
    sid = all_fates.sids[fate.key]
    await until(lambda: fate.end in all_fates.receipts(fate.key))
    last = next(got.form for got in all_fates.receiver.receipts[::-1] if got.form["MessageSid"] == sid)
    assert (last["MessageStatus"], last["ErrorCode"]) == (fate.end, str(fate.error))
    shown = await asyncio.to_thread(lambda: all_fates.twilio.messages(sid).fetch())
    assert (shown.status, shown.error_code) == (fate.end, fate.error)
    assert shown.error_message
    assert all_fates.answers(fate.key) == []


@pytest.mark.parametrize(("key", "said"), ANSWERS, ids=[key for key, _ in ANSWERS])
async def test_a_person_who_answers(all_fates: Texted, key: str, said: list[str]) -> None:
    await until(lambda: all_fates.answers(key) == said)


async def test_a_person_who_needs_help_and_says_why(all_fates: Texted) -> None:
    await until(lambda: len(all_fates.answers("need_help_words")) == 2)
    first, why = all_fates.answers("need_help_words")
    assert first == "2"
    assert why in WORRIES


async def test_a_person_who_writes_a_field_report(all_fates: Texted) -> None:
    await until(lambda: len(all_fates.answers("report")) == 1 and len(all_fates.answers("report_ok")) == 2)
    assert all_fates.answers("report")[0] in REPORTS
    assert all_fates.answers("report_ok")[0] in REPORTS
    assert all_fates.answers("report_ok")[1] == "1"


async def test_a_person_who_texts_stop_is_not_reached_again(all_fates: Texted) -> None:
    number = all_fates.numbers["says_stop"]
    await until(lambda: all_fates.answers("says_stop") == ["STOP"])
    assert [got.form["OptOutType"] for got in all_fates.receiver.incoming if got.form["From"] == number] == ["STOP"]
    with pytest.raises(TwilioRestException) as caught:
        await all_fates.send(number, token="again")
    assert caught.value.code == 21610


async def test_a_person_who_never_answers_and_a_number_that_is_fine(all_fates: Texted) -> None:
    await until(lambda: all("delivered" in all_fates.receipts(key) for key in ("never", "fine")))
    # Who answers last of all has answered: so would these have.
    await until(lambda: bool(all_fates.answers("late")))
    assert [all_fates.answers(key) for key in ("never", "fine")] == [[], []]


async def test_a_person_who_uses_the_page_gets_it_before_pressing(all_fates: Texted) -> None:
    await until(lambda: any(got.path == "/a/link" for got in all_fates.receiver.pressed))
    assert all_fates.receiver.pages == [("GET", "/a/link"), ("POST", "/a/link")]
    (pressed,) = all_fates.receiver.pressed
    assert pressed.form == {"nonce": "n-link&x", "response": "ok"}
    assert pressed.headers["cookie"] == "seen=link"
    assert pressed.headers["origin"] == all_fates.receiver.url


async def test_slow_receipts_come_after_the_text_was_delivered(all_fates: Texted) -> None:
    await until(lambda: "delivered" in all_fates.receipts("slow_receipts"))
    world = all_fates.simulator.world.messages[all_fates.sids["slow_receipts"]]
    assert world.plan is not None
    assert world.plan.receipts[0].after - world.plan.moves[1].after >= 20 / SPEED - 1e-9


async def test_receipts_out_of_order(all_fates: Texted) -> None:
    await until(lambda: len(all_fates.receipts("shuffled_receipts")) == 3)
    assert all_fates.receipts("shuffled_receipts") == ["delivered", "sent", "sending"]


async def test_every_receipt_twice(all_fates: Texted) -> None:
    await until(lambda: all_fates.receipts("double_receipts").count("delivered") == 2)
    statuses = all_fates.receipts("double_receipts")
    assert statuses[::2] == statuses[1::2]
    assert [status for status in statuses[::2] if status != "sending"] == ["sent", "delivered"]


async def test_no_receipts_at_all(all_fates: Texted) -> None:
    await until(lambda: bool(all_fates.answers("no_receipts")))
    assert all_fates.receipts("no_receipts") == []


async def test_a_receipt_that_overtakes_the_answer(all_fates: Texted) -> None:
    number = number_for("early_receipt")
    answer = await posted(all_fates, number, "early")
    answered = time.monotonic()
    assert answer.status_code == 201
    first = next(got for got in all_fates.receiver.receipts if got.path.endswith("/early"))
    assert first.at < answered
    assert first.form["MessageSid"] == answer.json()["sid"]
    await until(lambda: answers_from(all_fates, number) == ["1"])


async def test_a_receipt_with_a_status_nobody_knows(all_fates: Texted) -> None:
    await until(lambda: "delivered" in all_fates.receipts("strange_receipt"))
    came = [status for status in all_fates.receipts("strange_receipt") if status != "sending"]
    assert came == ["sent", "rerouted", "delivered"]


@pytest.mark.parametrize("key", ["hangs", "hangs_once"])
async def test_accepted_but_the_answer_never_comes(all_fates: Texted, key: str) -> None:
    number = number_for(key)
    with pytest.raises(httpx2.ReadTimeout):
        await posted(all_fates, number, key, patience=0.3)
    assert len(await texts_to(all_fates, number)) == 1
    if key == "hangs":
        await until(lambda: answers_from(all_fates, number) == ["1"])
    else:
        assert (await posted(all_fates, number, key)).status_code == 201


async def test_accepted_but_answered_with_500(all_fates: Texted) -> None:
    number = number_for("error_accepted")
    answer = await posted(all_fates, number, "e500")
    assert (answer.status_code, answer.json()["code"]) == (500, 20500)
    assert len(await texts_to(all_fates, number)) == 1


async def test_accepted_but_the_connection_is_cut(all_fates: Texted) -> None:
    number = number_for("cut_accepted")
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        await posted(all_fates, number, "cut")
    assert len(await texts_to(all_fates, number)) == 1
    await until(lambda: answers_from(all_fates, number) == ["1"])


async def test_the_connection_is_cut_without_accepting(all_fates: Texted) -> None:
    for key, then in (("cut", None), ("cut_once", 201)):
        number = number_for(key)
        with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
            await posted(all_fates, number, key)
        assert await texts_to(all_fates, number) == []
        if then:
            assert (await posted(all_fates, number, key)).status_code == then


async def test_unavailable_and_busy_do_not_accept(all_fates: Texted) -> None:
    expected = {
        "unavailable": [503, 503, 503, 503],
        "unavailable_twice": [503, 503, 201, 201],
        "busy_twice": [429, 429, 201, 201],
    }
    for key, statuses in expected.items():
        number = number_for(key)
        assert [(await posted(all_fates, number, f"{key}{n}")).status_code for n in range(4)] == statuses
        assert len(await texts_to(all_fates, number)) == statuses.count(201)
