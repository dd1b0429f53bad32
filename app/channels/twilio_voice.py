"""Calls through Twilio's REST API: it rings, and asks us what to say when somebody or something picks up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from app.channels.port import (
    ANSWERED_BY,
    Capabilities,
    Examined,
    Health,
    Listed,
    Outcome,
    Outgoing,
    ProviderDown,
    StillOurs,
)
from app.channels.twilio_http import LIST_LIMIT, UNREADABLE, Account

RING_SECONDS = 30
"""How long it rings before nobody has picked up: about six rings, just short of most carriers' own mailbox."""

EVENTS = ("initiated", "ringing", "answered", "completed")
"""What the provider reports while a call goes on."""

SETTING = "MUSTER_TWILIO_VOICE_SENDER"


class TwilioVoice:
    """Calls from one number of the account. A Messaging Service cannot call.

    The list of calls shows no words and no address of ours: which attempt a call belongs to follows from its number
    and time alone.
    """

    channel = "voice"
    name = "twilio"
    capabilities = Capabilities(reports_status=True, lists_messages=True, shows_text=False)

    def __init__(self, account: Account, sender: str) -> None:
        self.account = account
        self.client = account.client
        self.sender = sender

    async def send(self, message: Outgoing, still_ours: StillOurs) -> Outcome:
        return await self.account.hand_over(
            lambda: self.client.calls.create_async(
                to=message.to,
                from_=self.sender,
                url=message.answer_url,
                method="POST",
                status_callback=message.callback_url,
                status_callback_method="POST",
                status_callback_event=list(EVENTS),
                # It waits for the end of a machine's greeting, so that what we say is what the machine keeps.
                machine_detection="DetectMessageEnd",
                timeout=RING_SECONDS,
            ),
            still_ours,
        )

    async def sent_to(self, address: str, *, limit: int = LIST_LIMIT) -> Sequence[Listed]:
        try:
            found = await self.client.calls.list_async(to=address, from_=self.sender, limit=limit)
        except UNREADABLE as error:
            raise ProviderDown(type(error).__name__) from error
        return [_listed(entry) for entry in found if str(entry.direction).startswith("outbound")]

    async def read(self, provider_message_id: str) -> Listed | None:
        return await self.account.read(lambda: self.client.calls(provider_message_id).fetch_async(), _listed)

    async def check(self) -> Health:
        return await self.account.check()

    async def examine(self, inbound_url: str) -> dict[str, Examined]:
        try:
            numbers = await self.client.incoming_phone_numbers.list_async(phone_number=self.sender, limit=20)
            ours = next((entry for entry in numbers if str(entry.phone_number) == self.sender), None)
            if ours is not None:
                if (ours.capabilities or {}).get("voice", True):
                    return {"sender": Examined(True, "the account owns the number that calls come from")}
                return {"sender": Examined(False, f"the number cannot call; name one that can in {SETTING}")}
            # A number of somebody else's that was shown to be theirs may be called from too.
            others = await self.client.outgoing_caller_ids.list_async(phone_number=self.sender, limit=20)
        except UNREADABLE:
            return {}  # `check` says what is wrong
        if any(str(entry.phone_number) == self.sender for entry in others):
            return {"sender": Examined(True, "the account may call from this number, a verified caller ID")}
        return {"sender": Examined(False, f"the account does not own the number to call from; set {SETTING} to one")}

    def ahead(self) -> timedelta | None:
        return self.account.transport.ahead

    async def close(self) -> None:
        await self.account.close()


def _listed(entry: Any) -> Listed:
    return Listed(
        provider_message_id=str(entry.sid),
        to=str(entry.to),
        body="",
        status=str(getattr(entry.status, "value", entry.status)),
        created_at=entry.date_created,
        also=(f"{ANSWERED_BY}{entry.answered_by}",) if entry.answered_by else (),
    )
