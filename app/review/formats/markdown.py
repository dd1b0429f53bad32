"""The record as a document for the review meeting: headings, short tables, times in the company's zone. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from app.review import times
from app.review.markup import escape, quote, table
from app.review.record import (
    BulletinEntry,
    Change,
    Escalations,
    FieldReport,
    Moment,
    Person,
    PersonAnswers,
    Reach,
    Record,
    Role,
    TimelineEntry,
)
from app.review.wording import (
    CHANNEL_WORDS,
    NEWS_WORDS,
    RESPONSE_WORDS,
    STATUS_WORDS,
    VIA_WORDS,
    counted,
    people,
    sentence,
    words,
)

NAME = "md"
MEDIA_TYPE = "text/markdown; charset=utf-8"

NOT_REACHED = "not reached"
NOT_YET = "not yet"

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
"""A fact that is a time, as bulletins keep it."""


def render(record: Record) -> bytes:
    return ("\n".join(_Document(record).lines()).rstrip() + "\n").encode()


class _Document:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.zone = ZoneInfo(record.time_zone)
        self.sent = [bulletin for bulletin in record.bulletins if bulletin.sent_at is not None]

    def lines(self) -> list[str]:
        parts = (
            self.head, self.summary, self.reached, self.without, self.on_time, self.people_asking, self.front_line,
            self.said, self.answers, self.timeline,
        )  # fmt: skip
        end = ["DRILL. This was an exercise."] if self.record.drill else []
        return [line for part in parts for line in part()] + end

    def at(self, moment: datetime | None) -> str | None:
        return times.readable(moment, self.zone) if moment is not None else None

    def head(self) -> list[str]:
        record = self.record
        lines = ["DRILL. This was an exercise.", ""] if record.drill else []
        lines += [f"# Review of {escape(record.key)}: {escape(record.summary.title)}", ""]
        if record.simulated:
            lines += ["Simulated: the messages went to a pretend carrier. Nobody was really told.", ""]
        return [*lines, f"As of {self.at(record.as_of)}. Times are in the zone {escape(record.time_zone)}.", ""]

    def summary(self) -> list[str]:
        summary = self.record.summary
        book = summary.playbook
        rows = [
            ("Playbook", f"{book.title} ({book.slug}, revision {book.revision})"),
            ("Severity", summary.severity),
            ("Status", summary.status),
            *((words(role.role).capitalize(), self.held(role)) for role in (*summary.commanders, *summary.roles)),
            ("Declared", f"{self.at(summary.declared_at)} by {summary.declared_by}"),
            ("First message", _after(summary.seconds_to_first_message, " after declaring")),
            ("Resolved", self.ended(summary.resolved_at, summary.seconds_to_resolved)),
            ("From resolved to the all-clear", _to_all_clear(summary.seconds_from_resolved_to_all_clear)),
            ("Closed", self.ended(summary.closed_at, summary.seconds_to_closed)),
            *((f"Fact: {words(name)}", self.fact(value)) for name, value in summary.facts.items()),
        ]
        return [
            "## Summary", "", *self.outcome(), *table(("What", "Value"), rows),
            "### Severity", "", *self.changes(summary.severity_changes),
            "### Status", "", *self.changes(summary.status_changes),
        ]  # fmt: skip

    def outcome(self) -> list[str]:
        """What answers the question: who was told, and who answered?"""
        if not self.sent:
            return ["No bulletin was sent.", ""]
        told = {entry.person_id for entry in self.record.recipients}
        answered = {entry.person_id for entry in self.record.recipients if entry.answers}
        never = sum(len(group.people) for group in self.record.never_reached)
        lines = [
            f"{counted(len(self.sent), 'bulletin', 'bulletins')} for {people(len(told))} in all: {len(answered):,} "
            f"answered at least once, {never:,} could not be reached by any.", "",
        ]  # fmt: skip
        for bulletin in self.sent:
            counts = bulletin.reach.counts if bulletin.reach else {}
            said = ", ".join(
                f"{name} {counts[status]:,}" for status, name in _heads(bulletin).items() if counts[status]
            )
            lines.append(f"- Bulletin {bulletin.number} ({bulletin.stage}), {people(bulletin.recipients)}: {said}.")
        return [*lines, ""]

    def fact(self, value: object) -> str:
        if isinstance(value, (list, tuple)):
            return ", ".join(str(part) for part in value)
        if isinstance(value, str) and _TIME.fullmatch(value):
            return times.readable(datetime.fromisoformat(value), self.zone)
        return "" if value is None else str(value)

    def held(self, role: Role) -> str:
        name = f"{role.name} ({role.person_id})" if role.person_id else role.name
        until = f" until {self.at(role.released_at)}" if role.released_at else ""
        return f"{name}, from {self.at(role.assumed_at)}{until}"

    def ended(self, moment: datetime | None, seconds: float | None) -> str:
        return f"{self.at(moment)}, {_after(seconds)} after declaring" if moment else NOT_YET

    def changes(self, changes: Iterable[Change]) -> list[str]:
        rows = [(self.at(c.at), c.before, c.after, c.by, c.reason) for c in changes]
        return table(("When", "From", "To", "By", "Why"), rows)

    def reached(self) -> list[str]:
        lines = ["## Who was reached, and how fast", ""]
        for bulletin in self.sent:
            lines += [f"### Bulletin {bulletin.number}: {bulletin.stage}", "", *self.one_reach(bulletin)]
        return lines if self.sent else [*lines, "No bulletin was sent.", ""]

    def one_reach(self, bulletin: BulletinEntry) -> list[str]:
        reach, fallback, escalations = bulletin.reach, bulletin.fallback, bulletin.escalations
        assert reach is not None
        assert fallback is not None
        assert escalations is not None
        groups = {"Everybody": reach, **bulletin.reach_by_department}
        heads = _heads(bulletin)
        vias = ", ".join(f"{VIA_WORDS[via]} {number:,}" for via, number in reach.answered_via.items() if number)
        moved = ", ".join(
            f"{CHANNEL_WORDS.get(channel, channel)} {number:,}, of which {fallback.handed_over[channel]:,} handed over"
            for channel, number in fallback.by_channel.items()
        )
        return [
            f"Sent {self.at(bulletin.sent_at)} by {escape(bulletin.sent_by)} to {people(reach.total)}.", "",
            *table(
                ("Department", "People", *heads.values()),
                [(name, r.total, *(r.counts[status] for status in heads)) for name, r in groups.items()],
            ),
            f"Delivered to {reach.delivered:,} of {reach.total:,}: {reach.delivered_by_receipt:,} by the handset's "
            f"receipt, {reach.delivered_by_acceptance:,} where the provider accepted it and reports nothing more.", "",
            _answered(bulletin, reach, vias), "",
            f"Moved on to another channel: {people(fallback.people)}{f' ({moved})' if moved else ''}.", "",
            *((_escalated(escalations), "") if bulletin.asks else ()),
            *self.moments(reach, asks=bulletin.asks),
            "After sending, by department:", "",
            *table(
                ("Department", "First message", "50 % delivered", "90 % delivered", "100 % delivered",
                 *(("50 % acknowledged", "90 % acknowledged", "Median to answer") if bulletin.asks else ())),
                [(name, *_speeds(r, asks=bulletin.asks)) for name, r in groups.items()],
            ),
            *self.unreachable(bulletin, reach),
            *self.uncertain(bulletin),
        ]  # fmt: skip

    def unreachable(self, bulletin: BulletinEntry, reach: Reach) -> list[str]:
        found = [(group.reason, person) for group in bulletin.unreachable for person in group.people]
        lines = [f"#### Could not be reached: {len(found):,} of {reach.total:,}", "", *_people_table(found)]
        since = len(found) - reach.counts["unreachable"]
        if since > 0:
            verb = "counts" if since == 1 else "count"
            lines += [f"{since:,} of them {verb} as stopped, because the bulletin was replaced or cancelled since.", ""]
        return lines

    def uncertain(self, bulletin: BulletinEntry) -> list[str]:
        if not bulletin.uncertain:
            return []
        found = [("the provider's answer was lost", person) for person in bulletin.uncertain]
        return ["#### Not known whether they got it", "", *_people_table(found)]

    def moments(self, reach: Reach, *, asks: bool) -> list[str]:
        points: list[tuple[str, Moment | None]] = [("First message", reach.first_message)]
        shares = {"delivered": reach.to_delivered}
        if asks:
            shares |= {"acknowledged": reach.to_acknowledged, "answered": reach.to_answered}
        for what, found in shares.items():
            points += [(f"{percent} % {what}", moment) for percent, moment in found.items()]
        rows: list[tuple[str | None, ...]] = []
        for point, moment in points:
            if moment is None:
                rows.append((point, NOT_REACHED, None, None))
                continue
            after = (times.span(moment.seconds_after_declared), times.span(moment.seconds_after_sent))
            rows.append((point, self.at(moment.at), *after))
        return table(("Everybody", "When", "After declaring", "After sending"), rows)

    def without(self) -> list[str]:
        never = [(group.reason, person) for group in self.record.never_reached for person in group.people]
        stale = self.record.stale
        return [
            "## Without the latest bulletin", "",
            f"Reached by no bulletin: {people(len(never))}.", "", *_people_table(never),
            f"Holding an older bulletin than the latest: {people(len(stale))}.", "",
            *(table(
                ("Person", "Id", "Department", "Site", "Holds", "Latest", "Why"),
                [(s.name, s.person_id, s.department, s.site, s.holds, s.latest, s.why) for s in stale],
            ) if stale else []),
        ]  # fmt: skip

    def on_time(self) -> list[str]:
        cadence = self.record.cadence
        lines = ["## Bulletins on time", "", f"On time: {cadence.on_time}. Late: {cadence.late}.", ""]
        rows = [
            (due.number, self.at(due.due_at) or "no due time", self.at(due.sent_at), _lateness(due.seconds_late))
            for due in cadence.bulletins
        ]
        lines += table(("Bulletin", "Due", "Sent", "Difference"), rows) if rows else []
        if cadence.next_due_at:
            passed = ", which has passed" if cadence.next_overdue else ""
            lines += [f"The next one was due {self.at(cadence.next_due_at)}{passed}.", ""]
        return lines

    def people_asking(self) -> list[str]:
        found = self.record.help_requests
        rows = [
            (h.id, h.name, h.department, h.site, self.at(h.opened_at), h.taken_by, _after(h.seconds_to_taken),
             words(h.state), _after(h.seconds_to_closed), h.outcome)
            for h in found
        ]  # fmt: skip
        heads = (
            "No.", "Person", "Department", "Site", "Opened", "Taken by", "After", "State", "Closed after", "Outcome",
        )  # fmt: skip
        lines = table(heads, rows) if rows else ["Nobody asked for help.", ""]
        return [f"## Help requests: {len(found):,}", "", *lines]

    def front_line(self) -> list[str]:
        found = self.record.field_reports
        lines = [f"## Field reports: {len(found):,}", ""]
        if many := self.record.reactions:
            lines += [
                f"{counted(many, 'reaction', 'reactions')} (such as a thumbs up), neither answers nor reports.",
                "",
            ]
        for report in found:
            where = ", ".join(part for part in (report.department, report.site, report.number) if part)
            who = f"{report.name} ({where})" if where else report.name
            may = self.may_mean(report)
            lines += [f"No. {report.id}, {self.at(report.at)}, {escape(who)}, {VIA_WORDS[report.via]}{may}:", ""]
            lines += [*quote(report.text), ""] if report.text else []
            lines += [f"With it: {report.media_in_words}.", ""] if report.media else []
        return lines if found else [*lines, "None came in.", ""]

    def may_mean(self, report: FieldReport) -> str:
        """What it could mean, and what became of that."""
        said = ", may want no more texts" if report.maybe_stop else ""
        if report.help_request:
            return f"{said}, became help request {report.help_request}"
        if report.maybe_help and report.cleared_at:
            if report.cleared_by is None:
                return f"{said}, cleared up by a later answer ({self.at(report.cleared_at)})"
            return f"{said}, not a call for help ({escape(report.cleared_by)}, {self.at(report.cleared_at)})"
        return f"{said}, may need help" if report.maybe_help else said

    def said(self) -> list[str]:
        lines = ["## What was said", ""]
        for bulletin in self.record.bulletins:
            head = f"### Bulletin {bulletin.number}: {bulletin.stage}, {bulletin.state}"
            lines += [head, "", *self.one_said(bulletin)]
        return lines if self.record.bulletins else [*lines, "No bulletin was written.", ""]

    def one_said(self, bulletin: BulletinEntry) -> list[str]:
        steps = [("Drafted", self.at(bulletin.drafted_at), bulletin.drafted_by)]
        steps += [(f"Approved as {words(a.role)}", self.at(a.at), a.name) for a in bulletin.approvals]
        if bulletin.sent_at:
            steps.append(("Sent", self.at(bulletin.sent_at), bulletin.sent_by or ""))
        if bulletin.cancelled_at:
            steps.append(("Cancelled", self.at(bulletin.cancelled_at), ""))
        lines = table(("Step", "When", "By"), steps)
        if bulletin.warnings:
            accepted = "accepted" if bulletin.warnings_accepted else "not accepted"
            lines += [f"Warnings, {accepted}:", "", *(f"- {escape(warning)}" for warning in bulletin.warnings), ""]
        for text in bulletin.texts:
            if text.people:
                language = f" ({text.language})" if text.language else ""
                to = f"{text.audience}{language} by {CHANNEL_WORDS.get(text.channel, text.channel)}"
                lines += [f"To {escape(to)}, {people(text.people)}:", ""]
                lines += [*quote(f"{text.subject}\n\n{text.text}" if text.subject else text.text), ""]
        unused = sum(not text.people for text in bulletin.texts)
        return [*lines, f"Prepared and not used: {counted(unused, 'text', 'texts')}.", ""] if unused else lines

    def answers(self) -> list[str]:
        late, changed = self.record.late_answers, self.record.changed_answers
        return [
            "## Late and changed answers", "",
            f"Late (after the end, or after the bulletin was replaced): {people(len(late))}.", "", *self.given(late),
            f"Changed: {people(len(changed))}.", "", *self.given(changed),
        ]  # fmt: skip

    def given(self, found: Sequence[PersonAnswers]) -> list[str]:
        rows = [
            (entry.name, entry.person_id, entry.department, entry.bulletin, self.at(answer.at),
             RESPONSE_WORDS[answer.response], VIA_WORDS[answer.via], "late" if answer.late else None,
             answer.recorded_by, answer.note)
            for entry in found
            for answer in entry.answers
        ]  # fmt: skip
        heads = ("Person", "Id", "Department", "Bulletin", "When", "Answer", "How", "Late", "Recorded by", "Note")
        return table(heads, rows) if rows else []

    def timeline(self) -> list[str]:
        """Every entry once: the many first answers in a list of their own, so that the steps can be read."""
        first = [entry for entry in self.record.timeline if entry.kind == "acknowledged"]
        others = [entry for entry in self.record.timeline if entry.kind != "acknowledged"]
        lines = ["## Timeline", ""]
        if first:
            many = counted(len(first), "first answer stands", "first answers stand")
            lines += [f"{many} in a list of their own, below.", ""]
        lines += self.entries(others)
        return [*lines, f"## First answers: {len(first):,}", "", *self.entries(first)] if first else lines

    def entries(self, entries: Iterable[TimelineEntry]) -> list[str]:
        rows = [(e.seq, self.at(e.at), e.actor, sentence(e.kind, e.data)) for e in entries]
        return table(("No.", "When", "Who", "What"), rows)


def _heads(bulletin: BulletinEntry) -> Mapping[str, str]:
    """The counts that mean something for this bulletin, in words."""
    return STATUS_WORDS if bulletin.asks else NEWS_WORDS


def _answered(bulletin: BulletinEntry, reach: Reach, vias: str) -> str:
    """What came back."""
    if not bulletin.asks:
        return f"It asked for no answer. Asked for help all the same: {people(reach.counts['need_help'])}."
    return (
        f"Answered: {reach.answered:,} of {reach.total:,}{f' ({vias})' if vias else ''}. Median time to answer: "
        f"{_after(reach.median_seconds_to_answer, none='nobody answered')}."
    )


def _escalated(found: Escalations) -> str:
    """Whether others were told who had not answered, and what came of it."""
    if found.people:
        steps = ", ".join(f"{words(step)} {number:,}" for step, number in found.by_step.items() if number)
        said = (
            f"Told that {people(found.people)} had not answered ({steps}): {people(found.told)}. "
            f"Of those, {found.answered:,} answered after all."
        )
    else:
        said = "Nobody was told that someone had not answered."
    if found.waiting:
        said += f" Notices not sent yet: {people(found.waiting)}."
    if found.not_told:
        said += f" Not told after all: {people(found.not_told)}."
    return said


def _after(seconds: float | None, what: str = "", *, none: str = NOT_YET) -> str:
    return f"{times.span(seconds)}{what}" if seconds is not None else none


def _to_all_clear(seconds: float | None) -> str:
    """The status may follow the all-clear, as on the page that leads from the one to the other."""
    if seconds is None or seconds >= 0:
        return _after(seconds)
    return f"the all-clear went out {times.span(-seconds)} before"


def _lateness(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    if seconds == 0:
        return "on the dot"
    return f"{times.span(seconds)} late" if seconds > 0 else f"{times.span(-seconds)} early"


def _speeds(reach: Reach, *, asks: bool) -> list[str]:
    points = [reach.first_message, *reach.to_delivered.values(), *(reach.to_acknowledged.values() if asks else ())]
    shown = [times.span(moment.seconds_after_sent) if moment else NOT_REACHED for moment in points]
    return [*shown, _after(reach.median_seconds_to_answer, none="nobody answered")] if asks else shown


def _people_table(found: Sequence[tuple[str, Person]]) -> list[str]:
    rows = [(reason, person.name, person.person_id, person.department, person.site) for reason, person in found]
    return table(("Reason", "Person", "Id", "Department", "Site"), rows) if rows else []
