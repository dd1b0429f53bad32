"""A thousand people take as many statements as seven do."""

from __future__ import annotations

from pathlib import Path

from app.kernel.clock import ManualClock
from app.kernel.db import driver_connection, run
from app.kernel.house import House
from app.review import service
from app.review.record import Record
from tests.review import story as tale
from tests.statements import statements

MANY = 1_000


async def built(house: House, key: str) -> tuple[Record, list[str]]:
    with statements(house.db) as seen:
        async with house.db.begin() as session:
            record = await service.build(session, house, key)
        return record, seen


def people(many: int) -> str:
    rows = "".join(
        f"e{n:05d},Person {n},{'IT' if n % 4 == 0 else 'Store Operations'},Site {n % 50},+1415{2_000_000 + n * 3:07d},"
        f"e{n}@example.com\n"
        for n in range(many)
    )
    return f"id,name,department,site,mobile,email\n{rows}"


async def test_a_thousand_people_cost_no_more_statements(
    told_house: House, house: House, clock: ManualClock, tmp_path: Path
) -> None:
    _, few = await built(told_house, "INC-2026-0001")

    story = tale.telling(house, clock, tmp_path)
    await story.begin(people(MANY))
    await story.draft("investigating")
    await story.approve(1)
    await story.send(1)
    await _happens_to_everybody(story)
    record, many = await built(story.house, story.key)

    assert len(many) <= len(few) <= 14
    reach = record.bulletins[0].reach
    assert reach is not None
    assert (reach.total, reach.delivered, reach.answered) == (MANY, MANY, MANY)
    assert (reach.delivered_by_receipt, reach.delivered_by_acceptance) == (MANY, 0)
    # Person n of 0..999 had it n ms after the hand-over at 1 s, and answered 60 s after that.
    assert [moment and moment.seconds_after_sent for moment in reach.to_delivered.values()] == [1.499, 1.899, 1.999]
    assert reach.median_seconds_to_answer == 61.4995
    assert len(record.timeline) == 4 + MANY


async def _happens_to_everybody(story: tale.Teller) -> None:
    """Everybody's attempt is delivered and answered, written set-based: what is measured is the reading."""
    moment = "CAST(:sent AS timestamptz) + make_interval(secs => 1 + (d.id - first.id) * 0.001)"
    first = "(SELECT min(id) AS id FROM delivery) first"
    given = {"sent": story.clock.now()}
    story.clock.advance(seconds=100)
    async with story.house.db.begin() as session:
        await run(
            session,
            f"""UPDATE attempt a SET state = 'delivered', accepted_at = {moment}, handed_over_at = {moment},
                       provider_message_id = 'SM' || a.id FROM delivery d, {first} WHERE d.id = a.delivery_id""",
            given,
        )
        await run(
            session,
            f"""INSERT INTO callback (attempt_id, provider_message_id, status, received_at)
                SELECT a.id, 'SM' || a.id, 'delivered', {moment}
                FROM attempt a JOIN delivery d ON d.id = a.delivery_id, {first}""",
            given,
        )
        answered = moment.replace("secs => 1", "secs => 61")
        await run(
            session,
            f"""INSERT INTO acknowledgment (delivery_id, response, via, at, recorded_at, late)
                SELECT d.id, 'ok', 'sms', {answered}, {answered}, false FROM delivery d, {first}""",
            given,
        )
        await run(
            session,
            f"""UPDATE delivery d SET response = 'ok', responded_via = 'sms', responded_at = {answered},
                       next_rung = NULL, next_step_at = NULL FROM {first}""",
            given,
        )
    # A few at a time: within one transaction each further entry of a stream costs more than the one before.
    for start in range(0, MANY, 500):
        async with story.house.db.begin() as session:
            connection = await driver_connection(session)
            await connection.execute(
                """INSERT INTO audit_entry (stream, at, actor, kind, data)
                   SELECT %(key)s, responded_at, 'person:' || person_id, 'acknowledged', jsonb_build_object(
                     'bulletin', 1, 'person', person_id, 'response', 'ok', 'via', 'sms', 'late', false)
                   FROM delivery ORDER BY id LIMIT 500 OFFSET %(start)s""",
                {"key": story.key, "start": start},
            )
