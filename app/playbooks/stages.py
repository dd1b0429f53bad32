"""What a bulletin's stage means for the people who get it: a question that waits for an answer, or news. Pure."""

from __future__ import annotations

from app.playbooks.schema import Channel, Playbook, Severity, Stage, Step

ALL_CLEAR: Stage = "resolved"

CALLS: Channel = "voice"


def asks(stage: str) -> bool:
    """Whether a bulletin of this stage is a question. An all-clear is news: nobody has to answer it.

    The one place where that is decided. It is kept with each bulletin (`bulletin.asks`), so that a bulletin that asked
    when it went out stays a question.
    """
    return stage != ALL_CLEAR


def steps(playbook: Playbook, severity: Severity, *, asking: bool) -> list[Step]:
    """The steps of the ladder that a bulletin takes. News calls nobody, and nobody is told who has not answered it."""
    ladder = playbook.ladder_for(severity)
    return ladder if asking else [step for step in ladder if step.send not in (None, CALLS)]


def channels(playbook: Playbook, severity: Severity, *, asking: bool) -> list[Channel]:
    """The channels that a person is tried on, in order."""
    return [step.send for step in steps(playbook, severity, asking=asking) if step.send is not None]
