"""What a text means: an answer only when it is plainly one, a carrier's word only when it stands alone."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.channels.sms_text import RESERVED_WORDS
from app.replies.keywords import ANSWERS
from app.replies.parse import Answer, CarrierWord, Words, parse

OK, HELP, CANNOT = Answer("ok"), Answer("need_help"), Answer("cannot")

TABLE: list[tuple[str, Answer]] = [
    ("1", OK), ("2", HELP), ("3", CANNOT),
    ("ok", OK), ("OK", OK), ("Ok", OK), ("oK", OK), ("okay", OK), ("ack", OK), ("ACK", OK), ("Ack.", OK),
    ("need help", HELP), ("Need Help", HELP), ("NEED  HELP", HELP), ("need\nhelp", HELP), ("need-help", HELP),
    ("cannot", CANNOT), ("Can't", CANNOT), ("can’t", CANNOT), ("CAN'T!", CANNOT),
    # punctuation, quotes, brackets and white space around
    (" 1 ", OK), ("1.", OK), ("1!", OK), ("(1)", OK), ('"1"', OK), ("'1'", OK), ("“1”", OK), ("1,", OK), ("#1", OK),
    ("*2*", HELP), ("3)", CANNOT), ("\t1\r\n", OK), ("1\u00a0", OK), ("... ok ...", OK), ("ok :)", OK), ("OK!!", OK),
    # width and style
    ("１", OK), ("２", HELP), ("３", CANNOT), ("ＯＫ", OK), ("ｏｋ", OK), ("①", OK), ("𝟏", OK), ("𝐎𝐊", OK),
    # emoji and invisible marks
    ("1 👍", OK), ("👍1", OK), ("1️⃣", OK), ("2️⃣ 😱😱", HELP), ("OK 👍🏽", OK), ("✅ ok", OK), ("\u200b1\u200d", OK),
    ("\ufeff1", OK), ("1\u202e", OK), ("👨‍👩‍👧 3", CANNOT), ("ok ❤️", OK),
    # with a code
    ("1 K7", Answer("ok", "K7")), ("1 k7", Answer("ok", "K7")), ("K7 1", Answer("ok", "K7")),
    ("1K7", Answer("ok", "K7")), ("1k7.", Answer("ok", "K7")), ("1 - K7", Answer("ok", "K7")),
    ("k7: 2", Answer("need_help", "K7")), ("ok K7", Answer("ok", "K7")), ("K7 ok", Answer("ok", "K7")),
    ("need help K7", Answer("need_help", "K7")), ("3 K723", Answer("cannot", "K723")), ("１ Ｋ７", Answer("ok", "K7")),
    ("1 (K7)", Answer("ok", "K7")), ("1 K7 👍", Answer("ok", "K7")), ("can't k7", Answer("cannot", "K7")),
]  # fmt: skip

# No policy, but examples: a word that becomes a keyword moves from here to TABLE.
NOT_ANSWERS = [
    "", " ", "👍", ":)", "?", "4", "0", "11", "12", "1 2", "1/2", "1.5", "½", "2 of us", "yes in 2 hours",
    "1 hour late", "ok but tills 3 and 4 are down", "not ok", "ok?no", "I need help", "need", "help me",
    "we need help at gate 2", "can", "can not come", "1 ok", "ok 1", "1 1", "ack ack", "one", "K7", "1 K7 K8", "1 7K",
    "1 K1", "1 B7", "K7 K7", "oui", "si", "stop it", "please stop", "stop the belt", "cancel my order", "the end",
    "help wanted", "yes please", "no", "n", "y", "👍👍 great", "1" * 4000, "١", "okk", "1 STOP", "STOP 1", "2 HELP",
]  # fmt: skip

KINDS = {
    **dict.fromkeys(("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"), "opt_out"),
    **dict.fromkeys(("START", "UNSTOP"), "opt_in"), **dict.fromkeys(("YES", "HELP"), "ask_back"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "meant"), TABLE, ids=[ascii(text) for text, _ in TABLE])
def test_an_answer_is_understood(text: str, meant: Answer) -> None:
    assert parse(text) == meant


@pytest.mark.parametrize("text", NOT_ANSWERS, ids=[ascii(text)[:30] for text in NOT_ANSWERS])
def test_anything_else_is_passed_on_whole(text: str) -> None:
    assert parse(text) == Words(text)


@pytest.mark.parametrize("word", RESERVED_WORDS)
def test_a_carriers_word_is_never_an_answer(word: str) -> None:
    for spelling in (word, word.lower(), word.title(), f" {word}. ", f"{word}!", f"“{word}”"):
        meant = parse(spelling)
        if word == "INFO":
            assert meant == Words(spelling)
        else:
            assert meant == CarrierWord(KINDS[word], word.lower())


@pytest.mark.parametrize("word", RESERVED_WORDS)
def test_a_carriers_word_in_a_sentence_is_only_words(word: str) -> None:
    for text in (f"{word} it", f"please {word}", f"{word} {word}", f"do not {word} now", f"{word} K7"):
        assert parse(text) == Words(text)


@given(st.text())
@example("\0")
@example("\ud800")
@example("1" + "\u0301" * 5000)
def test_whatever_comes_has_one_meaning(text: str) -> None:
    meant = parse(text)
    assert isinstance(meant, Answer | CarrierWord | Words)
    if isinstance(meant, Words):
        assert meant.text == text


MARKS = st.text(st.sampled_from(' .,!?()[]"“”*#:;-_…👍🙏❤️\u200b\ufeff\n\t\u00a0'), max_size=6)


@given(MARKS, st.sampled_from(sorted(ANSWERS)), MARKS, st.booleans(), st.booleans())
def test_marks_case_and_width_around_an_answer_change_nothing(
    before: str, word: str, after: str, shout: bool, wide: bool
) -> None:
    text = word.upper() if shout else word
    if wide:
        text = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    assert parse(before + text + after) == Answer(ANSWERS[word])


LETTERS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)


@given(st.lists(LETTERS, min_size=3, max_size=8))
def test_a_sentence_never_answers(words: list[str]) -> None:
    """Three words and more are never an answer; `need help` with a code is the only one of three."""
    text = " ".join(words)
    meant = parse(text)
    assert isinstance(meant, Words) or (isinstance(meant, Answer) and meant.response == "need_help" and meant.code)


def test_every_code_that_can_be_given_is_read_back_and_is_no_word_of_anybodys() -> None:
    letters, digits = "ACDEFHJKLMNPRTUVWXY", "23456789"
    reserved = {word.casefold() for word in RESERVED_WORDS} | set(ANSWERS)
    for letter in letters:
        for length in (1, 2):
            for number in itertools.product(digits, repeat=length):
                code = letter + "".join(number)
                assert code.casefold() not in reserved
                assert parse(f"1 {code}") == Answer("ok", code)
                assert parse(f"2{code.lower()}") == Answer("need_help", code)
                assert parse(code) == Words(code)
