"""What each provider error code means for us. One table; pure.

Sources: Twilio's error and warning dictionary, and FACTS from the field. The split between temporary and permanent is
a judgement: one public system calls 30003 and 30008 permanent, Twilio's own page for 30003 says retry.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.deliveries.mail_causes import ANY, CAUSES, Cause, cause


@dataclass(frozen=True)
class Treatment:
    """`retries`: how many new attempts on the same address. `next_channel`: go on now. `flag`: why the address is bad.

    `alarm`: the operator must act, people cannot mend it.
    """

    code: int
    reason: str
    retries: int = 0
    next_channel: bool = True
    flag: str | None = None
    alarm: bool = False


TREATMENTS: dict[int, Treatment] = {
    row.code: row
    for row in (
        Treatment(30001, "the provider's queue is full", retries=2, next_channel=False),
        Treatment(21611, "the provider's queue is full", retries=2, next_channel=False),
        Treatment(20429, "the provider asks us to slow down", retries=2, next_channel=False),
        Treatment(30022, "the provider asks us to slow down", retries=2, next_channel=False),
        Treatment(63017, "the provider asks us to slow down", retries=2, next_channel=False),
        Treatment(30003, "the handset cannot be reached", retries=1),
        Treatment(30008, "the carrier gives no reason", retries=1),
        Treatment(30036, "it waited too long at the provider", retries=1),
        Treatment(63038, "the account's daily limit is used up", alarm=True),
        Treatment(30005, "the number is not in service", flag="invalid"),
        Treatment(30006, "the number is a landline", flag="landline"),
        Treatment(21211, "the number is not valid", flag="invalid"),
        Treatment(21614, "the number cannot receive texts", flag="landline"),
        Treatment(21635, "the number is a landline", flag="landline"),
        Treatment(30004, "the message was blocked by the recipient's carrier"),
        Treatment(30007, "the carrier filtered the message"),
        Treatment(21610, "the number has opted out of texts", flag="opted_out"),
        Treatment(21408, "the account may not text this region", alarm=True),
        Treatment(21612, "the provider has no route to this number", alarm=True),
        Treatment(21608, "the trial account may not text this number", alarm=True),
        Treatment(21606, "the account may not text from this sender", alarm=True),
        Treatment(21659, "the account may not text from this sender", alarm=True),
        Treatment(21703, "the Messaging Service has no sender in its pool", alarm=True),
        Treatment(30034, "the sender is not registered with the carriers", alarm=True),
        # Calls.
        Treatment(10004, "too many calls at once", retries=2, next_channel=False),
        Treatment(21210, "the account may not call from this number", alarm=True),
        Treatment(21212, "the account may not call from this number", alarm=True),
        Treatment(21214, "the number cannot be called"),
        Treatment(21215, "the account may not call this region", alarm=True),
        Treatment(21216, "the provider blocks calls to this number", alarm=True),
        Treatment(21217, "the number is not valid", flag="invalid"),
        Treatment(21219, "the trial account may not call this number", alarm=True),
        Treatment(13224, "the number is not valid or cannot be called"),
        Treatment(13227, "the account may not call this region", alarm=True),
    )
}

UNKNOWN_CODE = Treatment(0, "the provider gives a reason that is not known here", alarm=True)
"""A code that is not in the table: taken as final for this attempt, the next channel is used, and it is alarmed."""

RETRY_AFTER_SECONDS = 30.0
"""How long a new attempt on the same address waits, before the time scale."""


CALLED_AGAIN = frozenset({"busy", "no-answer"})
"""Statuses of a call after which the same number is called once more, while the ladder goes on at once: a second call
within three minutes rings through on phones that are set to silence the first."""


def treatment(code: int | None, status: str | None = None, reason: str | None = None) -> Treatment:
    """What to do about a definite failure with this code; without one, `status` is the provider's word, and `reason`
    what it says about why."""
    if code is not None:
        return TREATMENTS.get(code, UNKNOWN_CODE)
    if status in RETURNED:
        return _of_mail(RETURNED[status])
    return Treatment(0, reason or "the provider gives no reason", retries=1 if status in CALLED_AGAIN else 0)


RETURNED: dict[str, Cause] = {known.status: known for known in (*CAUSES, ANY)}


def refused_mail(reason: str | None) -> Treatment:
    """The same for a mail that its server refused at the hand-over, with these words: as if it had come back."""
    return _of_mail(cause("", reason or ""))


def _of_mail(known: Cause) -> Treatment:
    return Treatment(0, known.reason, flag=known.flag)


def back_off(tries: int) -> float:
    """Seconds to wait before a hand-over that was not taken is tried again: half a second, doubling to 20."""
    return float(min(20.0, 0.5 * 2 ** min(tries, 10)))
