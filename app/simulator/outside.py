"""What the carrier sends to its customer: signed receipts, signed incoming texts; and pages that people open.

Receipts are posted in order per text, one at a time, and again with back-off for two minutes while the receiver is
down or fails. That is more patient than Twilio, which tries a receipt once or twice; it lets a demo survive a restart.
An incoming text is posted once, and once more after a connection error, as Twilio does: after that it is only in the
message list. Nothing else calls out.
"""

import asyncio
import logging
import secrets
import ssl
from collections.abc import Coroutine, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

import httpx2
import phonenumbers

from app.simulator.fates import chances
from app.simulator.faults import Faults
from app.simulator.forms import forms_offering, origin
from app.simulator.media import media_sid
from app.simulator.poster import Poster
from app.simulator.twiml import NotTwiml, messages
from app.simulator.wire import done_date, signature
from app.simulator.world import Message, World

log = logging.getLogger(__name__)

POSTERS = 24  # receipts in flight
TALKERS = 8  # incoming texts and pages in flight: where httpx2 is fastest
HELPERS = 2  # pages of people who were told of help: they do not wait behind hundreds of answers
BACK_OFF = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
PATIENCE = 120.0
TIMEOUT = 15.0
MOST_TAKEN = 20  # requests for help that one person takes from one page
OPT_ANSWERS = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


def country(number: str) -> str:
    """The ISO code of a number's country, empty when unknown."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""
    except phonenumbers.NumberParseException:
        return ""


class Outside:
    """Everything the carrier posts or opens."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(TALKERS)
        self._helping = asyncio.Semaphore(HELPERS)
        self._client: httpx2.AsyncClient | None = None
        self.poster = Poster(TIMEOUT)

    async def start(self) -> None:
        """Begin posting."""
        self._client = httpx2.AsyncClient(
            timeout=TIMEOUT,
            trust_env=False,
            verify=self._trust(),
            # Many people share this client: nobody may be given a cookie that another was given.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            limits=httpx2.Limits(max_connections=TALKERS + 2, max_keepalive_connections=TALKERS + 2),
        )
        for _ in range(POSTERS):
            self.spawn(self._post_receipts())

    def _trust(self) -> ssl.SSLContext:
        # Only pages and webhooks at inbound_url are ever opened: over plain http there is no need to read certificates.
        secure = self.world.config.inbound_url.startswith("https:")
        return ssl.create_default_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    async def stop(self) -> None:
        """Stop at once; what was not posted is posted after the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
        self.poster.close()

    def forget(self) -> None:
        """Post none of the receipts that wait; what is on the wire ends by itself."""
        while not self._queue.empty():
            self._queue.get_nowait()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run one piece of work beside the rest, and keep hold of it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def http(self) -> httpx2.AsyncClient:
        assert self._client is not None, "start() comes first"
        return self._client

    # Receipts

    def receipt_due(self, message: Message, index: int) -> None:
        """The `index`-th receipt of this text is to be posted now, after those before it."""
        if index in message.receipts:
            return
        fault = self.faults.take("receipts")
        if not message.callback or fault == "off":
            self._done(message, index, "off")
            return
        if fault == "shuffle":
            wait = 1.5 * chances(self.world.config.seed, message.sid, index)[0]
            self.world.scheduler.at(self.world.now() + wait, self._enqueue, message, index)
            return
        self._enqueue(message, index)
        if fault == "twice":
            self._enqueue(message, index)

    def _enqueue(self, message: Message, index: int) -> None:
        message.outbox.append(index)
        if not message.posting:
            message.posting = True
            message.tries = 0
            self._queue.put_nowait(message)

    def _done(self, message: Message, index: int, how: str) -> None:
        if index not in message.receipts and message.sid in self.world.messages:
            self.world.record({"e": "rc", "sid": message.sid, "i": index, "r": how})

    async def _post_receipts(self) -> None:
        while True:
            message = await self._queue.get()
            try:
                await self._post_receipt(message)
            except Exception:
                # Such as a full disk: it is not noted as posted, so the next start posts it.
                log.exception("a receipt of %s could not be posted", message.sid)
                message.outbox.clear()
                message.posting = False

    async def _post_receipt(self, message: Message) -> None:
        index = message.outbox[0]
        outcome = await self._try_receipt(message, index)
        if outcome == "again":
            wait = BACK_OFF[min(message.tries, len(BACK_OFF) - 1)]
            message.tries += 1
            self.world.counts["receipt_retries"] += 1
            if sum(BACK_OFF[min(n, len(BACK_OFF) - 1)] for n in range(message.tries)) <= PATIENCE:
                self.world.scheduler.at(self.world.now() + wait, self._queue.put_nowait, message)
                return
            outcome = "gave_up"
        self._next_receipt(message, outcome)

    def _next_receipt(self, message: Message, outcome: str) -> None:
        message.tries = 0
        self._done(message, message.outbox.pop(0), outcome)
        if message.outbox:
            self._queue.put_nowait(message)
        else:
            message.posting = False

    async def _try_receipt(self, message: Message, index: int) -> str:
        assert message.plan is not None
        assert message.callback is not None
        step = message.plan.receipts[index]
        params = {
            "ApiVersion": "2010-04-01",
            "AccountSid": self.world.config.account_sid,
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "MessageStatus": step.status,
            "SmsStatus": step.status,
            "To": message.to,
            "From": message.sender,
        }
        if message.service:
            params["MessagingServiceSid"] = message.service
        if step.error:
            params["ErrorCode"] = str(step.error)
        if step.status in ("delivered", "undelivered"):
            params["RawDlrDoneDate"] = done_date(self.world.now())
        return await self.deliver(message.callback, params, f"{message.sid}-{index}")

    async def deliver(self, url: str, params: dict[str, str], token: str) -> str:
        """Post one signed form: `ok`, `refused`, or `again` when the receiver was not there or failed."""
        headers = self.headers(url, params, token)
        try:
            status = await self.poster.post(url, urlencode(params).encode(), headers)
        except OSError:  # TimeoutError is one
            return "again"
        except ValueError:
            return "refused"
        if status >= 500 or status == 429:
            return "again"
        return "ok" if status < 400 else "refused"

    def headers(self, url: str, params: dict[str, str], token: str) -> dict[str, str]:
        return {
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "X-Twilio-Signature": signature(url, params, self.world.config.auth_token),
            "I-Twilio-Idempotency-Token": token,
        }

    # Incoming texts

    def receive(
        self, number: str, body: str, *, about: str = "", step: int = -1, done: str = "", media: Sequence[str] = ()
    ) -> Message:
        """A phone sent a text: recorded at once; `post_incoming` hands it on. `done` = the text that it answers;
        `media` = the content types of what comes with it."""
        phone = self.world.phone(number)
        sid = "SM" + secrets.token_hex(16)
        event = {
            "e": "in", "sid": sid, "from": number, "body": body, "at": self.world.now(), "for": about, "step": step,
            "opt": self.world.opt_word(phone, body), "done": done, "media": list(media),
        }  # fmt: skip
        self.world.record(event)
        return self.world.messages[sid]

    async def post_incoming(self, message: Message) -> tuple[int, str]:
        """Hand one incoming text on. Returns the HTTP status (0 = no connection) and the TwiML of the answer."""
        async with self._slots:
            status, text = await self._try_incoming(message)
            if status == 0:
                await asyncio.sleep(0.2)
                status, text = await self._try_incoming(message)
        try:
            bodies = messages(text) if 200 <= status < 300 else []
        except NotTwiml as error:
            log.warning("the answer to %s is not TwiML: %s", message.sid, error)
            bodies = []
        if self.world.messages.get(message.sid) is not message:
            return status, text
        canned = [OPT_ANSWERS[message.opt]] if message.opt else []
        # Twilio drops what an application says to somebody who has just opted out.
        said = [] if self.world.phone(message.sender).opted_out else bodies
        replies = [{"sid": "SM" + secrets.token_hex(16), "body": body} for body in (*canned, *said)]
        event = {
            "e": "ina", "sid": message.sid, "http": status, "replies": replies, "canned": len(canned),
            "at": self.world.now(),
        }  # fmt: skip
        self.world.record(event)
        return status, text

    async def _try_incoming(self, message: Message) -> tuple[int, str]:
        home, away = country(message.to), country(message.sender)
        params = {
            "ToCountry": home, "ToState": "", "ToCity": "", "ToZip": "",
            "FromCountry": away, "FromState": "", "FromCity": "", "FromZip": "",
            "SmsMessageSid": message.sid, "SmsSid": message.sid, "MessageSid": message.sid,
            "SmsStatus": "received", "NumMedia": str(len(message.media)), "NumSegments": str(message.segments),
            "Body": message.text, "To": message.to, "From": message.sender,
            "AccountSid": self.world.config.account_sid, "ApiVersion": "2010-04-01",
        }  # fmt: skip
        for place, kind in enumerate(message.media):
            path = f"/2010-04-01/Accounts/{self.world.config.account_sid}/Messages/{message.sid}/Media"
            params[f"MediaUrl{place}"] = f"{self.world.address}{path}/{media_sid(message.sid, place)}"
            params[f"MediaContentType{place}"] = kind
        if message.opt and self.world.config.advanced_opt_out and self.faults.take("opt_out_type") != "off":
            params["OptOutType"] = message.opt
        url = self.world.config.inbound_url
        headers = self.headers(url, params, message.sid)
        try:
            answer = await self.http().post(url, content=urlencode(params).encode(), headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return 0, ""
        return answer.status_code, answer.text

    # Pages

    async def press(self, link: str, choice: str) -> str:
        """Open a staff page and press a button, as a person would: GET, then POST with the page's hidden fields.

        Returns `choice` when the post was taken, else a word that says why not.
        """
        async with self._slots:
            return await self._press(link, "response", choice, most=1)

    async def take_help(self, link: str) -> str:
        """Open the page behind a notice and take every request for help there that nobody has yet: `take`, or why not.

        A notice that offers none is only read: `no form`.
        """
        async with self._helping:
            return await self._press(link, "do", "take", most=MOST_TAKEN)

    async def _press(self, link: str, name: str, choice: str, *, most: int) -> str:
        try:
            page = await self.http().get(link, follow_redirects=True)
            if page.status_code >= 500:
                return "no answer"
            if page.status_code != 200 or not self._ours(str(page.url)):
                return "no page"
            forms = [form for form in forms_offering(page.text, str(page.url), name, choice) if self._ours(form[0])]
            if not forms:
                return "no form"
            headers = {"Origin": str(page.url.join("/")).rstrip("/"), "Referer": str(page.url)}
            if cookies := "; ".join(f"{key}={value}" for key, value in page.cookies.items()):
                headers["Cookie"] = cookies
            answers = [await self.http().post(to, data=data, headers=headers) for to, data in forms[:most]]
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
            return "no answer"
        if any(answer.status_code >= 500 for answer in answers):
            return "no answer"
        return choice if any(answer.status_code < 400 for answer in answers) else "refused"

    def _ours(self, url: str) -> bool:
        return origin(url) == origin(self.world.config.inbound_url)
