"""The record of a small incident, figure by figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.board import service as board
from app.incidents import timeline
from app.kernel.clock import ManualClock
from app.kernel.errors import NotFound
from app.kernel.house import House
from app.review import service
from app.review.formats import FORMATS
from app.review.record import Moment, Recipient, Record
from tests.review import story as tale
from tests.review.conftest import Told
from tests.review.story import EVIL, at


def after_sent(shares: Mapping[str, Moment | None]) -> dict[str, float | None]:
    return {percent: moment.seconds_after_sent if moment else None for percent, moment in shares.items()}


def test_the_summary_says_what_happened_and_how_long_it_took(record: Record) -> None:
    summary = record.summary
    assert summary.key == "INC-2026-0001"
    assert (summary.playbook.slug, summary.playbook.revision, summary.playbook.title) == (
        "sample",
        1,
        "A sample outage",
    )
    assert len(summary.playbook.sha256) == 64
    assert (summary.severity, summary.status) == ("SEV1", "closed")
    assert [(c.at, c.before, c.after, c.by, c.reason) for c in summary.severity_changes] == [
        (at("03:00:00"), None, "SEV2", "Kim Commander", None),
        (at("03:20:00"), "SEV2", "SEV1", "Kim Commander", "Every store is down"),
    ]
    assert [(c.at, c.before, c.after, c.reason) for c in summary.status_changes] == [
        (at("03:00:00"), None, "declared", None),
        (at("03:40:00"), "declared", "resolved", "Tills are back"),
        (at("03:50:00"), "resolved", "closed", "Nothing is left to do"),
    ]
    assert (summary.declared_by, summary.declared_at) == ("Kim Commander", at("03:00:00"))
    assert (summary.resolved_at, summary.closed_at) == (at("03:40:00"), at("03:50:00"))
    assert [(r.name, r.person_id, r.assumed_at, r.released_at) for r in summary.commanders] == [
        ("Kim Commander", None, at("03:00:00"), None)
    ]
    assert summary.seconds_to_first_message == 182.0
    assert summary.seconds_to_resolved == 2400.0
    assert summary.seconds_to_closed == 3000.0
    assert summary.seconds_from_resolved_to_all_clear == 60.0
    assert (summary.drill, summary.simulated) == (False, True)


def test_reach_of_the_first_bulletin_among_everybody(record: Record) -> None:
    reach = record.bulletins[0].reach
    assert reach is not None
    assert reach.total == 7
    assert sum(reach.counts.values()) == 7
    assert (reach.counts["acknowledged"], reach.counts["cannot"], reach.counts["waiting"]) == (4, 1, 0)
    assert (reach.delivered, reach.delivered_by_receipt, reach.delivered_by_acceptance) == (5, 3, 2)
    assert reach.first_message == Moment(at("03:03:02"), 182.0, 2.0)
    # 3:02 Cleo (the carrier tells no more), 3:10 Ana, 3:15 Gus, 3:20 Ben, 3:40 Finn (mail): four of seven is half.
    assert reach.to_delivered == {"50": Moment(at("03:03:20"), 200.0, 20.0), "90": None, "100": None}
    # Ana 3:50, Finn 5:00, Ben 10:00 (after his help request), Gus 26:00.
    assert reach.to_acknowledged == {"50": Moment(at("03:26:00"), 1560.0, 1380.0), "90": None}
    assert reach.to_answered == {"50": Moment(at("03:07:30"), 450.0, 270.0), "90": None}
    assert reach.answered == 5
    assert reach.median_seconds_to_answer == 120.0
    assert reach.answered_via == {"sms": 1, "page": 3, "email": 0, "voice": 0, "in_person": 1, "phone": 0}


def test_reach_of_the_first_bulletin_by_department(record: Record) -> None:
    found = record.bulletins[0].reach_by_department
    assert list(found) == ["IT", "Store Operations"]
    stores, office = found["Store Operations"], found["IT"]
    assert (stores.total, stores.delivered, stores.answered) == (4, 3, 3)
    assert after_sent(stores.to_delivered) == {"50": 10.0, "90": None, "100": None}
    assert after_sent(stores.to_acknowledged) == {"50": 420.0, "90": None}
    assert after_sent(stores.to_answered) == {"50": 60.0, "90": None}
    assert stores.median_seconds_to_answer == 60.0
    assert (office.total, office.delivered, office.answered) == (3, 2, 2)
    assert after_sent(office.to_delivered) == {"50": 40.0, "90": None, "100": None}
    assert after_sent(office.to_acknowledged) == {"50": 1380.0, "90": None}
    assert office.median_seconds_to_answer == 750.0


def test_reach_while_the_incident_runs(told: Told) -> None:
    first = told.after_first.bulletins[0]
    assert first.reach is not None
    assert first.reach.counts == {
        "acknowledged": 3, "need_help": 0, "cannot": 1, "cancelled": 0, "waiting": 1, "pending": 0, "uncertain": 0,
        "unreachable": 2,
    }  # fmt: skip
    # Three of seven is less than half.
    assert after_sent(first.reach.to_acknowledged) == {"50": None, "90": None}
    assert after_sent(first.reach.to_answered) == {"50": 270.0, "90": None}
    departments = first.reach_by_department
    assert {name: reach.counts["unreachable"] for name, reach in departments.items()} == {
        "IT": 1,
        "Store Operations": 1,
    }

    record = told.after_second
    second = record.bulletins[1].reach
    assert second is not None
    assert second.counts == {
        "acknowledged": 1, "need_help": 0, "cannot": 0, "cancelled": 0, "waiting": 3, "pending": 1, "uncertain": 0,
        "unreachable": 2,
    }  # fmt: skip
    assert [(s.person_id, s.holds, s.latest, s.why) for s in record.stale] == [("p6", 1, 2, "it is still on its way")]
    assert (record.cadence.next_due_at, record.cadence.next_overdue) == (at("03:45:00"), False)


def test_reach_of_the_later_bulletins(record: Record) -> None:
    second, third = record.bulletins[1].reach, record.bulletins[2].reach
    assert second is not None
    assert third is not None
    assert after_sent(second.to_delivered) == {"50": 6.0, "90": None, "100": None}
    assert (second.delivered_by_receipt, second.delivered_by_acceptance) == (1, 3)
    assert after_sent(second.to_acknowledged) == {"50": None, "90": None}
    assert second.median_seconds_to_answer == 30.0
    assert third.first_message is None
    assert third.counts["pending"] == 5
    assert third.delivered == 0
    assert third.median_seconds_to_answer is None


async def test_counts_and_reasons_are_the_boards(record: Record, told_house: House) -> None:
    async with told_house.db.begin() as session:
        for bulletin in record.bulletins[:3]:
            shown = await board.board(session, record.key, bulletin.number)
            assert bulletin.reach is not None
            assert bulletin.reach.counts == shown["counts"]
            for name, reach in bulletin.reach_by_department.items():
                assert {"total": reach.total, **reach.counts} == shown["by_department"][name]
            people, _ = await board.recipients(session, record.key, bulletin.number)
            mine = [person for person in record.recipients if person.bulletin == bulletin.number]
            assert {p["person_id"]: (p["status"], p["reason"], p["response"]) for p in people} == {
                p.person_id: (p.status, p.reason, p.response) for p in mine
            }


def test_unreachable_people_are_named_with_their_reason(record: Record) -> None:

    def named(number: int) -> list[tuple[str, list[tuple[str, str, str | None]]]]:
        groups = record.bulletins[number - 1].unreachable
        return [(group.reason, [(p.name, p.department, p.site) for p in group.people]) for group in groups]

    assert named(1) == [
        ("no usable contact point", [(EVIL, "Store Operations", "Store 2")]),
        ("the number is not valid", [("Eve Stone", "IT", "Office")]),
    ]
    # Named also after the bulletin was replaced, when the eight counts call them cancelled.
    assert [group[0] for group in named(2)] == ["no usable contact point", "number is not in service"]
    assert [(g.reason, [p.person_id for p in g.people]) for g in record.never_reached] == [
        ("no usable contact point", ["p4"]),
        ("number is not in service", ["p5"]),
    ]


def test_fallback_counts_people_who_were_moved_to_another_channel(record: Record) -> None:
    first, second = record.bulletins[0].fallback, record.bulletins[1].fallback
    assert first is not None
    assert second is not None
    assert (first.people, first.by_channel, first.handed_over) == (3, {"email": 3}, {"email": 3})
    assert (second.people, second.by_channel) == (0, {})


def test_bulletins_are_held_against_the_cadence(record: Record) -> None:
    cadence = record.cadence
    assert cadence.seconds_by_severity["SEV1"] == 1200.0
    # Staff were promised 03:23, and then 03:45; after the all-clear nothing is due.
    assert [(d.number, d.due_at, d.seconds_late, d.on_time) for d in cadence.bulletins] == [
        (1, None, None, None),
        (2, at("03:23:00"), 120.0, False),
        (3, at("03:45:00"), -240.0, True),
    ]
    assert (cadence.on_time, cadence.late) == (1, 1)
    assert (cadence.next_due_at, cadence.next_overdue) == (None, False)


def test_people_with_an_older_bulletin_are_named(record: Record) -> None:
    stale = record.stale
    assert [(s.person_id, s.holds, s.latest) for s in stale] == [
        ("p1", 2, 3), ("p2", 2, 3), ("p3", 2, 3), ("p6", 1, 3), ("p7", 2, 3),
    ]  # fmt: skip
    assert {s.why for s in stale} == {"it is still on its way"}


def test_late_and_changed_answers_are_kept_whole(record: Record) -> None:
    assert [(a.person_id, a.bulletin, [(x.response, x.late) for x in a.answers]) for a in record.late_answers] == [
        ("p7", 1, [("ok", True)])
    ]
    assert [(a.person_id, a.bulletin, [x.response for x in a.answers]) for a in record.changed_answers] == [
        ("p2", 1, ["need_help", "ok"]),
        ("p1", 2, ["cannot", "ok"]),
    ]


def test_field_reports_say_who_where_and_when(record: Record) -> None:
    first, shared, asked = record.field_reports
    assert (first.name, first.department, first.site, first.at) == (
        "Ana Ruiz", "Store Operations", "Store 1", at("03:06:00"),
    )  # fmt: skip
    assert first.text == "Queue out of the door | `tills` <script>x</script>\n# and no change"
    assert (first.number, first.maybe_help) == (None, False)
    assert (shared.name, shared.person_id, shared.number) == ("someone at this number", None, "+1 *** *** 0199")
    assert shared.text == "Ring me on +1 *** *** 0103 please"
    assert (asked.person_id, asked.maybe_help) == ("p2", True)


def test_help_requests_say_who_took_them_and_how_long_it_was(record: Record) -> None:
    (request,) = record.help_requests
    assert (request.name, request.state, request.bulletin) == ("Ben Ode", "closed", 1)
    assert (request.opened_at, request.taken_at, request.closed_at) == (at("03:04:00"), at("03:05:00"), at("03:09:00"))
    assert (request.taken_by, request.closed_by) == ("Kim Commander", "Kim Commander")
    assert (request.seconds_to_taken, request.seconds_to_closed) == (60.0, 300.0)
    assert request.outcome == "Sent Lou to Store 1"


def test_each_recipient_is_told_in_full(record: Record) -> None:
    people = {(p.bulletin, p.person_id): p for p in record.recipients}
    assert len(people) == 19

    def way(person: Recipient) -> list[tuple[str, str, int | None]]:
        return [(a.channel, a.state, a.error_code) for a in person.attempts]

    finn, cleo, eve, ben = people[1, "p6"], people[1, "p3"], people[1, "p5"], people[1, "p2"]
    assert way(finn) == [("sms", "undelivered", 30007), ("email", "accepted", None)]
    assert (finn.first_channel, finn.delivered_channel, finn.delivered_proof) == ("sms", "email", "accepted")
    assert (finn.delivered_at, finn.seconds_to_answer) == (at("03:03:40"), 120.0)
    assert way(cleo) == [("sms", "sent", None), ("email", "accepted", None)]
    assert (cleo.delivered_at, cleo.delivered_channel) == (at("03:03:02"), "sms")
    assert (cleo.response, cleo.via, cleo.seconds_to_answer) == ("cannot", "in_person", 270.0)
    assert (cleo.answers[0].recorded_by, cleo.answers[0].recorded_at) == ("Kim Commander", at("03:08:00"))
    assert cleo.answers[0].note == "asked at the desk, will ring +1 *** *** 0103"
    assert (eve.failure, eve.delivered_at) == ("the number is not valid", None)
    assert eve.attempts[0].reason == "The 'To' number +1 *** *** 0105 is not a valid phone number."
    assert (ben.first_answered_at, ben.answered_at, ben.acknowledged_at) == (
        at("03:04:00"), at("03:10:00"), at("03:10:00"),
    )  # fmt: skip


def test_texts_are_as_sent_without_anybodys_code_or_link(record: Record) -> None:
    bulletin = record.bulletins[0]
    sms = next(text for text in bulletin.texts if text.audience == "front_line" and text.channel == "sms")
    assert sms.text == (
        "North|wind `x` <b> investigating for front_line. power at 12 sites. Next update 04:23 CET. [link] "
        "Code [code]. Reply 1 OK, 2 need help, 3 cannot"
    )
    assert sms.people == 3
    mail = next(text for text in bulletin.texts if text.audience == "responders" and text.channel == "email")
    assert (mail.subject, mail.people) == ("SEV2 investigating for responders", 2)
    assert "Answer here: [link]" in mail.text
    assert "your code is [code]." in mail.text
    assert (bulletin.drafted_by, bulletin.drafted_at, bulletin.sent_by) == (
        "Kim Commander", at("03:01:00"), "Kim Commander",
    )  # fmt: skip
    assert [(a.name, a.role, a.at) for a in bulletin.approvals] == [("Kim Commander", "commander", at("03:02:00"))]


def test_a_draft_stands_in_the_record_as_a_draft(record: Record) -> None:
    assert [(b.number, b.state, b.recipients) for b in record.bulletins] == [
        (1, "sent", 7), (2, "sent", 7), (3, "sent", 5), (4, "draft", 0),
    ]  # fmt: skip
    draft = record.bulletins[3]
    assert (draft.reach, draft.fallback, draft.sent_at, draft.unreachable) == (None, None, None, ())


async def test_the_timeline_is_whole_however_long(
    record: Record, told_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with told_house.db.begin() as session:
        everything = await timeline.read(session, incident_id=1, key=record.key, limit=100_000)
        monkeypatch.setattr(service, "TIMELINE_PAGE", 7)
        paged = await service.build(session, told_house, record.key)
    assert paged == record
    assert [entry.seq for entry in paged.timeline] == list(range(1, len(everything) + 1))
    assert {entry.actor for entry in paged.timeline} >= {"Kim Commander", "Ana Ruiz", "system"}
    assert paged.timeline[0].kind == "declared"


async def test_an_incident_in_which_nothing_was_sent_has_a_record(
    house: House, clock: ManualClock, tmp_path: Path
) -> None:
    story = tale.telling(house, clock, tmp_path)
    await story.begin(tale.PEOPLE.format(evil="Dan"), drill=True)
    async with house.db.begin() as session:
        record = await service.build(session, story.house, story.key)
    assert (record.bulletins, record.recipients, record.stale, record.never_reached) == ((), (), (), ())
    assert record.summary.seconds_to_first_message is None
    assert record.cadence.bulletins == ()
    assert record.drill
    for name in FORMATS:
        assert await service.export(story.house, story.key, name)
    document = (await service.export(story.house, story.key, "md")).decode()
    assert "No bulletin was sent." in document
    assert document.startswith("DRILL")
    assert document.rstrip().endswith("DRILL. This was an exercise.")


async def test_an_incident_that_does_not_exist_has_no_record(house: House) -> None:
    with pytest.raises(NotFound):
        await service.export(house, "INC-2026-0999", "json")
