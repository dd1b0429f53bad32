"""Makes the record of what was read: rows in, plain values out. No statement is run here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy.engine import RowMapping

from app.bulletins import render
from app.channels.media import counted
from app.channels.media import read as read_media
from app.deliveries import reasons
from app.deliveries.states import WITH_PROVIDER, State
from app.directory.service import mask
from app.kernel.house import House
from app.playbooks.due import promised
from app.playbooks.service import Revision
from app.playbooks.stages import ALL_CLEAR
from app.review import figures
from app.review.record import (
    Answer,
    ApprovalGiven,
    AttemptEntry,
    BulletinEntry,
    Change,
    FieldReport,
    HelpRequest,
    PlaybookUsed,
    Recipient,
    Record,
    Role,
    Summary,
    Text,
    TimelineEntry,
    ToldOf,
)
from app.review.times import ms, ms_or_none, seconds

SOMEBODY = "someone at this number"


@dataclass(frozen=True)
class Read:
    """What was read of one incident. `entries` are the timeline's, as `incidents.timeline.read` gives them."""

    incident: RowMapping
    revision: Revision
    roles: Sequence[RowMapping]
    bulletins: Sequence[RowMapping]
    approvals: Sequence[RowMapping]
    messages: Sequence[RowMapping]
    recipients: Sequence[RowMapping]
    reports: Sequence[RowMapping]
    reactions: int
    requests: Sequence[RowMapping]
    entries: Sequence[Mapping[str, Any]]


def assemble(house: House, read: Read) -> Record:
    """The record as of the house's time."""
    incident = read.incident
    as_of = ms(house.clock.now())
    entries = tuple(_entry(entry) for entry in read.entries)
    recipients = [_recipient(entry) for entry in read.recipients]
    of_bulletin = {number: list(people) for number, people in groupby(recipients, lambda entry: entry.bulletin)}
    bulletins = tuple(_bulletins(house, read, of_bulletin))
    severities, statuses = _changes(incident, entries, "severity"), _changes(incident, entries, "status")
    sent = [
        figures.Sent(
            b.number,
            all_clear=b.stage == ALL_CLEAR and b.state == "sent",
            sent_at=b.sent_at,
            promised_at=promised(read.revision.playbook, b.facts),
        )
        for b in bulletins
        if b.sent_at is not None
    ]
    steps: dict[str, timedelta] = {
        severity: level.cadence / house.time_scale for severity, level in read.revision.playbook.severities.items()
    }
    stale, never = figures.holders(recipients)
    return Record(
        key=incident["key"],
        drill=incident["drill"],
        simulated=incident["simulated"],
        as_of=as_of,
        time_zone=str(house.zone),
        summary=_summary(read, severities, statuses, bulletins),
        bulletins=bulletins,
        cadence=figures.cadence(sent, steps=steps, severities=severities, statuses=statuses, as_of=as_of),
        never_reached=never,
        stale=stale,
        late_answers=tuple(figures.answers_of(e) for e in recipients if any(answer.late for answer in e.answers)),
        changed_answers=tuple(figures.answers_of(e) for e in recipients if figures.changed_answer(e)),
        field_reports=tuple(_report(entry) for entry in read.reports),
        reactions=read.reactions,
        help_requests=tuple(_requests(read.requests, entries)),
        timeline=entries,
        recipients=tuple(recipients),
    )


def _entry(entry: Mapping[str, Any]) -> TimelineEntry:
    data = dict(entry["data"])
    if isinstance(data.get("text"), str):
        data["text"] = reasons.masked(data["text"])
    return TimelineEntry(entry["seq"], ms(datetime.fromisoformat(entry["at"])), entry["actor"], entry["kind"], data)


def _changes(incident: RowMapping, entries: Sequence[TimelineEntry], what: str) -> tuple[Change, ...]:
    """How the severity or the status went, from the declaration on."""
    declared = next((entry for entry in entries if entry.kind == "declared"), None)
    first = "declared" if what == "status" else declared.data["severity"] if declared else incident["severity"]
    by = declared.actor if declared else incident["declared_by_name"]
    found = [Change(ms(incident["declared_at"]), None, first, by)]
    found += [
        Change(entry.at, entry.data["from"], entry.data["to"], entry.actor, entry.data.get("text"))
        for entry in entries
        if entry.kind == f"{what}_changed"
    ]
    return tuple(found)


def _summary(
    read: Read, severities: tuple[Change, ...], statuses: tuple[Change, ...], bulletins: Sequence[BulletinEntry]
) -> Summary:
    incident, revision = read.incident, read.revision
    declared, resolved = ms(incident["declared_at"]), ms_or_none(incident["resolved_at"])
    closed = ms_or_none(incident["closed_at"])
    taken = [b.reach.first_message.at for b in bulletins if b.reach and b.reach.first_message]
    all_clear = next((b.sent_at for b in bulletins if b.sent_at and b.stage == "resolved"), None)
    roles = [
        Role(r["role"], r["person_id"], r["name"], ms(r["assumed_at"]), ms_or_none(r["released_at"]))
        for r in read.roles
    ]  # fmt: skip
    return Summary(
        key=incident["key"],
        title=incident["title"],
        playbook=PlaybookUsed(revision.slug, revision.playbook.title, revision.revision, revision.sha256),
        severity=incident["severity"],
        severity_changes=severities,
        status=incident["status"],
        status_changes=statuses,
        facts=_ordered(incident["facts"], revision.playbook.facts),
        drill=incident["drill"],
        simulated=incident["simulated"],
        commanders=tuple(role for role in roles if role.role == "incident_commander"),
        roles=tuple(role for role in roles if role.role != "incident_commander"),
        declared_by=incident["declared_by_name"],
        declared_at=declared,
        resolved_at=resolved,
        closed_at=closed,
        seconds_to_first_message=seconds(declared, min(taken, default=None)),
        seconds_to_resolved=seconds(declared, resolved),
        seconds_to_closed=seconds(declared, closed),
        seconds_from_resolved_to_all_clear=seconds(resolved, all_clear),
    )


def _bulletins(house: House, read: Read, of_bulletin: Mapping[int, Sequence[Recipient]]) -> Iterator[BulletinEntry]:
    approvals: defaultdict[int, list[ApprovalGiven]] = defaultdict(list)
    for entry in read.approvals:
        approvals[entry["bulletin_id"]].append(ApprovalGiven(entry["name"], entry["role"], ms(entry["at"])))
    texts: defaultdict[int, list[Text]] = defaultdict(list)
    for entry in read.messages:
        texts[entry["bulletin_id"]].append(_text(house, entry, drill=read.incident["drill"]))
    declared_at = ms(read.incident["declared_at"])
    for entry in read.bulletins:
        people = of_bulletin.get(entry["number"], ())
        sent_at = ms_or_none(entry["sent_at"])
        departments = figures.by_department(people)
        yield BulletinEntry(
            number=entry["number"],
            state=entry["state"],
            stage=entry["stage"],
            asks=entry["asks"],
            severity=entry["severity"],
            facts=_ordered(entry["facts"], read.revision.playbook.facts),
            audiences=tuple(entry["audiences"]),
            drafted_by=entry["drafted_by_name"],
            drafted_at=ms(entry["created_at"]),
            approvals=tuple(approvals[entry["id"]]),
            approved_at=ms_or_none(entry["approved_at"]),
            warnings=tuple(f"{p['where']}: {p['message']}" for p in entry["problems"] if p["level"] == "warning"),
            warnings_accepted=entry["warnings_accepted"],
            sent_by=entry["sent_by_name"],
            sent_at=sent_at,
            cancelled_at=ms_or_none(entry["cancelled_at"]),
            recipients=len(people),
            texts=tuple(texts[entry["id"]]),
            reach=figures.reach(people, declared_at=declared_at, sent_at=sent_at) if sent_at else None,
            reach_by_department={
                name: figures.reach(members, declared_at=declared_at, sent_at=sent_at)
                for name, members in departments.items()
                if sent_at
            },
            unreachable=figures.unreachable(people),
            uncertain=tuple(figures.person_of(person) for person in people if person.status == "uncertain"),
            fallback=figures.fallback(people) if sent_at else None,
            escalations=figures.escalations(people) if sent_at else None,
        )


def _ordered(facts: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The facts in the playbook's order; a document in the database keeps none."""
    return {name: facts[name] for name in names if name in facts} | dict(facts)


def _text(house: House, entry: RowMapping, *, drill: bool) -> Text:
    """The message as it left, each person's own code and link as `[code]` and `[link]`."""
    body, subject, channel = entry["text"], entry["subject"], entry["channel"]
    link = f"{house.base_url}/a/{render.SAMPLE_TOKEN}"
    # A code that the text itself does not hold, so that only the code is replaced.
    code = next(sample for number in range(1000) if (sample := f"Z{number:03d}") not in body and sample not in link)
    shown = code if entry["asks"] else None
    if channel == "sms":
        said = render.sms(body=body, link=link, code=shown, drill=drill)
    elif channel == "email":
        mail = render.email(subject=subject or "", body=body, link=link, code=shown, drill=drill)
        subject, said = mail.subject, mail.text
    else:
        said = render.voice(body=body, drill=drill)
    said = said.replace(link, "[link]").replace(code, "[code]")
    return Text(entry["audience"], channel, entry["language"], subject, said, entry["people"])


def _recipient(entry: RowMapping) -> Recipient:
    sent_at = ms(entry["sent_at"])
    attempts = [
        {**attempt, "reason": reasons.provider_words(attempt["reason"], attempt["address"])}
        for attempt in entry["attempts"]
    ]
    shown = tuple(_attempt(attempt) for attempt in attempts)
    proof = min((found for attempt in shown if (found := _proof(attempt))), default=None)
    answers = tuple(_answer(answer) for answer in entry["answers"])
    first = answers[0].at if answers else None
    return Recipient(
        bulletin=entry["bulletin"],
        person_id=entry["person_id"],
        name=entry["name"],
        department=entry["department"],
        site=entry["site"],
        audience=entry["audience"],
        status=entry["status"],
        reason=reasons.why(entry["status"], dict(entry), attempts),
        failure=reasons.failure(entry["status"], dict(entry), attempts),
        first_channel=shown[0].channel if shown else None,
        attempts=shown,
        delivered_at=proof[0] if proof else None,
        delivered_channel=proof[1] if proof else None,
        delivered_proof=proof[2] if proof else None,
        response=entry["response"],
        via=entry["responded_via"],
        answered_at=ms_or_none(entry["responded_at"]),
        acknowledged_at=_stands_at_ok(answers),
        first_answered_at=first,
        seconds_to_answer=seconds(sent_at, first),
        answers=answers,
        told=tuple(_told(told, first) for told in entry["told"]),
    )


def _told(entry: Mapping[str, Any], answered: datetime | None) -> ToldOf:
    left = ms(datetime.fromisoformat(entry["left_at"])) if entry["left_at"] else None
    outcome = "told" if left else "waits"
    if entry["failed"] or (left and answered and answered <= left):
        outcome = "not_told"
    return ToldOf(entry["tell"], entry["person_id"], entry["name"], ms(datetime.fromisoformat(entry["at"])), outcome)


def _attempt(entry: Mapping[str, Any]) -> AttemptEntry:
    return AttemptEntry(
        channel=entry["channel"],
        state=entry["state"],
        error_code=entry["error_code"],
        reason=entry["reason"],
        provider_message_id=entry["provider_message_id"],
        handed_over_at=ms_or_none(entry["handed_over_at"]),
        accepted_at=ms_or_none(entry["accepted_at"]),
        delivered_at=ms_or_none(entry["delivered_at"]),
    )


def _proof(attempt: AttemptEntry) -> tuple[datetime, str, str] | None:
    """(when, channel, proof) that this attempt got there, as far as anybody can tell."""
    if State(attempt.state) not in WITH_PROVIDER:
        return None
    if attempt.delivered_at is not None:
        return attempt.delivered_at, attempt.channel, "receipt"
    return (attempt.accepted_at, attempt.channel, "accepted") if attempt.accepted_at is not None else None


def _answer(entry: Mapping[str, Any]) -> Answer:
    return Answer(
        response=entry["response"],
        via=entry["via"],
        at=ms(datetime.fromisoformat(entry["at"])),
        recorded_at=ms(datetime.fromisoformat(entry["recorded_at"])),
        recorded_by=entry["recorded_by"],
        note=reasons.masked(entry["note"]) if entry["note"] else None,
        late=entry["late"],
    )


def _stands_at_ok(answers: Sequence[Answer]) -> datetime | None:
    """Since when the person stands at OK; an OK that is said again does not count anew."""
    since = None
    for answer in answers:
        if answer.response != "ok":
            since = None
        elif since is None:
            since = answer.at
    return since


def _report(entry: RowMapping) -> FieldReport:
    known = entry["person_id"] is not None
    media = read_media(entry["media"])
    return FieldReport(
        id=entry["id"],
        at=ms(entry["at"]),
        via=entry["via"],
        text=reasons.masked(entry["text"]),
        media=media,
        media_in_words=counted(media),
        maybe_help=entry["maybe_help"],
        maybe_stop=entry["maybe_stop"],
        help_request=entry["help_request_id"],
        cleared_at=ms_or_none(entry["cleared_at"]),
        cleared_by=entry["cleared_by"],
        person_id=entry["person_id"],
        name=entry["name"] if known else SOMEBODY,
        department=entry["department"],
        site=entry["site"],
        number=mask(entry["number"]) if entry["number"] and not known else None,
    )


def _requests(rows: Sequence[RowMapping], entries: Sequence[TimelineEntry]) -> Iterator[HelpRequest]:
    first_taken: dict[int, datetime] = {}
    for entry in entries:
        if entry.kind == "help_taken":
            first_taken.setdefault(entry.data["help_request"], entry.at)
    for row in rows:
        opened, closed = ms(row["opened_at"]), ms_or_none(row["closed_at"])
        # A request may change hands; how long it waited ends with the first.
        taken = first_taken.get(row["id"], ms_or_none(row["taken_at"]))
        withdrawn = closed is not None and row["closed_by"] is None
        state = "withdrawn" if withdrawn else "closed" if closed else "taken" if taken else "open"
        yield HelpRequest(
            id=row["id"],
            state=state,
            person_id=row["person_id"],
            name=row["name"],
            department=row["department"],
            site=row["site"],
            bulletin=row["bulletin"],
            opened_at=opened,
            taken_by=row["taken_by"],
            taken_at=taken,
            seconds_to_taken=seconds(opened, taken),
            closed_by=row["closed_by"],
            closed_at=closed,
            seconds_to_closed=seconds(opened, closed),
            outcome=reasons.masked(row["outcome"]) if row["outcome"] else None,
        )
