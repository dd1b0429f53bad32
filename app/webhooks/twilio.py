"""What Twilio calls: verify, parse, hand on. Answers are TwiML or empty; a bad signature is 403 and changes nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from app.access.api import HouseDep
from app.channels.media import MOST_MEDIA, Medium
from app.channels.twilio import Signatures as Signatures
from app.deliveries.callbacks import CallbackWriter, Received
from app.directory.spellings import canonical
from app.kernel.errors import BadRequest, Forbidden, NotFound
from app.kernel.house import House
from app.readiness.tally import Tally
from app.replies import service as replies
from app.replies.models import Inbound
from app.web.problems import problems_of

log = logging.getLogger("muster.webhooks")

router = APIRouter(prefix="/webhooks/twilio", tags=["webhooks"])

MAX_FIELDS = 200
REFUSED = (403, 413, 422, 503)
"""The problems that any webhook may answer with."""


_NAME = re.compile(r"(?![0-9a-f]+(?:[A-Z]|\Z))[A-Za-z].*", re.DOTALL)
_RUNS_ON = re.compile(r"[A-Z]{2}[0-9a-f]{32}.", re.DOTALL)


def signatures(account_sid: str, auth_token: str) -> Signatures:
    """What checks that a webhook comes from this account."""
    return Signatures(account_sid, auth_token)


class NotSigned(Forbidden):
    """It does not come from our account at the provider, whoever sent it."""

    title = "Not signed by our account at the provider"


async def verified(request: Request) -> dict[str, str]:
    """The form as Twilio sent it, blank fields kept. Raises Forbidden unless our account signed it for this URL."""
    body = await request.body()
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS, encoding="utf-8", errors="strict"
        )
    except ValueError:
        raise NotSigned("The signature does not fit.") from None
    form = dict(pairs)
    signatures: Signatures | None = request.app.state.signatures
    house: House = request.app.state.house
    tally: Tally = request.app.state.tally
    # Our own public URL, and of the request only its own path and query, never what its headers claim.
    url = house.base_url + request.scope["path"]
    if query := request.scope["query_string"].decode("latin-1"):
        url += f"?{query}"
    given = request.headers.get("X-Twilio-Signature")
    fits = len(form) == len(pairs) and _cut_as_signed(form)
    if not fits or signatures is None or not signatures.valid(url, form, given):
        # Only who knows an attempt's token or our account can be the provider; anybody else is not worth an alarm.
        token = str(request.path_params.get("attempt_token", ""))
        known = house.signer.attempt_id(token) is not None
        tally.refused(ours=known or (signatures is not None and form.get("AccountSid") == signatures.account_sid))
        log.warning("a webhook with a signature that does not fit was refused")
        raise NotSigned("The signature does not fit.")
    tally.taken()
    return form


def _cut_as_signed(form: Mapping[str, str]) -> bool:
    """Whether names and values are where the provider put them, as far as can be told.

    It signs the address, names and values in a row, with nothing between them. The same signature would be good for a
    captured form cut at other places: an id that takes in the next field, or loses its end to the next name, would
    make an old text a new one, and a query that became a field would make a key another turn's.
    """
    return all(
        _NAME.fullmatch(name) and not (name.endswith("Sid") and _RUNS_ON.match(value)) for name, value in form.items()
    )


Form = Annotated[dict[str, str], Depends(verified)]


def twiml(message: str | None = None) -> Response:
    inner = f"<Message>{escape(message)}</Message>" if message else ""
    text = f'<?xml version="1.0" encoding="UTF-8"?><Response>{inner}</Response>'
    return Response(text, media_type="text/xml; charset=utf-8")


@router.post(
    "/status/{attempt_token}", status_code=204, response_class=Response, summary="A message's status changed",
    responses=problems_of(400, 404, *REFUSED),
)  # fmt: skip
async def status(attempt_token: str, form: Form, house: HouseDep, request: Request) -> Response:
    attempt_id = house.signer.attempt_id(attempt_token)
    if attempt_id is None:
        raise NotFound("This callback address is not one of ours.")
    sid = form.get("MessageSid") or form.get("SmsSid") or ""
    word = form.get("MessageStatus") or form.get("SmsStatus") or ""
    if not sid or not word or len(sid) > 64 or len(word) > 64 or "\0" in sid + word:
        raise BadRequest("MessageSid and MessageStatus are needed.")
    writer: CallbackWriter = request.app.state.callbacks
    await writer.record(Received(attempt_id, sid, word, error_code(form.get("ErrorCode"))))
    return Response(status_code=204)


def error_code(text: str | None) -> int | None:
    """The provider's code as a number that a column can hold; None for none, and for what is no number."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) <= 9 and int(text) else None


@router.post(
    "/inbound", response_class=Response, summary="Somebody texted us",
    responses={**problems_of(400, *REFUSED), 200: {"description": "TwiML", "content": {"text/xml": {}}}},
)  # fmt: skip
async def inbound(form: Form, house: HouseDep) -> Response:
    sid = form.get("MessageSid") or form.get("SmsSid") or ""
    if not sid or len(sid) > 64 or "\0" in sid:
        raise BadRequest("MessageSid is needed.")
    message = Inbound(
        sid=sid,
        sender=_number(form.get("From", "")),
        body=form.get("Body", ""),
        opt_out_type=form.get("OptOutType") or None,
        media=_media(form),
    )
    async with house.db.begin() as session:
        answer = await replies.receive(session, house, message)
    return twiml(answer)


def _media(form: Mapping[str, str]) -> tuple[Medium, ...]:
    """What came with a text, each with its address and content type: as many as the carrier counts, or names."""
    many = form.get("NumMedia", "").strip()
    count = min(int(many), MOST_MEDIA) if many.isascii() and many.isdigit() and len(many) < 4 else 0
    count = max([count, *(place + 1 for place in range(MOST_MEDIA) if form.get(f"MediaUrl{place}"))])
    return tuple(
        Medium(form.get(f"MediaContentType{place}", ""), form.get(f"MediaUrl{place}", "")) for place in range(count)
    )


def _number(text: str) -> str:
    """E.164 as the directory keeps it; as it came when it is no number (a short code, a name)."""
    return canonical(text) or text.replace("\0", "")[:64]
