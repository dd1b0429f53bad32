"""What speaks against a bulletin, said beside the words that cause it, before anything is sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.bulletins import render
from app.channels import sms_text
from app.channels.kinds import KINDS
from app.playbooks.checks import MOST_SEGMENTS


@dataclass(frozen=True)
class Finding:
    """`level` is error (blocks approval), warning (must be accepted) or note; `where` names the part."""

    level: str
    where: str
    message: str

    def as_dict(self) -> dict[str, Any]:
        return {"level": self.level, "where": self.where, "message": self.message}


@dataclass(frozen=True)
class Text:
    """One message as it will be sent to one audience, with a sample code and link."""

    audience: str
    channel: str
    language: str
    subject: str | None
    text: str


def sms_findings(text: Text) -> list[Finding]:
    """Length and alphabet of one SMS at its real length."""
    where = f"{text.audience}.sms" + (f".{text.language}" if text.language else "")
    found = []
    parts = sms_text.segments(text.text)
    if parts > MOST_SEGMENTS:
        found.append(
            Finding("error", where, f"is {parts} parts long; shorten a fact so that it is {MOST_SEGMENTS} or fewer")
        )
    odd = sms_text.non_gsm_characters(text.text)
    if odd:
        shown = " ".join(dict.fromkeys(odd))[:40]
        found.append(
            Finding(
                "warning", where,
                f"holds {shown}, which makes the whole text cost more parts ({parts}); write it in plain letters",
            )
        )  # fmt: skip
    return found


def stale_findings(passed: Sequence[tuple[str, str]]) -> list[Finding]:
    """Times that must lie ahead and no longer do."""
    return [Finding("error", f"facts.{name}", what) for name, what in passed]


def interval_findings(*, last_sent: datetime | None, now: datetime, least: timedelta | None) -> list[Finding]:
    if last_sent is None or least is None or now - last_sent >= least:
        return []
    minutes = int((now - last_sent).total_seconds() // 60)
    return [
        Finding(
            "warning", "bulletin",
            f"the last one was sent {minutes} min ago; the playbook asks for {int(least.total_seconds() // 60)} min "
            "between two, so that people can act on each",
        )
    ]  # fmt: skip


CALLS_NOBODY = (
    "has no step for an all-clear, which calls nobody and is sent by text and email only; "
    "add a step with send: sms or email"
)


def ladder_findings(tried: Sequence[str], channels: Sequence[str], *, asking: bool = True) -> list[Finding]:
    """What a ladder that tries these channels cannot do where only `channels` have a provider.

    `asking` is false for news: its ladder is what is left without calls.
    """
    unusable = [channel for channel in tried if channel not in channels]
    if len(unusable) < len(tried):
        return [
            Finding("note", "ladder", f"its step send: {channel} is skipped, because {channel} has no provider here")
            for channel in unusable
        ]
    if not tried and not asking:
        what = CALLS_NOBODY
    elif not tried:
        what = "only tells others and tries nobody; add a step with send: sms, email or voice"
    else:
        what = (
            f"can reach nobody: it tries only {' and '.join(tried)}, for which there is no provider here; "
            "set one up, or use a playbook that tries another channel"
        )
    return [Finding("warning", "ladder", what)]


def channel_findings(trouble: Sequence[Mapping[Any, Any]]) -> list[Finding]:
    """What speaks against a send just now: a warning where only an operator can mend it, a note where it may pass."""
    nouns: dict[tuple[bool, str], list[str]] = {}  # one provider may serve several channels
    for entry in trouble:
        nouns.setdefault((entry["misconfigured"], entry["detail"]), []).append(KINDS[entry["channel"]].noun)
    return [
        Finding("warning", "channels", f"no {' and no '.join(what)} can go out: {detail}")
        if misconfigured
        else Finding("note", "channels", f"no {' and no '.join(what)} goes out, each waits until it can: {detail}")
        for (misconfigured, detail), what in nouns.items()
    ]


def sample(
    *, audience: str, channel: str, language: str, subject: str | None, body: str, link: str, drill: bool, asking: bool
) -> Text:
    """A message as a person would see it, with the sample code where it asks for an answer."""
    code = render.SAMPLE_CODE if asking else None
    if channel == "sms":
        return Text(
            audience, channel, language, None,
            render.sms(body=body, link=link, code=code, drill=drill),
        )  # fmt: skip
    if channel == "email":
        mail = render.email(subject=subject or "", body=body, link=link, code=code, drill=drill)
        return Text(audience, channel, language, mail.subject, mail.text)
    return Text(audience, channel, language, None, render.voice(body=body, drill=drill))
