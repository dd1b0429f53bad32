"""Twilio's resources as JSON: messages, pages of messages, the account, its phone number."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import md5
from typing import TypeVar
from urllib.parse import quote, urlencode

from app.simulator.calls import Call
from app.simulator.config import SimulatorConfig
from app.simulator.media import media_of
from app.simulator.problems import DELIVERY
from app.simulator.wire import rfc2822
from app.simulator.world import Message

API = "2010-04-01"
MESSAGE_FILTERS = ("To", "From", "DateSent", "DateSent<", "DateSent>")

Row = TypeVar("Row", Message, Call)


def message_json(message: Message, account: str) -> dict[str, object]:
    """A Message resource. A Messaging Service has given no sender, and counted no segments, until it is queued."""
    pending = message.service is not None and message.status == "accepted"
    uri = f"/{API}/Accounts/{account}/Messages/{message.sid}"
    priced = message.sent is not None
    return {
        "account_sid": account,
        "api_version": API,
        "body": message.body,
        "date_created": rfc2822(message.created),
        "date_sent": rfc2822(message.sent) if message.sent is not None else None,
        "date_updated": rfc2822(message.updated),
        "direction": message.direction,
        "error_code": message.error or None,
        "error_message": DELIVERY.get(message.error) if message.error else None,
        "from": None if pending else message.sender,
        "messaging_service_sid": message.service,
        "num_media": str(len(message.media)),
        "num_segments": "0" if pending else str(message.segments),
        "price": f"-{0.0083 * message.segments:.5f}" if priced else None,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.to,
        "uri": f"{uri}.json",
    }


def media_json(message: Message, account: str) -> dict[str, object]:
    """The list of what came with a text: ids and content types."""
    path = f"/{API}/Accounts/{account}/Messages/{message.sid}/Media"
    listed = [
        {
            "account_sid": account,
            "content_type": kind,
            "date_created": rfc2822(message.created),
            "date_updated": rfc2822(message.created),
            "parent_sid": message.sid,
            "sid": sid,
            "uri": f"{path}/{sid}.json",
        }
        for sid, kind in media_of(message.sid, message.media).items()
    ]
    first = f"{path}.json?PageSize=50&Page=0"
    return {
        "end": max(0, len(listed) - 1),
        "first_page_uri": first,
        "media_list": listed,
        "next_page_uri": None,
        "page": 0,
        "page_size": 50,
        "previous_page_uri": None,
        "start": 0,
        "uri": first,
    }


def _moment(value: str) -> tuple[float, float]:
    """The first second of a date, or the second of a date and time, and the first one after it. Raises ValueError."""
    if len(value) == 10:
        day = date.fromisoformat(value)
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return start.timestamp(), (start + timedelta(days=1)).timestamp()
    at = datetime.fromisoformat(value.replace("Z", "+00:00"))
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at.timestamp(), at.timestamp() + 1


def matches(message: Message, query: dict[str, str]) -> bool:
    """Whether a message is in a list with these filters. A message that was not sent yet is in none with a date."""
    if (to := query.get("To")) and message.to != to:
        return False
    if (sender := query.get("From")) and message.sender != sender:
        return False
    for name in ("DateSent", "DateSent>", "DateSent<"):
        if not (value := query.get(name)):
            continue
        if message.sent is None:
            return False
        start, end = _moment(value)
        if name == "DateSent":  # a day's grain, whatever the hour given
            start, end = _moment(datetime.fromtimestamp(start, UTC).date().isoformat())
            if not start <= message.sent < end:
                return False
        elif (name == "DateSent>" and message.sent < start) or (name == "DateSent<" and message.sent >= end):
            return False
    return True


def call_json(call: Call, account: str) -> dict[str, object]:
    """A Call resource. It shows neither what was said nor where the words came from."""
    uri = f"/{API}/Accounts/{account}/Calls/{call.sid}"
    spoken = int(call.ended - call.picked_up) if call.ended and call.picked_up else None
    return {
        "account_sid": account, "annotation": None, "answered_by": call.answered_by or None, "api_version": API,
        "caller_name": None, "date_created": rfc2822(call.created), "date_updated": rfc2822(call.updated),
        "direction": "outbound-api", "duration": str(spoken or 0) if call.ended else None,
        "end_time": rfc2822(call.ended) if call.ended else None, "forwarded_from": None, "from": call.sender,
        "from_formatted": call.sender, "group_sid": None, "parent_call_sid": None,
        "phone_number_sid": _derived("PN", account, call.sender),
        "price": f"-{0.014 * (spoken // 60 + 1):.5f}" if spoken is not None else None, "price_unit": "USD",
        "queue_time": "0", "sid": call.sid, "start_time": rfc2822(call.picked_up) if call.picked_up else None,
        "status": call.status, "subresource_uris": {"events": f"{uri}/Events.json"}, "to": call.to,
        "to_formatted": call.to, "trunk_sid": None, "uri": f"{uri}.json",
    }  # fmt: skip


def page_json(
    found: list[Row], query: dict[str, str], account: str, name: str, shown: Callable[[Row], dict[str, object]],
    filters: Sequence[str],
) -> dict[str, object]:  # fmt: skip
    """One page of a list such as `Messages`, with Twilio's envelope; `filters` are kept in the links. `found` is newest
    first. Raises ValueError for a bad number.

    A page token names the message it starts after (PA) or ends before (PB), so a list that grows does not repeat.
    """
    size = max(1, min(1000, int(query.get("PageSize") or 50)))
    number = max(0, int(query.get("Page") or 0))
    start = number * size
    token = query.get("PageToken", "")
    place = next((at for at, message in enumerate(found) if message.sid == token[2:]), None) if token else None
    if place is not None:
        start = place + 1 if token.startswith("PA") else max(0, place - size)
    chosen = found[start : start + size]
    path = f"/{API}/Accounts/{account}/{name}.json"
    kept = {filtered: query[filtered] for filtered in filters if query.get(filtered)}

    def uri(page: int, page_token: str = "") -> str:
        words = {**kept, "PageSize": str(size), "Page": str(page)}
        if page_token:
            words["PageToken"] = page_token
        return f"{path}?{urlencode(words, quote_via=quote)}"

    return {
        "first_page_uri": uri(0),
        "end": number * size + len(chosen) - 1 if chosen else 0,
        "next_page_uri": uri(number + 1, "PA" + chosen[-1].sid) if start + size < len(found) else None,
        "page": number,
        "page_size": size,
        "previous_page_uri": uri(number - 1, "PB" + chosen[0].sid) if number and chosen else None,
        name.lower(): [shown(entry) for entry in chosen],
        "start": number * size,
        "uri": uri(number, token),
    }


def _derived(prefix: str, *parts: str) -> str:
    return prefix + md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()


def account_json(config: SimulatorConfig, started: float) -> dict[str, object]:
    """The Account resource. Its auth token is not shown."""
    uri = f"/{API}/Accounts/{config.account_sid}"
    return {
        "auth_token": None,
        "date_created": rfc2822(started),
        "date_updated": rfc2822(started),
        "friendly_name": "Pretend carrier",
        "owner_account_sid": config.account_sid,
        "sid": config.account_sid,
        "status": "active",
        "subresource_uris": {
            "calls": f"{uri}/Calls.json",
            "incoming_phone_numbers": f"{uri}/IncomingPhoneNumbers.json",
            "messages": f"{uri}/Messages.json",
        },
        "type": "Full",
        "uri": f"{uri}.json",
    }


def caller_ids_json(config: SimulatorConfig) -> dict[str, object]:
    """The list of numbers of other people's that may be called from: none."""
    first = f"/{API}/Accounts/{config.account_sid}/OutgoingCallerIds.json?PageSize=50&Page=0"
    return {
        "end": 0, "first_page_uri": first, "outgoing_caller_ids": [], "next_page_uri": None, "page": 0,
        "page_size": 50, "previous_page_uri": None, "start": 0, "uri": first,
    }  # fmt: skip


def numbers_json(config: SimulatorConfig, query: dict[str, str], started: float) -> dict[str, object]:
    """The list of the account's phone numbers: the one sender, unless the filter says another."""
    path = f"/{API}/Accounts/{config.account_sid}/IncomingPhoneNumbers"
    wanted = query.get("PhoneNumber", "").replace("*", "")
    sid = _derived("PN", config.account_sid, config.sender)
    number = {
        "account_sid": config.account_sid, "address_requirements": "none", "address_sid": None,
        "api_version": API, "beta": False, "bundle_sid": None,
        "capabilities": {"voice": True, "sms": True, "mms": False, "fax": False},
        "date_created": rfc2822(started), "date_updated": rfc2822(started), "emergency_address_sid": None,
        "emergency_address_status": "unregistered", "emergency_status": "Inactive",
        "friendly_name": config.sender, "identity_sid": None, "origin": "twilio",
        "phone_number": config.sender, "sid": sid, "sms_application_sid": "", "sms_fallback_method": "POST",
        "sms_fallback_url": "", "sms_method": "POST", "sms_url": config.inbound_url, "status": "in-use",
        "status_callback": "", "status_callback_method": "POST", "trunk_sid": None, "type": "local",
        "uri": f"{path}/{sid}.json", "voice_application_sid": "", "voice_caller_id_lookup": False,
        "voice_fallback_method": "POST", "voice_fallback_url": "", "voice_method": "POST",
        "voice_receive_mode": "voice", "voice_url": "",
    }  # fmt: skip
    found = [number] if wanted in config.sender else []
    first = f"{path}.json?PageSize=50&Page=0"
    return {
        "end": 0, "first_page_uri": first, "incoming_phone_numbers": found, "next_page_uri": None, "page": 0,
        "page_size": 50, "previous_page_uri": None, "start": 0, "uri": first,
    }  # fmt: skip
