"""Whatever a playbook file holds, reading and checking it answer with problems."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.playbooks.checks import check
from app.playbooks.yaml_source import load
from tests.effort import tries

from .sample import SAMPLE

words = "slug :_ -_ &x *x !!int_ >-\n ---\n ...\n ${vendor} 1e9 0x1 stages facts max:_1 <<:_ |\n"
pieces = st.sampled_from("\n[]{}\"'#?%\t\r\0é😀\u2028\ufeff$~,\\@`a ") | st.sampled_from(
    [word.replace("_", " ") for word in words.split(" ")]
)


@settings(max_examples=tries(200))
@given(st.lists(pieces, max_size=40).map("".join) | st.text(max_size=60))
def test_no_text_makes_reading_or_checking_raise(text: str) -> None:
    for problem in check(load(text)):
        assert problem.line >= 1
        assert problem.column >= 1
        assert str(problem).isprintable()


@settings(max_examples=tries(200))
@given(st.binary(max_size=80) | st.text(max_size=40).map(lambda t: t.encode("utf-16")))
def test_no_bytes_make_reading_or_checking_raise(raw: bytes) -> None:
    assert check(load(raw)), "no such file is a playbook"


openings = st.sampled_from(
    [
        "[",
        "{a: ",
        "- ",
        "? ",
        "a:\n ",
        "&a [*a, ",
        "*a ",
        "!!python/object:os.system ",
        "!<x> ",
        "<<: ",
        '"',
        "|\n",
        "%TAG ",
    ]
)


@settings(max_examples=tries(40))
@given(st.lists(st.tuples(openings, st.sampled_from([1, 3, 50, 20_000])), min_size=1, max_size=4))
def test_no_depth_alias_or_tag_makes_reading_or_checking_raise(parts: list[tuple[str, int]]) -> None:
    assert check(load("slug: " + "".join(piece * times for piece, times in parts))), "no such file is a playbook"


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "a", "20m", "$x", "${x}"])
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["sms", "type", "max", "a", "from"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=tries(60), suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_value_in_any_place_makes_checking_raise(data: st.DataObject) -> None:
    lines = [number for number, line in enumerate(SAMPLE.splitlines()) if ": " in line or line.endswith(":")]
    kept = SAMPLE.splitlines()
    number = data.draw(st.sampled_from(lines))
    key = kept[number].partition(":")[0]
    indent = len(key) - len(key.lstrip())
    end = next((n for n in range(number + 1, len(kept)) if len(kept[n]) - len(kept[n].lstrip()) <= indent), len(kept))
    kept[number:end] = [f"{key}: {json.dumps(data.draw(values))}"]
    for problem in check(load("\n".join(kept))):
        assert problem.line >= 1
        assert problem.what
