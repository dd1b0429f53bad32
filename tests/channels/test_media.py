"""What comes with a text, counted in words."""

from __future__ import annotations

import pytest

from app.channels.media import MOST_MEDIA, Medium, clean, counted, read


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ([], ""),
        (["image/jpeg"], "1 picture"),
        (["image/jpeg", "IMAGE/PNG"], "2 pictures"),
        (["audio/amr"], "1 sound"),
        (["video/3gpp"], "1 video"),
        (["text/vcard"], "1 file"),
        (["application/pdf", "image/gif", ""], "2 files, 1 picture"),
    ],
)
def test_media_are_counted_by_their_kind(types: list[str], said: str) -> None:
    assert counted([Medium(one, "https://carrier.example/m") for one in types]) == said


def test_what_no_database_takes_is_left_out_and_the_medium_stays() -> None:
    (one,) = clean([Medium("image/\0jpeg", "https://carrier.example/\ud83d")])
    assert (one.content_type, one.url) == ("image/jpeg", "https://carrier.example/\ufffd")


def test_no_text_brings_more_than_a_carrier_can_send() -> None:
    assert len(clean([Medium("image/png", "https://carrier.example/m")] * 500)) == MOST_MEDIA


def test_what_is_kept_reads_back_the_same() -> None:
    medium = Medium("image/png", "https://carrier.example/m")
    assert read([medium.as_dict()]) == (medium,)
