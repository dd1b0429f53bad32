"""The people behind the phones and mailboxes: what they do by themselves under `--auto`, each thing once."""

import re

from app.simulator.fates import REPORTS, WORRIES, Act, chances
from app.simulator.forms import staff_link
from app.simulator.outside import Outside
from app.simulator.world import Email, Message, World

ASKS_FOR_CODE = re.compile(r"(?=.*\bcode\b).*(\?|\b(which|with|add|include)\b)", re.IGNORECASE | re.DOTALL)
OF_HELP = re.compile(r"\bneeds help\b")
RETRY = 100  # steps from here on are second tries of step - RETRY
RETRY_AFTER = (3.0, 20.0)
PAGE_TRIES = 4  # a page that does not come is opened again, by people as by browsers
OPENS_MAIL = (10.0, 300.0)
OPENS_NOTICE = (60.0, 280.0)


class People:
    """Decides what each person does when a text or a mail arrived. Silent unless the simulator runs with `auto`."""

    def __init__(self, world: World, outside: Outside) -> None:
        self.world = world
        self.outside = outside

    def _later(self, since: float, span: tuple[float, float], *key: object) -> float:
        chance = chances(self.world.config.seed, "act", *key)[0]
        return since + (span[0] + (span[1] - span[0]) * chance) / self.world.config.speed

    def text_arrived(self, message: Message) -> None:
        """A text was delivered: put what its reader will do on the schedule, except what is done already."""
        if not self.world.config.auto:
            return
        if not message.asks:
            self._notice(message)
            return
        acts = message.fate.acts
        for step, act in enumerate(acts):
            if (message.sid, step) not in self.world.acted:
                at = self._later(message.updated, act.after, message.to, message.ordinal, step)
                self.world.scheduler.at(at, self._act, message, step, act)

    def _notice(self, message: Message) -> None:
        """Somebody else needs help: whoever answers texts opens the link, and takes the requests there."""
        link = staff_link(message.text, self.world.config.inbound_url)
        if link and OF_HELP.search(message.text) and message.fate.acts and (message.sid, 0) not in self.world.acted:
            at = self._later(message.updated, OPENS_NOTICE, message.to, message.ordinal)
            self.world.scheduler.at(at, self._take, message, link)

    def _take(self, message: Message, link: str, tries: int = 1) -> None:
        if self.world.messages.get(message.sid) is message and (message.sid, 0) not in self.world.acted:
            self.outside.spawn(self._take_now(message, link, tries))

    async def _take_now(self, message: Message, link: str, tries: int) -> None:
        result = await self.outside.take_help(link)
        if self.world.messages.get(message.sid) is not message:
            return
        if result == "no answer" and tries < PAGE_TRIES:
            at = self._later(self.world.now(), RETRY_AFTER, message.sid, "reload", tries)
            self.world.scheduler.at(at, self._take, message, link, tries + 1)
            return
        self.world.record({"e": "act", "id": message.sid, "step": 0, "r": result})

    def _act(self, message: Message, step: int, act: Act) -> None:
        if self.world.messages.get(message.sid) is not message or (message.sid, step) in self.world.acted:
            return
        if act.does == "link":
            if link := staff_link(message.text, self.world.config.inbound_url):
                self._press(message.sid, step, link, act.say)
        elif act.does in ("digit", "digit_with_code"):
            self._answer(message, step, act)
        else:
            dice = chances(self.world.config.seed, "words", message.to, message.ordinal, step)[0]
            words = {"report": REPORTS, "worry": WORRIES}.get(act.does, (act.say,))
            self._send(message, step, words[int(dice * len(words))], "")

    def _answer(self, message: Message, step: int, act: Act) -> None:
        """Answer the newest open question on the phone; with its code when another question might be meant."""
        questions = [text for text in self.world.phone(message.to).texts if text.asks and text.status == "delivered"]
        open_ones = [text for text in questions if not text.answered]
        changed_mind = act.does == "digit_with_code" and not open_ones
        about = message if changed_mind else (open_ones[-1] if open_ones else None)
        if about is None:
            return
        with_code = act.does == "digit_with_code" or len(open_ones) > 1 or about is not questions[-1]
        body = f"{act.say} {about.code}" if with_code and about.code else act.say
        self._send(message, step, body, about.sid)

    def _send(self, message: Message, step: int, body: str, done: str) -> None:
        incoming = self.outside.receive(message.to, body, about=message.sid, step=step, done=done)
        self.outside.spawn(self._post(incoming))

    async def _post(self, incoming: Message) -> None:
        await self.outside.post_incoming(incoming)
        self.asked_back(incoming)

    def asked_back(self, incoming: Message) -> None:
        """When the answer to a bare digit asks for the code, the person tries once more, with the code."""
        about = self.world.messages.get(incoming.about)
        bare = incoming.text in ("1", "2", "3")
        if about is None or not bare or incoming.step >= RETRY:
            return
        codes = {text.code for text in self.world.phone(incoming.sender).texts if text.asks and text.code}
        samples = {f"{digit} {code}" for code in codes for digit in "123"}
        replies = " ".join(incoming.replies)
        if not ASKS_FOR_CODE.search(replies) and not any(sample in replies for sample in samples):
            return
        if (about.sid, incoming.step + RETRY) not in self.world.acted:
            at = self._later(incoming.created, RETRY_AFTER, incoming.sender, about.ordinal, "again")
            self.world.scheduler.at(at, self._again, incoming, about)

    def _again(self, incoming: Message, about: Message) -> None:
        step = incoming.step + RETRY
        if self.world.messages.get(about.sid) is not about or (about.sid, step) in self.world.acted:
            return
        asked = [text for text in self.world.phone(about.to).texts if text.asks and text.status == "delivered"]
        newest = asked[-1] if asked else about
        body = f"{incoming.text} {newest.code}" if newest.code else incoming.text
        self._send(about, step, body, newest.sid)

    def mail_arrived(self, mail: Email) -> None:
        """A mail was stored: some people open the page in it, later, and press a button there."""
        answer = self.world.mail_fate(mail.to).answer
        link = staff_link(f"{mail.text}\n{mail.html}", self.world.config.inbound_url)
        if not self.world.config.auto or not (answer and mail.asks) or link is None or (mail.id, 0) in self.world.acted:
            return
        at = self._later(mail.at, OPENS_MAIL, mail.to, len(self.world.mailboxes[mail.to.lower()]))
        self.world.scheduler.at(at, self._open, mail, link, answer)

    def _open(self, mail: Email, link: str, answer: str) -> None:
        if self.world.emails.get(mail.id) is mail and (mail.id, 0) not in self.world.acted:
            self._press(mail.id, 0, link, answer)

    def _press(self, about: str, step: int, link: str, choice: str, tries: int = 1) -> None:
        self.outside.spawn(self._press_now(about, step, link, choice, tries))

    async def _press_now(self, about: str, step: int, link: str, choice: str, tries: int) -> None:
        result = await self.outside.press(link, choice)
        if about not in self.world.messages and about not in self.world.emails:
            return
        if result == "no answer" and tries < PAGE_TRIES:
            at = self._later(self.world.now(), RETRY_AFTER, about, "reload", tries)
            self.world.scheduler.at(at, self._press, about, step, link, choice, tries + 1)
            return
        self.world.record({"e": "act", "id": about, "step": step, "r": result})
