"""The table of fates itself: documented, complete, steady, and out of the way of ordinary numbers."""

import csv
import re
from pathlib import Path

from app.simulator.fates import CALL_FATES, FATES, MAIL_FATES, call_fate_of, fate_of, mail_fate_of, table


def test_every_row_has_its_test() -> None:
    tests = (Path(__file__).parent / "test_fates.py").read_text()
    named = {fate.key for fate in FATES if fate.refuse or fate.error}
    assert {fate.key for fate in FATES if fate.key not in named and fate.key not in tests} == set()


def test_a_call_is_decided_by_its_number_too() -> None:
    for fate in CALL_FATES:
        for auto in (True, False):
            number = f"+1500555{fate.digits}"
            assert call_fate_of(number, auto=auto, seed=1) is fate
            assert fate_of(number, auto=auto, seed=1).key == "fine"
    assert call_fate_of("+15005551001", auto=True, seed=1).key == "call_no_answer"
    ordinary = [f"+1206555{place:04}" for place in range(400)]
    assert {call_fate_of(number, auto=False, seed=1).key for number in ordinary} == {"call_no_answer"}
    drawn = [call_fate_of(number, auto=True, seed=1).key for number in ordinary]
    assert drawn == [call_fate_of(number, auto=True, seed=1).key for number in ordinary]
    assert 0.35 < drawn.count("call_ok") / len(drawn) < 0.55


def test_the_documented_table_is_the_table_in_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
    rows = re.findall(r"^\| `(\d{4})` \| `(\w+)` \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    assert rows == list(table())
    mail = re.findall(r"^\| `(\w+)@` \| (.*?) \|", page, re.MULTILINE)
    assert mail == [(fate.key, fate.shown) for fate in MAIL_FATES]


def test_ordinary_numbers_have_no_forced_fate_and_a_steady_one() -> None:
    sample = (Path(__file__).parents[1] / "data" / "people-600.csv").read_text(encoding="utf-8-sig")
    people = list(csv.DictReader(sample.splitlines()))
    digits = [re.sub(r"\D", "", person["mobile"]) for person in people]
    numbers = [f"+{one}" if len(one) == 11 else f"+1{one}" for one in digits if len(one) in (10, 11)]
    assert len(numbers) > 550
    assert {fate_of(number, auto=False, seed=1).key for number in numbers} == {"fine"}
    drawn = [fate_of(number, auto=True, seed=1).key for number in numbers]
    assert drawn == [fate_of(number, auto=True, seed=1).key for number in numbers]
    assert drawn != [fate_of(number, auto=True, seed=2).key for number in numbers]
    share = {key: drawn.count(key) / len(drawn) for key in set(drawn)}
    assert 0.5 < share["ok"] < 0.7
    assert {"late", "never", "need_help", "cannot", "report_ok"} <= share.keys()


def test_the_shares_add_up_to_everybody() -> None:
    assert sum(fate.weight for fate in FATES) == 1000
    assert sum(fate.weight for fate in MAIL_FATES) == 1000
    assert sum(fate.weight for fate in CALL_FATES) == 1000
    digits = [fate.digits for fate in FATES] + [fate.digits for fate in CALL_FATES]
    assert len(set(digits)) == len(digits)
    assert mail_fate_of("Bounce+7@example.com", auto=False, seed=1).key == "bounce"
    assert mail_fate_of("e00001@example.com", auto=False, seed=1).key == "silent"
