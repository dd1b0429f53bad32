"""Webhooks under attack: what nobody signed changes nothing, and no answer comes from who gave none.

FUZZ_EXAMPLES=300, which is what `make fuzz` asks for, makes 100,500 requests, others each time.
"""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pytest
import pytest_asyncio
from fastapi import FastAPI

from app.board.stream import Hub
from app.channels.twilio import Signatures
from app.deliveries.states import PROVIDER_STATUSES
from app.kernel.db import rows
from app.main import create_app
from tests.effort import WANTED
from tests.fuzz.attacker import SIGNATURE, VALUES, Attacker, Post, answer, as_signed, post
from tests.journeys.crew import Crew, Desk, Person, a_person, desk
from tests.spare import Spare
from tests.stack import ACCOUNT, AUTH_TOKEN, SENDER
from tests.voice.conftest import CALLING

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.fuzz]

FORGED = WANTED * 315 or 500
SIGNED = WANTED * 20 or 120
BATCH = 1000
SEED = secrets.randbits(32) if WANTED else 1
STATE = (
    "acknowledgment", "attempt", "audit_entry", "callback", "contact_point", "delivery", "escalation", "field_report",
    "help_request", "inbound_message", "incident", "keypress", "ladder_step", "notice", "person", "suppression",
)  # fmt: skip


FIELDS = (
    "MessageStatus", "SmsStatus", "ErrorCode", "OptOutType", "To", "Caller", "Called", "Body", "AnsweredBy",
    "CallStatus", "Digits", "FromCity", "Extra",
)  # fmt: skip


@dataclass
class Scene:
    """Two incidents, people who answered and people who did not, and every signed request that there was."""

    desk: Desk
    app: FastAPI
    documented: dict[str, set[int]]
    captured: list[Post] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    silent: list[Person] = field(default_factory=list)
    talkers: list[Person] = field(default_factory=list)
    silent_calls: list[str] = field(default_factory=list)

    async def send(self, target: str, **form: str) -> bytes:
        """The provider posts this for the first time; it is captured."""
        one = post(self.desk.base_url, target, form)
        self.captured.append(one)
        status, body = await answer(self.app, one)
        assert status in (200, 204), body
        return body

    async def text(self, person: Person, body: str, **more: str) -> None:
        sid = "SM" + uuid.uuid4().hex
        form = {
            "ApiVersion": "2010-04-01",
            "SmsSid": sid,
            "SmsMessageSid": sid,
            "NumMedia": "0",
            "FromCity": "",
            **more,
        }
        await self.send("/webhooks/twilio/inbound", MessageSid=sid, From=person.mobile, To=SENDER, Body=body, **form)

    def attacker(self, purpose: int) -> Attacker:
        made_up = [self.desk.house.signer.attempt_token(2**39), "a" * 20, "x"]
        chance = random.Random(SEED + purpose)
        return Attacker(self.desk.base_url, self.captured, self.tokens + made_up, chance)

    async def state(self) -> dict[str, tuple[int, str]]:
        """Each table's rows: how many, and a hash of them all.

        Without statuses that nobody knows: a word cut short is kept for the operator to see, and moves nothing.
        """
        found = {}
        async with self.desk.house.db.begin() as session:
            for table in STATE:
                query = f"SELECT count(*) AS many, md5(string_agg(t::text, '|' ORDER BY t::text)) AS sum FROM {table} t"
                known = {"known": list(PROVIDER_STATUSES)} if table == "callback" else {}
                (entry,) = await rows(session, query + (" WHERE status = ANY(:known)" if known else ""), known)
                found[table] = (int(entry["many"]), str(entry["sum"]))
        return found

    async def answered(self) -> Counter[str]:
        """How many answers are kept of whom."""
        query = """SELECT p.employee_id AS person, count(*) AS many FROM acknowledgment a
                   JOIN delivery d ON d.id = a.delivery_id JOIN person p ON p.id = d.person_id GROUP BY 1"""
        async with self.desk.house.db.begin() as session:
            return Counter({entry["person"]: entry["many"] for entry in await rows(session, query)})

    def allowed(self, one: Post, status: int) -> bool:
        """Whether the document knows this answer, or the address or the method is none of ours."""
        path = unquote(one.target.partition("?")[0])
        for template, statuses in self.documented.items():
            if re.fullmatch(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template)), path):
                return status in statuses | ({405} if one.method != "POST" else set())
        return status in (303, 307, 400, 403, 404, 405, 409, 413, 422) if one.method != "GET" else status < 500


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def scene(spare: Spare, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("attacked")
    channels = ("email", "sms", "voice")
    async with spare.lent() as url, desk(url, folder, channels=channels, playbook=CALLING) as muster:
        app = create_app(muster.house, Hub(url), signatures=Signatures(ACCOUNT, AUTH_TOKEN))
        paths = app.openapi()["paths"]
        hooks = {path: item["post"]["responses"] for path, item in paths.items() if path.startswith("/webhooks/")}
        made = Scene(muster, app, {path: {int(status) for status in known} for path, known in hooks.items()})
        await _happened(made)
        yield made


async def _happened(scene: Scene) -> None:
    """Everything that people and the provider do, once."""
    muster = scene.desk
    ann, ben, cid, dee, eve = (a_person(name=name) for name in ("Ann", "Ben", "Cid", "Dee", "Eve"))
    kim, lou, mia = (a_person(name=name) for name in ("Kim", "Lou", "Mia"))
    texted = await Crew(muster).told(ann, ben, cid, dee, eve)
    called = await Crew(muster).told(kim, lou, mia, severity="SEV2")
    await muster.hand_over()
    attempts = {e["employee_id"]: e for key in (called, texted) for e in await muster.attempts(key)}
    of = {person.id: muster.house.signer.attempt_token(attempts[person.id]["id"]) for person in
          (ann, ben, cid, dee, eve, kim, lou, mia) if person.id in attempts}  # fmt: skip
    for person in (ann, ben, eve):
        sid = attempts[person.id]["provider_message_id"]
        for word in ("sent", "delivered"):
            form = {"MessageSid": sid, "SmsSid": sid, "MessageStatus": word, "SmsStatus": word, "ErrorMessage": ""}
            await scene.send(f"/webhooks/twilio/status/{of[person.id]}", To=person.mobile, From=SENDER, **form)
    await scene.text(ann, "1")
    await scene.text(ann, "3")
    await scene.text(ben, "2")
    await scene.text(cid, "STOP", OptOutType="STOP")
    await scene.text(dee, "no power at the tills")
    await scene.text(a_person(name="A stranger"), "1")
    for person, keys in ((kim, ("", "1", "2")), (lou, ("1",)), (mia, ())):
        base = {"CallSid": attempts[person.id]["provider_message_id"], "CallStatus": "in-progress", "Direction": "out"}
        base |= {"To": person.mobile, "From": SENDER, "ApiVersion": "2010-04-01", "AnsweredBy": "human"}
        address = f"/webhooks/twilio/voice/{of[person.id]}"
        await scene.send(address, **base)
        for turn, key in enumerate(keys, 1):
            if key:
                await scene.send(f"{address}/answer?turn={turn}", Digits=key, **base)
            else:
                await scene.send(f"{address}?turn={turn + 1}", **base)
        await scene.send(f"{address}/status", **{**base, "CallStatus": "completed", "CallDuration": "9"})
    scene.tokens = list(of.values())
    scene.silent, scene.talkers, scene.silent_calls = [dee, eve, mia, cid], [ann, ben, kim, lou], [of[mia.id]]
    assert set(await scene.answered()) == {person.id for person in scene.talkers}


async def test_whoever_does_not_have_the_secret_changes_nothing(scene: Scene) -> None:
    attacker, before = scene.attacker(0), await scene.state()
    answers: Counter[int] = Counter()
    for number in range(FORGED):
        one = attacker.forged()
        status, body = await answer(scene.app, one)
        answers[status] += 1
        assert scene.allowed(one, status), (SEED, status, one, body)
        hook = unquote(one.target).startswith("/webhooks/")
        assert not hook or status not in (200, 204) or as_signed(one, scene.desk.base_url), (SEED, status, one, body)
        if number % BATCH == BATCH - 1:
            assert await scene.state() == before, (SEED, number)
    assert await scene.state() == before, SEED
    assert answers[403] > FORGED / 2, answers
    print("answers to forged requests:", dict(answers))


async def test_a_signature_is_not_good_for_the_same_signs_cut_at_other_places(scene: Scene) -> None:
    """The provider signs address, names and values in a row, with nothing between them."""
    before = await scene.state()
    target = {"text": "/inbound", "press": "/answer?turn=2"}
    texts = [one for one in scene.captured if one.target.endswith(target["text"])]
    [press] = [one for one in scene.captured if one.target.endswith(target["press"]) and b"Digits=1" in one.body]
    form, pressed = dict(texts[0].fields), dict(press.fields)
    lost = next(at for at, sign in enumerate(form["MessageSid"]) if at > 2 and sign in "abcdef")
    rest = "".join(name + form[name] for name in sorted(form) if name > "MessageSid")
    kept = {name: value for name, value in form.items() if name < "MessageSid"}
    recut = [
        # An id that takes in the next field would be a text that was never seen.
        {**{k: v for k, v in form.items() if k != "NumMedia"}, "MessageSid": form["MessageSid"] + "NumMedia0"},
        # So would one that loses its end.
        {**kept, "MessageSid": form["MessageSid"][:lost], form["MessageSid"][lost:] + rest[:8]: rest[8:]},
    ]
    forged = [Post(texts[0].target, post(scene.desk.base_url, "", one).body, texts[0].headers) for one in recut]
    # Without its query this would be the key of a turn in which none was pressed.
    bare = press.target.partition("?")[0]
    forged.append(Post(bare, post(scene.desk.base_url, "", {"?turn": "=2", **pressed}).body, press.headers))
    checks = Signatures(ACCOUNT, AUTH_TOKEN)
    for one in forged:
        assert checks.valid(scene.desk.base_url + one.target, dict(one.fields), one.header(SIGNATURE)), "not the point"
        assert (await answer(scene.app, one))[0] == 403, one
    assert await scene.state() == before


async def test_no_host_that_is_claimed_makes_a_signature_good_for_another_address(scene: Scene) -> None:
    before = await scene.state()
    for one in scene.captured:
        for other in scene.captured:
            for end in ("#", "?", ""):
                if other.target != one.target:
                    moved = Post(other.target, one.body, one.headers).having("Host", f"x{one.target}{end}")
                    assert (await answer(scene.app, moved))[0] == 403, moved
    assert await scene.state() == before


@pytest.mark.parametrize(
    "path", ["/webhooks/twilio/inbound", "/a/x", "/api/v1/people", "/declare", "/nowhere", "/readyz/"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_a_query_that_is_no_text_is_no_fault_of_ours(scene: Scene, method: str, path: str) -> None:
    for accept in ("text/html", "application/json"):
        status, _ = await answer(scene.app, Post(f"{path}?turn=\xe9", b"", (("Accept", accept),), method))
        assert status < 500, (method, path, accept)


async def test_a_request_again_changes_nothing_be_it_a_hundred_times_at_once(scene: Scene) -> None:
    before = await scene.state()
    for one in scene.captured:
        status, body = await answer(scene.app, one)
        assert status in (200, 204), (one, body)
        if one.target == "/webhooks/twilio/inbound":
            assert b"<Message>" not in body, "answered twice"
    assert await scene.state() == before
    for one in {one.target.partition("?")[0].rpartition("/")[2]: one for one in scene.captured}.values():
        again = await asyncio.gather(*(answer(scene.app, one) for _ in range(100)))
        assert {status for status, _ in again} <= {200, 204}, (one, Counter(again))
        assert await scene.state() == before, one
    everything = [one for one in scene.captured for _ in range(100 if WANTED else 2)]
    random.Random(SEED).shuffle(everything)
    for begin in range(0, len(everything), 100):
        at_once = (answer(scene.app, one) for one in everything[begin : begin + 100])
        statuses = {status for status, _ in await asyncio.gather(*at_once)}
        assert statuses <= {200, 204}, statuses
    assert await scene.state() == before


async def test_the_first_hundred_of_one_text_at_once_are_one_answer(scene: Scene) -> None:
    crew = Crew(scene.desk)
    person = a_person()
    await crew.told(person)
    await scene.desk.hand_over()
    sid = "SM" + uuid.uuid4().hex
    form = {"MessageSid": sid, "From": person.mobile, "To": SENDER, "Body": "1"}
    one = post(scene.desk.base_url, "/webhooks/twilio/inbound", form)
    told = await asyncio.gather(*(answer(scene.app, one) for _ in range(100)))
    assert {status for status, _ in told} == {200}
    assert sum(b"<Message>" in body for _, body in told) == 1
    assert (await scene.answered())[person.id] == 1


async def test_nobody_is_made_to_have_answered_by_what_the_provider_signs(scene: Scene) -> None:
    """Signed, but with anything in it: kept as what it is. Only a person's own digit or key is their answer."""
    chance, before = random.Random(SEED + 1), await scene.answered()
    answers: Counter[int] = Counter()
    for _ in range(SIGNED):
        one = _signed(scene, chance)
        status, body = await answer(scene.app, one)
        answers[status] += 1
        assert scene.allowed(one, status), (SEED, status, one, body)
    after = await scene.answered()
    for person in scene.silent:
        assert after[person.id] == before[person.id] == 0, (SEED, person)
    print("answers to signed requests:", dict(answers))


def _signed(scene: Scene, chance: random.Random) -> Post:
    """Anything that the provider might sign, but no answer of a silent person's own."""
    muster = scene.desk
    silent, talker = chance.choice(scene.silent), chance.choice(scene.talkers)
    token = chance.choice(scene.tokens)
    form: dict[str, str] = {}
    kind = chance.randrange(4)
    seen: dict[str, Any] = dict(chance.choice(scene.captured).fields)
    form.update(seen)
    for name in ("MessageSid", "SmsSid", "CallSid"):
        if name in form and chance.random() < 0.7:
            form[name] = form[name][:2] + f"{chance.getrandbits(128):032x}"
    for _ in range(chance.randrange(4)):
        name = chance.choice((*FIELDS, *form))
        form[name] = chance.choice((*VALUES, silent.mobile, f"1 {silent.mobile}"))
    form["AccountSid"] = ACCOUNT
    if kind == 0:
        return post(muster.base_url, f"/webhooks/twilio/status/{token}", form)
    if kind == 1:
        # From a silent person come words, an order to the carrier, or more than a digit; from others anything.
        if chance.random() < 0.5:
            words = ("STOP", "START", "HELP", "YES", "1 maybe", "in 1 hour", "not ok", "", "\U0001f44d", "12", "4")
            form |= {"From": silent.mobile, "Body": chance.choice(words)}
        else:
            form["From"] = chance.choice((talker.mobile, "+12125550199", "MUSTER", "", *VALUES))
            form["Body"] = chance.choice(("1", "2", "3", f"1 {silent.mobile}", silent.name, *VALUES))
        return post(muster.base_url, "/webhooks/twilio/inbound", form)
    if kind == 2:
        # Picked up, or over, whatever keys are told with it: no key was asked for.
        end = chance.choice(("", "?turn=1", "?turn=8", "/status"))
        return post(muster.base_url, f"/webhooks/twilio/voice/{token}{end}", form)
    keys = chance.choice(VALUES)
    if token in scene.silent_calls and keys.strip() in ("1", "2", "3"):
        form["AnsweredBy"] = "machine_end_beep"
    form["Digits"] = keys
    turn = chance.choice(("", "?turn=1", "?turn=2", "?turn=9", "?turn=10", "?turn=-1", "?turn=x"))
    return post(muster.base_url, f"/webhooks/twilio/voice/{token}/answer{turn}", form)
