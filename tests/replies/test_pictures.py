"""Pictures and other media that come with a text: kept with number, kind and address, never instead of an answer."""

from __future__ import annotations

import pytest

from app.channels.twilio_media import is_ours
from app.kernel.db import row
from app.replies.lost import LostTexts
from tests.journeys.crew import Crew, Desk, Person, a_number, a_person
from tests.stack import ACCOUNT, AUTH_TOKEN

ACCOUNT_MEDIA = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media"
PICTURE = {"content_type": "image/jpeg", "url": f"{ACCOUNT_MEDIA}/ME1"}
SOUND = {"content_type": "audio/amr", "url": f"{ACCOUNT_MEDIA}/ME2"}


def with_media(*media: dict[str, str]) -> dict[str, str]:
    """The fields that a carrier adds for these media."""
    form = {"NumMedia": str(len(media))}
    for place, medium in enumerate(media):
        form |= {f"MediaUrl{place}": medium["url"], f"MediaContentType{place}": medium["content_type"]}
    return form


async def told(desk: Desk, crew: Crew, *people: Person) -> str:
    key = await crew.told(*people)
    await desk.hand_over()
    desk.clock.advance(seconds=60)
    return key


async def test_a_picture_without_words_is_a_report(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    answer = await the_desk.text(person.mobile, "", **with_media(PICTURE))
    assert "not yet your answer" in answer
    (report,) = await the_desk.reports(key)
    assert (report["text"], report["media"], report["person_id"]) == ("", [PICTURE], person.id)


async def test_a_picture_with_words_is_kept_with_them(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "look at till 4", **with_media(PICTURE, SOUND))
    (report,) = await the_desk.reports(key)
    assert (report["text"], report["media"]) == ("look at till 4", [PICTURE, SOUND])


async def test_an_answer_with_a_picture_counts_and_the_picture_is_kept(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    first = await told(the_desk, at_the_desk, person)
    second = await told(the_desk, at_the_desk, person)
    code = await the_desk.code(first, person)
    assert "1 OK" in await the_desk.text(person.mobile, f"1 {code}", **with_media(PICTURE))
    assert (await at_the_desk.person(first, person))["status"] == "acknowledged"
    (report,) = await the_desk.reports(first)
    assert (report["text"], report["media"]) == (f"1 {code}", [PICTURE])
    assert await the_desk.reports(second) == [], "it belongs to the incident that was answered"


async def test_a_text_without_media_has_none(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "tills down", NumMedia="0")
    await the_desk.text(person.mobile, "1", NumMedia="0")
    (report,) = await the_desk.reports(key)
    assert report["media"] == []


async def test_a_count_that_is_no_number_costs_nobody_their_words(the_desk: Desk, at_the_desk: Crew) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    for wrong in ("x", "-1", "", "99999", "²"):
        await the_desk.text(person.mobile, "tills down", NumMedia=wrong)
    assert [report["media"] for report in await the_desk.reports(key)] == [[]] * 5


@pytest.mark.parametrize("count", ["", "x", "-1", "0"])
async def test_a_picture_that_is_named_is_kept_whatever_the_count_says(
    the_desk: Desk, at_the_desk: Crew, count: str
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    await the_desk.text(person.mobile, "", **(with_media(PICTURE) | {"NumMedia": count}))
    assert [report["media"] for report in await the_desk.reports(key)] == [[PICTURE]]


async def test_a_phone_of_the_simulator_sends_a_picture_that_the_account_alone_can_see(
    the_desk: Desk, at_the_desk: Crew
) -> None:
    person = a_person()
    key = await told(the_desk, at_the_desk, person)
    the_desk.simulator.simulator.world.now = lambda: the_desk.clock.now().timestamp()
    asked = {"body": "", "media": ["image/png", "text/vcard"]}
    sent = (await the_desk.carrier.post(f"/simulator/phones/{person.mobile}/reply", json=asked)).json()
    assert sent["status"] == 0, "nobody listens at our address"
    the_desk.clock.advance(seconds=22)
    assert await LostTexts(the_desk.house, the_desk.providers).step() == 1
    (report,) = await the_desk.reports(key)
    assert [medium["content_type"] for medium in report["media"]] == ["image/png", "text/vcard"]
    picture = report["media"][0]["url"]
    assert (await the_desk.carrier.get(picture)).status_code == 401
    shown = await the_desk.carrier.get(picture, auth=(ACCOUNT, AUTH_TOKEN))
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
    assert shown.content.startswith(b"\x89PNG")
    the_desk.api._transport.app.state.media = the_desk.providers.by_channel["sms"]  # type: ignore[attr-defined]
    at = f"/api/v1/incidents/{key}/field-reports/{report['id']}/media"
    fetched = await the_desk.api.get(f"{at}/1")
    assert (fetched.status_code, fetched.content) == (200, shown.content)
    assert fetched.headers["content-disposition"].startswith("attachment")
    assert fetched.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in fetched.headers["content-security-policy"]
    assert (await the_desk.api.get(f"{at}/3")).status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1",
        "https://api.twilio.com.evil.example/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1",
        "https://api.twilio.com@evil.example/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1",
        "https://user:x@api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1",
        "https://api.twilio.com:8443/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1",
        "http://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1",
        "https://api.twilio.com/2010-04-01/Accounts/AC2/Messages/MM1/Media/ME1",
        "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/../../Calls",
        "https://api.twilio.com/2010-04-01/Accounts/AC1.json",
        "file:///etc/passwd",
        "https://[",
        "",
    ],
)
def test_only_a_medium_of_our_own_account_is_ever_asked_for(url: str) -> None:
    assert not is_ours(url, "https://api.twilio.com", "AC1")
    assert is_ours(f"{ACCOUNT_MEDIA}/ME1", "https://api.twilio.com", "AC1")


@pytest.mark.parametrize("media", [["image/tiff"], "image/png", ["image/png"] * 11, [1]])
async def test_the_simulator_says_what_it_cannot_send(the_desk: Desk, media: object) -> None:
    asked = {"body": "look", "media": media}
    refused = await the_desk.carrier.post(f"/simulator/phones/{a_number()}/reply", json=asked)
    assert refused.status_code == 422
    assert "media" in refused.json()["error"]


async def test_a_strangers_picture_is_recorded_and_not_answered(the_desk: Desk, at_the_desk: Crew) -> None:
    stranger = a_number()
    assert await the_desk.text(stranger, "", sid="SMpicturefromastranger", **with_media(PICTURE)) == ""
    async with the_desk.house.db.begin() as session:
        kept = await row(session, "SELECT outcome, media FROM inbound_message WHERE sid = 'SMpicturefromastranger'")
    assert kept is not None
    assert (kept["outcome"], kept["media"]) == ("unknown_sender", [PICTURE])
