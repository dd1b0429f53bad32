"""What a text message costs, and its one form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.channels.sms_text import (
    RESERVED_WORDS,
    SmsParts,
    compose_sms,
    encoding,
    non_gsm_characters,
    segments,
    units,
)

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "^{}\\[~]|€\f"
LINK = "https://muster.example.com/a/a2b3c4d5e6f7g2h3i4j5"


@pytest.mark.parametrize(
    ("text", "alphabet", "length", "parts"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("a" * 459, "GSM-7", 459, 3),
        ("a" * 460, "GSM-7", 460, 4),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        # 153 septets hold 76 pairs: the 77th goes whole to the next part, and 306 septets no longer fit into two
        ("€" * 153, "GSM-7", 306, 3),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),
        ("’" + "a" * 69, "UCS-2", 70, 1),
        ("’" + "a" * 70, "UCS-2", 71, 2),
        ("’" + "a" * 133, "UCS-2", 134, 2),
        ("’" + "a" * 134, "UCS-2", 135, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("😀" * 36, "UCS-2", 72, 2),
        ("😀" * 67, "UCS-2", 134, 3),  # 67 units hold 33 pairs
        ("€’", "UCS-2", 2, 1),  # an extension character counts two only in GSM-7
        ("ç", "UCS-2", 1, 1),
        ("Ç", "GSM-7", 1, 1),
    ],
)
def test_a_text_costs_what_the_carrier_bills(text: str, alphabet: str, length: int, parts: int) -> None:
    assert (encoding(text), units(text), segments(text)) == (alphabet, length, parts)


def plain_count(text: str) -> int:
    """Twilio's rules, the slow way: lists of units, filled part by part."""
    if all(c in BASIC or c in EXTENSION for c in text):
        pieces, alone, room = [["ESC", c] if c in EXTENSION else [c] for c in text], 160, 153
    else:
        encoded = [c.encode("utf-16-be") for c in text]
        pieces, alone, room = [[u[i : i + 2].hex() for i in range(0, len(u), 2)] for u in encoded], 70, 67
    if len([unit for piece in pieces for unit in piece]) <= alone:
        return 1
    parts: list[list[str]] = [[]]
    for piece in pieces:
        if len(parts[-1]) + len(piece) > room:
            parts.append([])
        parts[-1].extend(piece)
    return len(parts)


characters = st.sampled_from(BASIC + EXTENSION) | st.sampled_from(EXTENSION + "a") | st.sampled_from("’😀çж日a")


@given(st.lists(characters, max_size=500).map("".join))
def test_segments_agree_with_a_plain_count(text: str) -> None:
    assert segments(text) == plain_count(text)


@given(st.lists(st.sampled_from(BASIC + EXTENSION), max_size=500).map("".join))
def test_segments_of_plain_texts_agree_with_a_plain_count(text: str) -> None:
    assert encoding(text) == "GSM-7"
    assert segments(text) == plain_count(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), st.text(max_size=20))
def test_a_longer_text_never_costs_less(text: str, more: str) -> None:
    assert segments(text + more) >= segments(text)
    assert encoding(text) == ("UCS-2" if non_gsm_characters(text) else "GSM-7")


def test_characters_outside_gsm_are_named_once_in_order() -> None:
    assert non_gsm_characters("It’s “down” – it’s down") == ["’", "“", "”", "–"]
    assert non_gsm_characters("cost: 5 € [net] ~ a|b {c} \\ ^") == []


def test_a_text_holds_link_and_code_and_ends_with_how_to_answer() -> None:
    text = compose_sms("  Tills\n are   down. ", link=LINK, code="K7", drill=False)
    assert text == f"Tills are down. {LINK} Code K7. Reply 1 OK, 2 need help, 3 cannot"


def test_a_drill_begins_and_ends_with_drill() -> None:
    text = compose_sms("Tills are down.", link=LINK, code="K7", drill=True)
    assert text.startswith("DRILL")
    assert text.endswith("DRILL")
    assert text == f"DRILL. Tills are down. {LINK} Code K7. Reply 1 OK, 2 need help, 3 cannot DRILL"
    assert SmsParts("Tills are down.", LINK, "K7", drill=True).text() == text


@pytest.mark.parametrize("code", ["K", "K7W22", "k7", "K 7", "", "Ж7"])
def test_a_code_that_could_not_be_read_back_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="reply code"):
        compose_sms("Down.", link=LINK, code=code, drill=False)


@pytest.mark.parametrize("link", ["", "https://a b/c", "https://a\n"])
def test_a_link_that_would_break_is_refused(link: str) -> None:
    with pytest.raises(ValueError, match="link"):
        compose_sms("Down.", link=link, code="K7", drill=False)


def test_our_own_way_of_answering_asks_for_no_reserved_word() -> None:
    words = compose_sms("", link="https://x", code="K7", drill=True).upper().replace(",", " ").split()
    asked = words[words.index("REPLY") :]
    # "2 need help" names what 2 means; HELP alone is never what one is to send.
    assert set(asked) & set(RESERVED_WORDS) == {"HELP"}
    assert "1" in asked
