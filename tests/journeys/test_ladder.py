"""The ladder, live and sixty times as fast: who is tried how, when, and what the board says meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.journeys.crew import STEP_SECONDS, Crew, Person, a_person, adds_up, tried


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_whoever_does_not_answer_gets_a_mail_when_it_is_time(crew: Crew) -> None:
    silent, quick = a_person(), a_person()
    key = await crew.told(silent, quick, severity="SEV1")
    entry = await crew.until_attempts(key, quick, ("sms", "delivered"))
    sent = moment((await crew.muster.call("GET", f"/incidents/{key}/bulletins/1"))["sent_at"])
    assert entry["next_step"] == "email"
    assert abs(moment(entry["next_step_at"]) - sent - timedelta(seconds=STEP_SECONDS / 60)) < timedelta(seconds=0.1)
    assert "1 OK" in await crew.muster.reply(quick.mobile, "1")
    late = await crew.until_attempts(key, silent, ("sms", "delivered"), ("email", "accepted"))
    assert moment(late["attempts"][1]["created_at"]) >= moment(entry["next_step_at"])
    assert (late["status"], late["next_step"], late["next_step_at"]) == ("waiting", None, None)
    # Acknowledged in between: no mail.
    assert tried(await crew.person(key, quick)) == [("sms", "delivered")]
    assert await crew.muster.emails(quick.email) == []
    (mail,) = await crew.muster.emails(silent.email)
    (text,) = await crew.muster.texts(silent.mobile)
    link = next(word for word in text["body"].split() if "/a/" in word)
    assert link in mail["text"]
    assert link in mail["html"]
    assert mail["message_id"] == late["attempts"][1]["provider_message_id"]
    adds_up(await crew.muster.board(key))


REFUSED = [("0001", 21211), ("0002", 21612), ("0003", 21408), ("0004", 21610), ("0009", 21614)]
UNDELIVERED = [("2005", 30005), ("2006", 30006), ("2007", 30007)]


async def test_whoever_cannot_be_texted_gets_a_mail_at_once(crew: Crew) -> None:
    """Refused at the hand-over or undelivered later: the mail does not wait for the ladder's hour (SEV3)."""
    people = {code: a_person(fate) for fate, code in (*REFUSED, *UNDELIVERED)}
    key = await crew.told(*people.values(), severity="SEV3")
    for fate, code in REFUSED:
        state = "suppressed" if fate == "0004" else "rejected"
        entry = await crew.until_attempts(key, people[code], ("sms", state), ("email", "accepted"))
        assert entry["attempts"][0]["error_code"] == code
        assert entry["attempts"][0]["reason"]
    for _, code in UNDELIVERED:
        entry = await crew.until_attempts(key, people[code], ("sms", "undelivered"), ("email", "accepted"))
        assert entry["attempts"][0]["error_code"] == code
    board = await crew.muster.settled(key)
    assert board["counts"]["waiting"] == board["total"] == len(people)


async def test_a_handset_that_is_off_is_tried_again_and_mailed_meanwhile(crew: Crew) -> None:
    person = a_person("2003")
    key = await crew.told(person, severity="SEV3")
    await crew.until_attempts(key, person, ("sms", "undelivered"), ("sms", "undelivered"), ("email", "accepted"))
    assert len(await crew.muster.texts(person.mobile)) == 2


async def test_a_full_queue_is_tried_again_before_anything_else(crew: Crew) -> None:
    person = a_person("2001", email="")
    key = await crew.told(person, severity="SEV3")
    entry = await crew.until_attempts(key, person, *[("sms", "failed")] * 3)
    entry = await crew.until(key, person, status="unreachable")
    assert entry["reason"] == "the provider's queue is full"


async def test_each_starts_where_they_can_be_reached(crew: Crew) -> None:
    both, mail, nothing = a_person(), a_person(mobile=""), a_person(mobile="", email="")
    second = Person("S" + both.id, mobile="", phone=a_person().mobile)
    key = await crew.told(both, mail, nothing, second)
    board = await crew.muster.settled(key)
    assert board["counts"] | {"waiting": 3, "unreachable": 1} == board["counts"]
    assert tried(await crew.person(key, mail)) == [("email", "accepted")]
    await crew.until_attempts(key, second, ("sms", "delivered"))
    entry = await crew.person(key, nothing)
    assert (entry["status"], entry["attempts"], entry["reason"]) == ("unreachable", [], "no usable contact point")
    shown = await crew.muster.call("GET", f"/incidents/{key}/bulletins/1")
    assert shown["recipients"]["by_channel"] == {"sms": 2, "email": 1}
    assert [entry["person_id"] for entry in shown["recipients"]["unreachable"]] == [nothing.id]


async def test_opting_out_leads_to_mail_and_opting_in_back_to_texts(crew: Crew) -> None:
    person = a_person()
    key = await crew.told(person, severity="SEV3")
    await crew.until_attempts(key, person, ("sms", "delivered"))
    # While it waits: the next channel at once, though the ladder has an hour.
    await crew.muster.reply(person.mobile, "STOP")
    await crew.until_attempts(key, person, ("sms", "delivered"), ("email", "accepted"))
    # The next bulletin goes to the mailbox directly, and nothing more to the phone.
    await crew.muster.send(key, "identified")
    await crew.until_attempts(key, person, ("email", "accepted"), number=2)
    assert len(await crew.muster.texts(person.mobile)) == 1
    await crew.muster.reply(person.mobile, "START")
    await crew.muster.send(key, "monitoring")
    await crew.until_attempts(key, person, ("sms", "delivered"), number=3)


async def test_a_ladder_of_one_step_ends_with_people_waiting(crew: Crew) -> None:
    person = a_person()
    key = await crew.told(person, severity="SEV2")
    entry = await crew.until_attempts(key, person, ("sms", "delivered"))
    assert (entry["status"], entry["next_step"], entry["next_step_at"]) == ("waiting", None, None)


async def test_a_ladder_may_begin_with_mail(crew: Crew) -> None:
    person, phone_only = a_person(), a_person(email="")
    key = await crew.told(person, phone_only, severity="SEV4")
    await crew.until_attempts(key, person, ("email", "accepted"), ("sms", "delivered"))
    await crew.until_attempts(key, phone_only, ("sms", "delivered"))


async def test_a_mailbox_that_fails_shows_as_what_it_is(crew: Crew) -> None:
    wanted = {"bounce": "unreachable", "cut": "uncertain", "later": "waiting"}
    people = {local: a_person(mobile="", email=f"{local}+{crew.site[-8:]}@example.org") for local in wanted}
    key = await crew.told(*people.values())
    for local, status in wanted.items():
        await crew.until(key, people[local], status=status)
    entry = await crew.person(key, people["bounce"])
    assert entry["reason"].startswith("email refused: ")
    assert "No such mailbox" in entry["reason"]
    # The server quotes the address; whoever looks at the board need not see it.
    assert people["bounce"].email not in str(entry)


async def test_each_reads_their_own_language_where_it_is_written(crew: Crew) -> None:
    people = {language: a_person(language=language) for language in ("fr", "fr-CA", "FR", "fr_BE", "de", "")}
    key = await crew.told(*people.values(), severity="SEV2")
    for language, person in people.items():
        await crew.until_attempts(key, person, ("sms", "delivered"))
        (text,) = await crew.muster.texts(person.mobile)
        french = language.lower().startswith("fr")
        assert text["body"].startswith("Panne" if french else "investigating for counters")
