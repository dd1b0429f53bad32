"""What the alarms go by, measured on real bulletins: people missed, messages that wait, refusals to be mended."""

from __future__ import annotations

from app.readiness import rules
from app.readiness.measure import measure
from tests.journeys.crew import Crew, Desk, a_person


async def test_a_bulletin_that_reached_only_part_is_known_until_its_incident_is_over(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    key = await at_the_desk.told(a_person("0001", email=""), a_person(), a_person(email=""))
    cause = f"partial:{key}/1"
    before = await measure(the_desk.house)
    assert [entry.missed for entry in before.partial if entry.incident == key] == [0]
    await the_desk.hand_over()
    facts = await measure(the_desk.house)
    assert [(entry.missed, entry.total) for entry in facts.partial if entry.incident == key] == [(1, 3)]
    [said] = [found.detail for found in rules.causes(facts) if found.key == cause]
    assert "did not reach 1 of 3 people" in said
    await the_desk.call("PATCH", f"/incidents/{key}", {"status": "closed", "reason": "over"})
    facts = await measure(the_desk.house)
    assert cause not in {found.key for found in rules.causes(facts)}


async def test_messages_that_wait_are_known_and_those_handed_over_are_not(the_desk: Desk, at_the_desk: Crew) -> None:
    await the_desk.hand_over()
    assert (await measure(the_desk.house)).queue_age_seconds == 0
    await at_the_desk.told(a_person(email=""))
    the_desk.clock.advance(seconds=rules.QUEUE_LATE_SECONDS + 1)
    late = await measure(the_desk.house)
    assert late.queue_age_seconds > rules.QUEUE_LATE_SECONDS
    assert "queue" in {cause.key for cause in rules.causes(late)}
    await the_desk.hand_over()
    assert (await measure(the_desk.house)).queue_age_seconds == 0


async def test_a_refusal_that_the_operator_must_mend_is_known_by_its_code(the_desk: Desk, at_the_desk: Crew) -> None:
    await at_the_desk.told(a_person("0003", email=""))
    await the_desk.hand_over()
    facts = await measure(the_desk.house)
    assert facts.refusals == {21408: "the account may not text this region"}
    [said] = [found.detail for found in rules.causes(facts) if found.key == "refused:21408"]
    assert "21408" in said
