"""What is set up wrongly is known before the first real send: on /readyz, in the preview, by an alarm."""

from __future__ import annotations

from app.bulletins import checks
from app.bulletins import service as bulletins
from app.channels.twilio import TwilioSms
from app.incidents import service as incidents
from app.readiness import service
from tests.journeys.crew import Crew, Desk, a_person


async def _said(desk: Desk, key: str) -> tuple[list[str], list[str]]:
    """The preview's (warnings, notes) about channels."""
    async with desk.house.db.begin() as session:
        incident = await incidents.get(session, key)
        shown = await bulletins.show(session, desk.house, incident, await bulletins.get(session, incident["id"], 1))
    return tuple(  # type: ignore[return-value]
        [entry["message"] for entry in shown[level] if entry["where"] == "channels"] for level in ("warnings", "notes")
    )


async def _probed(desk: Desk) -> dict[str, tuple[bool, str]]:
    return await service.probe(desk.house, desk.providers, service.Senders())


def test_one_fault_of_one_provider_is_said_once() -> None:
    away = {"detail": "Twilio cannot be reached", "misconfigured": False}
    refused = {"detail": "refused as if it never existed", "misconfigured": True}
    found = checks.channel_findings(
        [{"channel": "sms", **away}, {"channel": "email", **refused}, {"channel": "voice", **away}]
    )
    assert [(finding.level, finding.message) for finding in found] == [
        ("note", "no text and no call goes out, each waits until it can: Twilio cannot be reached"),
        ("warning", "no email can go out: refused as if it never existed"),
    ]


async def test_a_sender_that_the_provider_refuses(the_desk: Desk, at_the_desk: Crew) -> None:
    await at_the_desk.hire(a_person())
    key = await at_the_desk.declare(severity="SEV3")
    await the_desk.call("POST", f"/incidents/{key}/bulletins", {"stage": "investigating", "facts": {}}, status=201)
    sms = the_desk.providers.by_channel["sms"]
    assert isinstance(sms, TwilioSms)
    own = sms.sender
    sms.sender = "+15005550099"
    try:
        found = await _probed(the_desk)
    finally:
        sms.sender = own
    assert found["sms"][0] is False
    assert "does not own MUSTER_TWILIO_SENDER" in found["sms"][1]
    (warning,), notes = await _said(the_desk, key)
    assert "no text can go out" in warning
    assert notes == []
    refused = await the_desk.api.post(f"/api/v1/incidents/{key}/bulletins/1/approve", json={})
    assert refused.status_code == 409
    assert (await service.ready(the_desk.house))["checks"]["sms"]["ok"] is False
    await _probed(the_desk)
    assert await _said(the_desk, key) == ([], [])


async def test_a_provider_that_is_only_away_is_a_note_and_holds_up_no_approval(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    await at_the_desk.hire(a_person())
    key = await at_the_desk.declare(severity="SEV3")
    await the_desk.call("POST", f"/incidents/{key}/bulletins", {"stage": "investigating", "facts": {}}, status=201)
    await the_desk.carrier.post("/simulator/faults", json={"http": "down"})
    try:
        await _probed(the_desk)
    finally:
        await the_desk.carrier.post("/simulator/faults", json={"http": None})
    warnings, (note, *_) = await _said(the_desk, key)
    assert warnings == []
    assert "Twilio cannot be reached" in note
    await _probed(the_desk)
