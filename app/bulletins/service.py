"""The unified message: drafted from the playbook's scripts, approved, and shown as it will be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.matrix import Actor
from app.bulletins import checks, figures, render, repository, whom
from app.channels import sms_text
from app.channels.port import HEALTH_SECONDS
from app.directory import service as directory
from app.directory.time_zones import zone_name
from app.incidents import service as incidents
from app.incidents import timeline, versions
from app.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from app.kernel.house import House
from app.playbooks import facts as fact_rules
from app.playbooks import rules, stages
from app.playbooks import service as playbooks
from app.playbooks.schema import STAGES, Playbook, QuietHours, Script, Severity, Stage
from app.playbooks.template import render as substitute
from app.web.etags import Seen
from app.web.inputs import iso


class OwnBulletin(Conflict):
    """The author may not approve it."""


USUAL_APPROVERS = frozenset({"admin", "commander", "communications_lead"})


async def draft(
    session: AsyncSession,
    house: House,
    actor: Actor,
    key: str,
    *,
    stage: str,
    facts: Mapping[str, Any],
    audiences: Sequence[str] | None,
    corrects: int | None = None,
    seen: Seen | None = None,
) -> dict[str, Any]:
    """Writes the next bulletin from the incident's pinned playbook. Raises Invalid naming everything that is wrong.

    `corrects`: the number of a sent bulletin of this incident that was wrong. `seen`: the state that it was written
    from; Changed when that is not the present one any more.
    """
    incident = await incidents.get(session, key, lock=True)
    await versions.hold(session, key, seen, versions.INCIDENT, actor=actor, doing=(), done=False)
    if incident["closed_at"] is not None:
        raise Conflict(f"{key} is closed; nothing more can be sent under it.")
    playbook = (await playbooks.revision(session, incident["revision_id"])).playbook
    now = house.clock.now()
    errors: list[FieldError] = []
    if stage not in STAGES:
        errors.append(FieldError("stage", f"{stage!r} is no stage; use one of {', '.join(STAGES)}"))
    chosen = _audiences(playbook, audiences, errors)
    merged, problems = fact_rules.validate_facts(
        playbook, facts, previous=incident["facts"], sites=list(await directory.sites(session)), now=now
    )
    errors += [FieldError(f"facts.{problem.name}", problem.what) for problem in problems]
    sent = [entry for entry in await repository.of_incident(session, incident["id"]) if entry["sent_at"]]
    numbers = [entry["number"] for entry in sent]
    if corrects is not None and corrects not in numbers:
        known = f"use one of {', '.join(map(str, numbers))}" if numbers else "none was sent yet"
        errors.append(FieldError("corrects", f"bulletin {corrects} was not sent in this incident; {known}"))
    if errors:
        raise Invalid("The bulletin cannot be written.", errors)
    if sent and whom.for_those_told({"stage": stage, "corrects": corrects}):
        # It goes to whoever was told before, in the words of the audience in which they were told.
        told = {name for entry in sent for name in entry["audiences"]}
        chosen = [name for name in playbook.audiences if name in told]
    texts = fact_rules.fact_texts(
        playbook, merged, zone=house.zone, now=now, severity=incident["severity"], incident=key
    )
    messages = _render(playbook, stage, chosen, texts)  # type: ignore[arg-type]  # checked against STAGES above
    findings = checks.stale_findings(
        [(p.name, p.what) for p in fact_rules.latest_passed(playbook, merged, zone=house.zone, now=now)]
    )
    findings += checks.interval_findings(
        last_sent=sent[-1]["sent_at"] if sent else None, now=now, least=playbook.min_interval
    )
    for message in messages:
        if message["channel"] == "sms":
            sample = _sample(house, message, drill=incident["drill"], asking=stages.asks(stage))
            message["segments"] = sms_text.segments(sample.text)
            findings += checks.sms_findings(sample)
    bulletin = await repository.insert(
        session,
        incident_id=incident["id"],
        stage=stage,
        severity=incident["severity"],
        facts=merged,
        audiences=chosen,
        problems=[finding.as_dict() for finding in findings],
        created_by=actor.account_id,
        corrects=corrects,
        now=now,
    )
    await repository.add_messages(session, bulletin["id"], messages)
    await timeline.note(
        session, key=key, at=now, actor=actor.label, kind="bulletin_drafted",
        data={"bulletin": bulletin["number"], "stage": stage}
        | ({"corrects": corrects} if corrects is not None else {}),
    )  # fmt: skip
    return await show(session, house, incident, await get(session, incident["id"], bulletin["number"]))


def _audiences(playbook: Playbook, wanted: Sequence[str] | None, errors: list[FieldError]) -> list[str]:
    if wanted is None:
        return list(playbook.audiences)
    if not wanted:
        errors.append(FieldError("audiences", "is empty; name at least one, or leave it out for all"))
    for name in wanted:
        if name not in playbook.audiences:
            known = ", ".join(playbook.audiences)
            errors.append(FieldError("audiences", f"{name[:60]!r} is not an audience; use some of {known}"))
    return [name for name in playbook.audiences if name in wanted]


def _render(
    playbook: Playbook, stage: Stage, audiences: Sequence[str], texts: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Every message of the bulletin, facts substituted once, for each audience, channel and language.

    News calls nobody, so it has no script for a call.
    """
    found: list[dict[str, Any]] = []
    for audience in audiences:
        script = playbook.stages[stage][audience]
        for language in ("", *script.languages):
            spoken = script.in_language(language) if language else script
            found += _messages(audience, language, spoken, texts)
    return [message for message in found if stages.asks(stage) or message["channel"] != stages.CALLS]


def _messages(audience: str, language: str, script: Script, texts: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "audience": audience,
            "channel": channel,
            "language": language,
            "subject": substitute(subject, texts) if subject else None,
            "text": substitute(text, texts),
        }
        for channel, subject, text in (
            ("sms", None, script.sms),
            ("email", script.email.subject, script.email.body),
            ("voice", None, script.voice),
        )
    ]


def _sample(house: House, message: Mapping[str, Any], *, drill: bool, asking: bool) -> checks.Text:
    return checks.sample(
        audience=message["audience"],
        channel=message["channel"],
        language=message["language"],
        subject=message["subject"],
        body=message["text"],
        link=f"{house.base_url}/a/{render.SAMPLE_TOKEN}",
        drill=drill,
        asking=asking,
    )


NOTHING_CAME = repository.NOTHING_CAME

SAME_WORDS = timedelta(minutes=10)
"""Whoever got these words so lately gets them again only when that is said explicitly. Never scaled."""

NOBODY_FOR_HELP = (
    "If someone asks for help, no one will get a text or email about it: no commander or department lead is linked to "
    "a person here with a mobile number or an email address. Watch the board, or have an administrator link one"
)
NO_COMMANDER_HERE = (
    "If people don't answer, the commander won't get a text about them: this incident's commander is not linked to a "
    "person here. Watch the board, or hand the command to someone who is"
)

ZONELESS = "{people:,} have no time zone in the directory, so their quiet hours go by {zone}"

NOBODY_TOLD = "nobody was told anything in this incident yet; sent before anything else, it goes to nobody"


async def repeats(
    session: AsyncSession, house: House, playbook: Playbook, bulletin: RowMapping
) -> repository.Repeat | None:
    """The bulletin that told people of this one the same words in the last minutes."""
    members = whom.members(playbook, bulletin, told=True)
    return await repository.repeats(session, bulletin["id"], members=members, since=house.clock.now() - SAME_WORDS)


async def get(session: AsyncSession, incident_id: int, number: int, *, lock: bool = False) -> RowMapping:
    found = await repository.by_number(session, incident_id, number, lock=lock)
    if found is None:
        raise NotFound(f"This incident has no bulletin {number}.")
    return found


async def show(session: AsyncSession, house: House, incident: RowMapping, bulletin: RowMapping) -> dict[str, Any]:
    """The bulletin as the API shows it: what will be seen, by whom, and what speaks against it."""
    playbook = (await playbooks.revision(session, incident["revision_id"])).playbook
    problems = list(bulletin["problems"])
    notes: list[checks.Finding] = []
    waiting: list[tuple[datetime, int]] = []  # once it is sent, the board says what waits
    if bulletin["sent_at"] is None:
        told = await repository.anybody_told(session, bulletin["incident_id"])
        meant = whom.members(playbook, bulletin, told=told)
        if whom.for_those_told(bulletin) and not told:
            notes.append(checks.Finding("note", "audiences", NOBODY_TOLD))
        steps = stages.steps(playbook, incident["severity"], asking=bulletin["asks"])
        tried = [step.send for step in steps if step.send is not None]
        counts, unreachable = await repository.expected_recipients(
            session,
            members=meant,
            ladder=tried,
            channels=[name for name in house.channels if name in tried],
            countries=house.countries,
        )
        waiting, zoneless = await _waiting(session, house, playbook.quiet_for(incident["severity"]), meant, tried)
        if zoneless:
            notes.append(checks.Finding("note", "audiences", ZONELESS.format(people=zoneless, zone=house.zone)))
        trouble = await repository.channels_in_trouble(
            session, [name for name in tried if name in house.channels], fresh=HEALTH_SECONDS
        )
        who = await directory.responsible(session)
        if who.nobody_for_help:
            notes.append(checks.Finding("note", "help", NOBODY_FOR_HELP))
        if any(step.tell == "commander" for step in steps) and not (
            await repository.commander_is_here(session, bulletin["incident_id"])
        ):
            notes.append(checks.Finding("note", "commander", NO_COMMANDER_HERE))
        ladder = checks.ladder_findings(tried, house.channels, asking=bulletin["asks"])
        for finding in (*ladder, *checks.channel_findings(trouble)):
            if finding.level == "note":
                notes.append(finding)
            else:
                problems.append(finding.as_dict())
    else:
        counts, unreachable = await repository.told_recipients(session, bulletin["id"])
    recipients = figures.recipients(counts, unreachable) | {
        "quiet": [{"until": iso(until), "people": people} for until, people in waiting]
    }
    if (
        bulletin["sent_at"] is None
        and not recipients["total"]
        and not whom.for_those_told(bulletin)
        and await repository.people_counted(session)
    ):
        problems.append(
            checks.Finding("error", "audiences", "nobody in the directory belongs to them; choose others").as_dict()
        )
    approvals = await repository.approvals(session, bulletin["id"])
    needed, given = approval_count(playbook, incident["severity"], [entry["role"] for entry in approvals])
    shown = []
    for message in await repository.messages(session, bulletin["id"]):
        sample = _sample(house, dict(message), drill=incident["drill"], asking=bulletin["asks"])
        entry: dict[str, Any] = {"audience": sample.audience, "channel": sample.channel, "text": sample.text}
        if sample.language:
            entry["language"] = sample.language
        if sample.subject is not None:
            entry["subject"] = sample.subject
        if sample.channel == "sms":
            entry["segments"] = sms_text.segments(sample.text)
            entry["encoding"] = sms_text.encoding(sample.text)
        shown.append(entry)
    again = await repeats(session, house, playbook, bulletin) if bulletin["state"] in ("draft", "approved") else None
    left = None
    if house.sms_a_day is not None and bulletin["sent_at"] is None:
        left = figures.left_for_everybody(house.sms_a_day, await parts_today(session, now=house.clock.now()))
    estimate = figures.estimate(counts, shown, rate=house.sms_a_second or house.sms_guess, left=left)
    problems += [finding.as_dict() for finding in figures.over_the_cap(estimate)]
    return {
        "incident": incident["key"],
        "number": bulletin["number"],
        "state": bulletin["state"],
        "stage": bulletin["stage"],
        "asks": bulletin["asks"],
        "severity": bulletin["severity"],
        "facts": bulletin["facts"],
        "audiences": bulletin["audiences"],
        "corrects": bulletin["corrects"],
        "drill": incident["drill"],
        "simulated": incident["simulated"],
        "approvals": {
            "needed": needed,
            "given": given,
            "roles": list(playbook.approval(incident["severity"]).roles) or sorted(USUAL_APPROVERS),
            "by": [{"name": a["name"], "role": a["role"], "at": iso(a["at"])} for a in approvals],
        },
        "errors": [{"where": p["where"], "message": p["message"]} for p in problems if p["level"] == "error"],
        "warnings": [{"where": p["where"], "message": p["message"]} for p in problems if p["level"] == "warning"],
        "notes": [{"where": note.where, "message": note.message} for note in notes],
        "recipients": recipients,
        "estimate": estimate,
        "messages": shown,
        "created_at": iso(bulletin["created_at"]),
        "approved_at": iso(bulletin["approved_at"]),
        "sent_at": iso(bulletin["sent_at"]),
        "cancelled_at": iso(bulletin["cancelled_at"]),
        "repeats": {"bulletin": again.bulletin, "sent_at": iso(again.sent_at), "by": again.by, "people": again.people}
        if again
        else None,
        "version": bulletin["version"],
    }


async def _waiting(
    session: AsyncSession, house: House, quiet: QuietHours | None, meant: tuple[str, dict[str, Any]],
    tried: Sequence[str],
) -> tuple[list[tuple[datetime, int]], int]:  # fmt: skip
    """([(until when, how many people)] whose first text or call would wait for the end of their quiet hours; how many
    of all who would be woken have no time zone that is known)."""
    if quiet is None:
        return [], 0
    now = house.clock.now()
    found: Counter[datetime] = Counter()
    zoneless = 0
    for entry in await repository.woken_by_zone(
        session, members=meant, ladder=tried, channels=house.channels, countries=house.countries,
        waking=rules.WAITING_CHANNELS,
    ):  # fmt: skip
        if zone_name(entry["zone"]) is None:
            zoneless += entry["people"]
        until = rules.quiet_until(quiet, rules.zone_of(entry["zone"], house.zone), now)
        if until is not None:
            found[until] += entry["people"]
    return sorted(found.items()), zoneless


async def parts_today(session: AsyncSession, *, now: datetime) -> int:
    """Parts of texts that were handed over within a day, or are about to be."""
    return await repository.parts_today(session, since=now - timedelta(days=1))


def approval_count(playbook: Playbook, severity: Severity, given_roles: Sequence[str]) -> tuple[int, int]:
    """(needed, given). Without named roles one usual approver suffices; an admin counts as any role."""
    roles = playbook.approval(severity).roles
    if not roles:
        return 1, min(1, sum(role in USUAL_APPROVERS for role in given_roles))
    if "admin" in given_roles:
        return len(roles), len(roles)
    return len(roles), sum(role in given_roles for role in roles)


async def approve(
    session: AsyncSession,
    house: House,
    actor: Actor,
    key: str,
    number: int,
    *,
    accept_warnings: bool,
    seen: Seen | None = None,
) -> dict[str, Any]:
    """Adds an approval. `seen`: the state that was looked at; Changed when it is not the present one any more.

    Raises Conflict over errors, unaccepted warnings or a wrong state; Forbidden for whose it is not.
    """
    incident = await incidents.get(session, key, lock=True)
    bulletin = await get(session, incident["id"], number, lock=True)
    mine = [a for a in await repository.approvals(session, bulletin["id"]) if a["account_id"] == actor.account_id]
    about = versions.bulletin_subject(number, seen)
    kinds = ("bulletin_approved",)
    if await versions.hold(session, key, seen, about, actor=actor, doing=kinds, done=bool(mine)):
        return await show(session, house, incident, bulletin)
    if bulletin["state"] == "approved":
        return await show(session, house, incident, bulletin)
    if bulletin["state"] != "draft":
        raise Conflict(f"Bulletin {number} is {bulletin['state']}; only a draft can be approved.")
    if incident["closed_at"] is not None:
        raise Conflict(f"{key} is closed; nothing more can be sent under it.")
    playbook = (await playbooks.revision(session, incident["revision_id"])).playbook
    rule = playbook.approval(incident["severity"])
    if rule.roles and actor.role != "admin" and actor.role not in rule.roles:
        raise Forbidden(f"This playbook wants the approval of {' and '.join(rule.roles)} at {incident['severity']}.")
    if rule.other_person and actor.account_id == bulletin["created_by"]:
        raise OwnBulletin("This playbook wants another person's approval: whoever wrote a bulletin may not approve it.")
    shown = await show(session, house, incident, bulletin)
    if shown["errors"]:
        raise Conflict(
            "The bulletin has errors; write it again with them mended.",
            [FieldError(entry["where"], entry["message"]) for entry in shown["errors"]],
        )
    if not shown["recipients"]["total"] and not whom.for_those_told(bulletin):
        raise Conflict("Nobody would get this bulletin: import people first, or choose other audiences.")
    if shown["warnings"] and not accept_warnings:
        raise Conflict(
            'The bulletin has warnings; send "accept_warnings": true to approve it as it is.',
            [FieldError(entry["where"], entry["message"]) for entry in shown["warnings"]],
        )
    now = house.clock.now()
    if await repository.add_approval(session, bulletin["id"], actor.account_id, actor.role, now):
        await timeline.note(
            session, key=key, at=now, actor=actor.label, kind="bulletin_approved",
            data={"bulletin": number, "role": actor.role, "warnings_accepted": bool(shown["warnings"])},
        )  # fmt: skip
    roles = [entry["role"] for entry in await repository.approvals(session, bulletin["id"])]
    needed, given = approval_count(playbook, incident["severity"], roles)
    if given >= needed:
        await repository.set_approved(session, bulletin["id"], warnings_accepted=accept_warnings, now=now)
    return await show(session, house, incident, await get(session, incident["id"], number))


async def mark_sent(session: AsyncSession, bulletin_id: int, *, by: int, now: datetime) -> None:
    """Records that it went out; from now on the database refuses every change."""
    await repository.set_sent(session, bulletin_id, by=by, now=now)


async def mark_cancelled(session: AsyncSession, bulletin_id: int, *, now: datetime) -> bool:
    return await repository.set_cancelled(session, bulletin_id, now=now)


async def of_incident(session: AsyncSession, incident_id: int) -> Sequence[RowMapping]:
    return await repository.of_incident(session, incident_id)
