"""What a text means: an answer only when it is plainly one, a carrier's word only when it stands alone."""

from __future__ import annotations

import csv
import itertools

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from app.channels.sms_text import RESERVED_WORDS
from app.replies.help_words import HELP_WORDS
from app.replies.keywords import ANSWERS, CODE_WORDS, LABELS, TAILS
from app.replies.parse import Answer, CarrierWord, Meaning, Reaction, Words, parse
from tests.conftest import ROOT


def listed(text: str) -> list[str]:
    """The texts between the bars and the ends of lines."""
    return [item.strip() for line in text.splitlines() for item in line.split("|") if item.strip()]


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
    ("(K7) 1", Answer("ok", "K7")), ("[k7] 1", Answer("ok", "K7")), ("1, K7", Answer("ok", "K7")),
    ("1 OK K7", Answer("ok", "K7")), ("K7 1 OK", Answer("ok", "K7")), ("1 K7 ok", Answer("ok", "K7")),
    ("1 OK (K7)", Answer("ok", "K7")), ("2 need help K7", Answer("need_help", "K7")),
    ("need help K7 2", Answer("need_help", "K7")), ("1 code K7", Answer("ok", "K7")), ("Code K7 1", Answer("ok", "K7")),
    ("code: K7. 1", Answer("ok", "K7")), ("my code is k7, 3", Answer("cannot", "K7")), ("1 A2", Answer("ok", "A2")),
    # a digit with its label
    ("1 OK", OK), ("Ok 1", OK), ("ok 1", OK), ("1ok", OK), ("1 - OK", OK), ("2 need help", HELP),
    ("2 - need help", HELP),
    ("need help 2", HELP), ("2needhelp", HELP), ("3 cannot", CANNOT), ("can't 3", CANNOT), ("3 cant", CANNOT),
    # what may stand before an answer
    ("answer: 1", OK), ("Reply 2", HELP), ("Option 2", HELP), ("option2", HELP), ("number 3", CANNOT), ("#2", HELP),
    ("No. 2", HELP), ("no, 2", HELP), ("No, can't", CANNOT), ("№ 1", OK),
    # polite tails
    ("ok thanks", OK), ("OK, thanks!", OK), ("1 thank you", OK), ("1 thx 👍", OK), ("ty 1", OK), ("ok cheers", OK),
    ("okay thanks a lot", OK), ("1 OK thank you very much", OK), ("need help!!! please", HELP), ("2 please 🙏", HELP),
    ("please 2", HELP), ("1 K7 thanks", Answer("ok", "K7")),
    # with what was meant for a code
    ("2 Z9", Answer("need_help", "Z9")), ("1 B7", Answer("ok", "B7")), ("2 K1", Answer("need_help", "K1")),
    # digits of other scripts
    ("١", OK), ("۲", HELP), ("३", CANNOT), ("১", OK), ("๒", HELP), ("٢ need help", HELP), ("❶", OK),
    ("1️⃣ OK", OK), ("2!!!", HELP), ("2 🆘", HELP),
    # as the question back prints it: whether it is the title of that question is for the caller to see
    ("2 Y2 (Second one)", Answer("need_help", "Y2", "Second one", bracketed=True)),
    ("2 Y2 (Second one", Answer("need_help", "Y2", "Second one", bracketed=True)),
    ("1 K7 (Tills (north)).", Answer("ok", "K7", "Tills (north)", bracketed=True)),
    ("1 K7 [Gates] thanks", Answer("ok", "K7", "Gates", bracketed=True)),
    ("2 Y2 Second one", Answer("need_help", "Y2", "second one")),
    ("1 OK (Exercise) K7", Answer("ok", "K7", "Exercise", bracketed=True)),
    ("1 OK (Exercise)", Answer("ok", None, "Exercise", bracketed=True)),
    ("1 K7 (DRILL: Gates)", Answer("ok", "K7", "DRILL: Gates", bracketed=True)),
    # above a signature or quoted text
    ("1\n--\nGus Hay", OK), ("1\n-- \nGus Hay\nShift lead", OK), ("1 OK\n\nSent from my iPhone", OK),
    ("2\r\nGet Outlook for iOS", HELP), ("1 Sent from my phone", OK), ("3\n> Tills are down", CANNOT),
    ("1 OK\n> Reply 1 OK, 2 need help, 3 cannot", OK), ("> Reply 1 OK, 2 need help, 3 cannot\n2", HELP),
    ("1\n\nOn Mon, 2 March 2026 at 03:00, Muster wrote:\n> 2 need help", OK),
    ("1\n-----Original Message-----\nReply 1 OK, 2 need help", OK), ("2\nEnvoyé de mon iPhone", HELP),
    ("1\nTills are down https://m/a/x Code K7. Reply 1 OK, 2 need help, 3 cannot", OK),
    ("1 K7\n— Gus", Answer("ok", "K7")), ("1\nBest regards\nGus", OK),
    ("1\n\nThanks\n\nSent from my phone", OK),
]  # fmt: skip

# No policy, but examples: a word that becomes a keyword moves from here to TABLE.
NOT_ANSWERS = listed(
    """
    :) | ? | 4 | 0 | 11 | 12 | 1.5 | 2 of us | yes in 2 hours | 1 or 2? | 2 or 3 | 1 hour late |
    1 K7 K8 | 1 K7 (3) |
    ok but tills 3 and 4 are down | ok?no | need | can | can not come | 1 1 | ack ack | one | K7
    | 1 7K | K7 K7 | 2 hours late | 2 more tills | 1 we have no cash | at gate 4. 2 hours late |
    oui | si | yes please | no | n | y | 👍👍 great | okk | 4 K7 | K7 4 |
    1 cannot | 3 ok | 1 yes | yes 1 | no 1 | No. 1 | ok will do | I can't | thanks | please | code K7 | 1 code | £2
    | $1 | 1% | 2nd | 1st | 2x | answer | 1 great job | liked the new till | Loved it
    """
)
NOT_ANSWERS.extend(["", " ", "1" * 4000, "1\nTills are down", "ok\nbut tills are down"])

MAYBE_HELP = listed(
    """
    I need help | help us at gate 4 | emergency | a customer collapsed | A customer collapsed | help me |
    somebody is hurt at gate 4 | can you help with the tills later? | we need help at gate 2 | need help asap please
    | HELP please | help wanted | hlep | emergancy | heeeelp | ambulence | Fire at gate 2 | call 911 |
    OK need help | 1 need help | ok, need help | 2 HELP | 1 or need help | 3 need help | not breathing |
    il y a un blessé | ¡Ayuda! | ayúdame por favor | Notfall | 救命 | S.O.S. | 🆘 | 1 🆘 | 🔥 | 22 | 2 2 | 2 K7 M4 |
    1 K7, 2 M4 | he has a gun | she fainted | we are trapped in the lift | HEART ATTACK!! | unconcious |
    they have weapons | he was stabbed | I am not ok | j'ai besoin d'aide | 2 2 2 please | 2, need help, need help |
    2 we have no cash | 2, the till is down | No cash here. 2 | 2 not 1 | ok 2 | 2 ok | 1 2 | 1/2 | 1 2 3 |
    the till is down; 2 | yardım edin | chest pains | I do not feel safe
    """
)
MAYBE_HELP.extend(["1\nhelp me", "somebody is hurt\n> Reply 1 OK"])
MAYBE_HELP.extend(["2\nPlease call me", "No cash left\n2", "1\n2", "1\n--\n2"])

MAYBE_STOP = listed(
    """
    Stop. Thank you | please stop texting me | unsubscribe me | stop it | please stop | cancel my order | 1 STOP |
    STOP 1 | I want to opt out | opt-out please | STOP STOP | Please remove me from this list | wrong number |
    Don't text me again | no more texts please
    """
)

REACTIONS = listed(
    """
    Liked “Reply 1 OK” | Loved “2” | Disliked “Tills are down. Reply 1 OK, 2 need help, 3 cannot” | Laughed at “1” |
    Emphasized “help” | Emphasised “help” | Questioned “Reply 1 OK, 2 need help, 3 cannot” | Liked "1" |
    Removed a like from “Reply 1 OK” | Removed a heart from “x” | Reacted 👍 to “Reply 1 OK” | Liked an image |
    Loved 2 photos | 👍 to “Reply 1 OK” | ❤️ to “Code K7” | A aimé « Reply 1 OK » | Le gusta “Reply 1 OK” |
    a attribué la mention « Adore » à « Reply 1 OK » | Gefällt mir “Tills. Reply 1 OK, 2 need help, 3 cannot” | 👍 |
    👍🏽👍🏽 | ❤️ | 👎 | ✅ | 👍! | 🙏 | ‼️
    """
)
REACTIONS.extend(
    [
        "\u200a\u200b\U0001f44d\u200b to \u201c\u200aReply 1 OK\u200a\u201d\u200a",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    ]
)

NO_REACTIONS = listed(
    """
    Liked “Reply 1 OK” but help me | Loved “a” and “b” | Liked "1" but I need help at "gate 4" | I liked “it” |
    Reacted 🆘 to “Reply 1 OK” | To “gate 4” | help at “Reply 1 OK, 2 need help, 3 cannot” | Liked | Liked it
    """
)

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


@pytest.mark.parametrize("text", MAYBE_HELP, ids=ascii)
def test_a_possible_cry_for_help_is_marked_and_never_acknowledges(text: str) -> None:
    assert parse(text) == Words(text, maybe_help=True)


@pytest.mark.parametrize("text", MAYBE_STOP, ids=ascii)
def test_stop_inside_a_sentence_is_marked(text: str) -> None:
    assert parse(text) == Words(text, maybe_stop=True)


@pytest.mark.parametrize("text", REACTIONS, ids=ascii)
def test_a_reaction_is_neither_an_answer_nor_words(text: str) -> None:
    assert parse(text) == Reaction()


@pytest.mark.parametrize("text", NO_REACTIONS, ids=ascii)
def test_words_that_only_look_like_a_reaction_are_words(text: str) -> None:
    assert isinstance(parse(text), Words)


def rows() -> list[dict[str, str]]:
    with (ROOT / "tests" / "data" / "replies.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def named(meant: Meaning) -> str:
    """The meaning as tests/data/replies.csv calls it."""
    match meant:
        case Answer():
            return meant.response
        case CarrierWord():
            return meant.kind + (" maybe_help" if meant.word == "help" else "")
        case Reaction():
            return "reaction"
        case Words():
            return "report" + " maybe_help" * meant.maybe_help + " maybe_stop" * meant.maybe_stop


@pytest.mark.parametrize("row", rows(), ids=lambda row: ascii(row["typed"]))
def test_what_is_typed_means_what_the_table_says(row: dict[str, str]) -> None:
    meant = parse(row["typed"])
    assert named(meant) == row["means"]
    if isinstance(meant, Answer):
        assert meant.code == ("V8" if "v8" in row["typed"].casefold() else None)


def test_a_name_below_is_a_signature_and_what_may_be_more_is_kept() -> None:
    assert parse("1\n\nGUS HAY", ["Gus Hay", "Ann Lee"]) == Answer("ok", signature=frozenset({"gus", "hay"}))
    for text in ("1\nGus", "1 - Gus", "1 Gus", "ok thanks Gus", "OK, Gus.", "1\nThanks Gus"):
        assert parse(text, ["Gus Hay"]) == Answer("ok", signature=frozenset({"gus"}))
    assert parse("1 burns", ["Ann Burns"]) == Words("1 burns", maybe_help=True)
    assert parse("1\nGus") == Words("1\nGus")
    for text in ("1\nGus Hay", "1\nTills Down", "1\n— tills down"):
        assert parse(text) == Answer("ok", below=Words(text))
    assert parse("1\n--\nhelp me") == Answer("ok", below=Words("1\n--\nhelp me", maybe_help=True))
    for text in ("1\nNot Ok", "1\nNeed Help", "1\nCan Not", "1\nNo Way"):
        assert isinstance(parse(text), Words), text


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
    for text in (f"{word} it", f"please {word}", f"{word} {word}", f"do not {word} now", f"{word} K7", f"1 {word}"):
        assert parse(text) == Words(text, maybe_help=word == "HELP", maybe_stop=KINDS.get(word) == "opt_out")


@given(st.text())
@example("\0")
@example("\ud800")
@example("1" + "\u0301" * 5000)
def test_whatever_comes_has_one_meaning(text: str) -> None:
    meant = parse(text)
    assert isinstance(meant, Answer | CarrierWord | Reaction | Words)
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


RESERVED = st.sampled_from([word.casefold() for word in RESERVED_WORDS])
AROUND = st.text(max_size=30).filter(lambda text: any(c.isalnum() for c in text))


@given(AROUND, RESERVED, AROUND)
@example("1", "help", "2")
def test_a_carriers_word_counts_only_alone(before: str, word: str, after: str) -> None:
    assert not isinstance(parse(f"{before} {word} {after}"), CarrierWord | Answer)


ANSWER = st.sampled_from(sorted(ANSWERS))
BETWEEN = st.sampled_from(
    [" ", ", ", "\n", " or ", " / ", " and ", " (", "? ", " thanks ", " K7 ", "\n--\n", "\n> ok\n", " code M4 "]
)


@given(ANSWER, BETWEEN, ANSWER, st.sampled_from(["", ")", "!", " K7", " please", "\n"]))
def test_two_different_answers_never_acknowledge(one: str, between: str, other: str, end: str) -> None:
    assume(ANSWERS[one] != ANSWERS[other])
    text = one + between + other + end
    meant = parse(text)
    assert isinstance(meant, Words)
    assert meant.maybe_help or "help" not in one + other


KNOWN = {*"123", *(word for row in (*LABELS["en"], *TAILS, *CODE_WORDS) for word in row.split())}
LETTERS = st.text(st.characters(categories=["L", "N"]), min_size=3, max_size=12).filter(
    lambda word: word.casefold() not in KNOWN and not word[1:].isdigit()
)


@given(st.lists(LETTERS, min_size=1, max_size=8), ANSWER, st.booleans())
def test_an_answer_inside_a_sentence_never_answers(words: list[str], answer: str, first: bool) -> None:
    text = " ".join([answer, *words] if first else [*words, answer])
    assume(not isinstance(parse(" ".join(words)), Answer))
    assert isinstance(parse(text), Words)


@pytest.mark.parametrize("row", sorted(HELP_WORDS))
def test_every_word_of_the_table_is_found_in_a_sentence(row: str) -> None:
    word = row.rstrip("*")
    for text in (f"{word} at gate 4", f"we have {word.upper()}!", f"- {word.title()}"):
        assert parse(text) in (Words(text, maybe_help=True), CarrierWord("ask_back", word), HELP), text


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
