"""The carrier itself: takes texts, moves them along, sends their receipts, and picks up where a killed one stopped."""

import secrets

from app.simulator.outside import Outside
from app.simulator.people import People
from app.simulator.plan import FINAL, plan
from app.simulator.world import Email, Message, World


class Carrier:
    """One account's texts and mail, from acceptance to the phone."""

    def __init__(self, world: World, outside: Outside, people: People) -> None:
        self.world = world
        self.outside = outside
        self.people = people

    def refusal(self, number: str) -> int:
        """The Twilio error code with which a text to this number is refused at once; 0 when it is not."""
        phone = self.world.phone(number)
        if phone.opted_out:
            return 21610
        return 0 if phone.fate.key == "opted_out" else phone.fate.refuse

    def refuse(self, number: str, code: int) -> None:
        """Note that a text was refused, so that the phones page can show why nothing came."""
        self.world.record({"e": "no", "to": number, "c": code, "at": self.world.now()})

    def accept(self, number: str, body: str, *, service: str | None, callback: str | None) -> Message:
        """Take a text: on disk when this returns. Raises OSError when it cannot be written, and then takes nothing."""
        phone = self.world.phone(number)
        sid = "SM" + secrets.token_hex(16)
        event = {
            "e": "out", "sid": sid, "to": number, "from": self.world.config.sender, "body": body, "mg": service,
            "cb": callback, "at": self.world.now(), "n": phone.outbound, "f": phone.fate.key,
        }  # fmt: skip
        self.world.record(event)
        message = self.world.messages[sid]
        self._carry(message)
        return message

    def _carry(self, message: Message) -> None:
        config = self.world.config
        message.plan = plan(
            message.fate, seed=config.seed, number=message.to, ordinal=message.ordinal,
            service=message.service is not None, speed=config.speed,
        )  # fmt: skip
        at, scheduler = message.created, self.world.scheduler
        for index, step in enumerate(message.plan.moves):
            if index >= message.moved:
                scheduler.at(at + step.after, self._move, message, index)
        if message.callback:
            for index, step in enumerate(message.plan.receipts):
                if index not in message.receipts:
                    scheduler.at(at + step.after, self._receipt, message, index)

    def _move(self, message: Message, index: int) -> None:
        if message.status == "canceled" or index < message.moved:
            return
        assert message.plan is not None
        step = message.plan.moves[index]
        event = {"e": "st", "sid": message.sid, "i": index, "s": step.status, "c": step.error, "at": self.world.now()}
        self.world.record(event)
        if step.status == "delivered":
            self.people.text_arrived(message)

    def _receipt(self, message: Message, index: int) -> None:
        if message.status != "canceled":
            self.outside.receipt_due(message, index)

    def cancel(self, message: Message) -> bool:
        """Stop a text that has not left yet; False when it is too late."""
        if message.status not in ("accepted", "queued", "scheduled"):
            return False
        self.world.record({"e": "cx", "sid": message.sid, "at": self.world.now()})
        return True

    def redact(self, message: Message) -> bool:
        """Empty the body that the API shows; False while the text is still on its way."""
        if message.status not in FINAL | {"received"}:
            return False
        self.world.record({"e": "rd", "sid": message.sid, "at": self.world.now()})
        return True

    def store_mail(self, **parts: str) -> Email:
        """Take a mail for one address: on disk when this returns. `parts` are Email's fields but id, at and answer."""
        identity = secrets.token_hex(12)
        self.world.record({"e": "mail", "id": identity, "at": self.world.now(), **parts})
        mail = self.world.emails[identity]
        self.people.mail_arrived(mail)
        return mail

    def resume(self) -> None:
        """Put everything unfinished in the journal back on the schedule; what is overdue happens at once, in order."""
        for message in list(self.world.listing):
            if message.direction == "outbound-api":
                if message.status != "canceled":
                    self._carry(message)
                if message.status == "delivered":
                    self.people.text_arrived(message)
            elif message.direction == "inbound" and message.http is None:
                # Killed between recording and posting: posted now, under the same MessageSid.
                self.outside.spawn(self._post_again(message))
            elif message.direction == "inbound":
                self.people.asked_back(message)
        for mail in list(self.world.emails.values()):
            self.people.mail_arrived(mail)

    async def _post_again(self, message: Message) -> None:
        await self.outside.post_incoming(message)
        self.people.asked_back(message)
