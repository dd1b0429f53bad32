"""What Twilio calls about a phone call: what to say, which key was pressed, how the call goes. Answers are TwiML."""

from __future__ import annotations

import re
from typing import Annotated, Any
from xml.sax.saxutils import escape, quoteattr

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from app.access.api import HouseDep
from app.channels.port import ANSWERED_BY
from app.deliveries.callbacks import CallbackWriter, Received
from app.kernel.errors import BadRequest, NotFound
from app.kernel.house import House
from app.replies import calls
from app.replies.spoken import MOST_TURNS, Line, Turn
from app.web.problems import problems_of
from app.webhooks.twilio import REFUSED, Form, error_code

router = APIRouter(prefix="/webhooks/twilio/voice", tags=["webhooks"])

WAIT_SECONDS = 10
"""How long a key may be thought about after the last word."""

LOCALES = {
    "ca": "ca-ES", "da": "da-DK", "de": "de-DE", "en": "en-US", "es": "es-ES", "fi": "fi-FI", "fr": "fr-FR",
    "it": "it-IT", "ja": "ja-JP", "ko": "ko-KR", "nb": "nb-NO", "nl": "nl-NL", "no": "nb-NO", "pl": "pl-PL",
    "pt": "pt-PT", "ru": "ru-RU", "sv": "sv-SE", "zh": "zh-CN",
}  # fmt: skip
"""The locale in which Twilio speaks a language that is named alone, such as `fr`."""

SPOKEN = frozenset({*LOCALES.values(), "en-AU", "en-CA", "en-GB", "en-IN", "es-MX", "fr-CA", "pt-BR", "zh-HK", "zh-TW"})
"""Locales that Twilio's `<Say>` speaks with every voice setting (its documentation of the verb)."""

MOST_CHARACTERS = 4000
"""`<Say>` takes 4096 characters."""

_WORD = re.compile(r"[a-z_]{1,40}")
TWIML: dict[int | str, dict[str, Any]] = {200: {"description": "TwiML", "content": {"text/xml": {}}}}
_TURN = Query(ge=0, le=MOST_TURNS + 1, description="Which turn of the conversation this is.")
AtTurn = Annotated[int, _TURN]


@router.post(
    "/{attempt_token}", response_class=Response, summary="A call was picked up",
    responses={**problems_of(400, 404, *REFUSED), **TWIML},
)  # fmt: skip
async def voice(attempt_token: str, form: Form, house: HouseDep, request: Request, turn: AtTurn = 0) -> Response:
    attempt_id = _attempt(house, attempt_token)
    await _record(request, attempt_id, form)
    async with house.db.begin() as session:
        said = await calls.picked_up(session, house, attempt_id, answered_by=_answered_by(form), turn=turn)
    return twiml(said, f"{house.base_url}/webhooks/twilio/voice/{attempt_token}")


@router.post(
    "/{attempt_token}/answer", response_class=Response, summary="A key was pressed in a call",
    responses={**problems_of(400, 404, *REFUSED), **TWIML},
)  # fmt: skip
async def answer(attempt_token: str, form: Form, house: HouseDep, request: Request, turn: AtTurn = 1) -> Response:
    attempt_id = _attempt(house, attempt_token)
    await _record(request, attempt_id, form)
    async with house.db.begin() as session:
        said = await calls.pressed(
            session, house, attempt_id, sid=_sid(form), answered_by=_answered_by(form),
            keys=form.get("Digits", "").replace("\0", "")[:20], turn=turn,
        )  # fmt: skip
    return twiml(said, f"{house.base_url}/webhooks/twilio/voice/{attempt_token}")


@router.post(
    "/{attempt_token}/status", status_code=204, response_class=Response, summary="A call's status changed",
    responses=problems_of(400, 404, *REFUSED),
)  # fmt: skip
async def status(attempt_token: str, form: Form, house: HouseDep, request: Request) -> Response:
    attempt_id = _attempt(house, attempt_token)
    if not form.get("CallStatus"):
        raise BadRequest("CallSid and CallStatus are needed.")
    await _record(request, attempt_id, form)
    return Response(status_code=204)


def _attempt(house: House, token: str) -> int:
    attempt_id = house.signer.attempt_id(token)
    if attempt_id is None:
        raise NotFound("This callback address is not one of ours.")
    return attempt_id


def _sid(form: Form) -> str:
    sid = form.get("CallSid", "")
    if not sid or len(sid) > 64 or "\0" in sid:
        raise BadRequest("CallSid is needed.")
    return sid


def _answered_by(form: Form) -> str:
    """The provider's word for who picked up; empty when it does not say."""
    word = form.get("AnsweredBy", "").strip().lower()
    return word if _WORD.fullmatch(word) else ""


async def _record(request: Request, attempt_id: int, form: Form) -> None:
    """Every request about a call proves that the provider made it: its status is a fact, and so is who picked up."""
    sid, word = _sid(form), form.get("CallStatus", "")
    if len(word) > 64 or "\0" in word:
        raise BadRequest("CallStatus cannot be read.")
    writer: CallbackWriter = request.app.state.callbacks
    if word:
        await writer.record(Received(attempt_id, sid, word, error_code(form.get("ErrorCode"))))
    if who := _answered_by(form):
        await writer.record(Received(attempt_id, sid, f"{ANSWERED_BY}{who}"))


def twiml(turn: Turn, address: str) -> Response:
    """One turn as TwiML. `address` is the call's own, as the provider sees it."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?><Response>']
    if turn.key is not None:
        # An empty finishOnKey: otherwise the hash key would be no key.
        action = quoteattr(f"{address}/answer?turn={turn.key}")
        parts.append(
            f'<Gather input="dtmf" numDigits="1" finishOnKey="" timeout="{WAIT_SECONDS}" method="POST" action={action}>'
        )
    parts += _said(turn.lines)
    if turn.key is not None:
        parts.append("</Gather>")
    if turn.silence is not None:
        parts.append(f'<Redirect method="POST">{escape(f"{address}?turn={turn.silence}")}</Redirect>')
    else:
        parts += [*_said(turn.end), "<Hangup/>"]
    parts.append("</Response>")
    return Response("".join(parts), media_type="text/xml; charset=utf-8")


def _said(lines: tuple[Line, ...]) -> list[str]:
    """Each line in its language, a moment of silence between two."""
    spoken = []
    for line in lines:
        locale = _locale(line.language)
        language = f' language="{locale}"' if locale else ""
        spoken += [f"<Say{language}>{escape(piece)}</Say>" for piece in _pieces(line.text)]
    return [part for place, say in enumerate(spoken) for part in (('<Pause length="1"/>', say) if place else (say,))]


def _locale(language: str) -> str | None:
    """The locale to speak a language tag in; None leaves it to the account's own voice."""
    tag = language.replace("_", "-")
    exact = next((locale for locale in SPOKEN if locale.lower() == tag.lower()), None)
    return exact or LOCALES.get(tag.partition("-")[0].lower())


def _pieces(text: str) -> list[str]:
    """A text in parts that one `<Say>` takes, cut between words."""
    pieces = []
    while len(text) > MOST_CHARACTERS:
        cut = text.rfind(" ", 0, MOST_CHARACTERS)
        cut = cut if cut > 0 else MOST_CHARACTERS
        pieces.append(text[:cut])
        text = text[cut:].lstrip()
    return [*pieces, text] if text else pieces
