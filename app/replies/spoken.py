"""What a call says, turn by turn. Short, plain, always with the person's name. Pure.

A call is a conversation of turns: each says something and may wait for one key, which is handled as the next turn. The
words of the bulletin are spoken in the language that they are written in, ours in English.
"""

from __future__ import annotations

from dataclasses import dataclass

OURS = "en"
"""The language of our own words."""

KEYS: dict[str, str] = {"1": "ok", "2": "need_help", "3": "cannot"}
"""What is pressed -> the response. Nothing else counts."""

REPEAT = "*"

MOST_TURNS = 8
"""A call that has gone on for so many turns is ended: nobody is there who means something by it."""

MEANS = {"ok": "you are OK", "need_help": "you need help", "cannot": "you cannot do your part"}

CHOICES = "Press 1 if you are OK. Press 2 if you need help. Press 3 if you cannot do your part."
GOODBYE = "Goodbye."


@dataclass(frozen=True)
class Line:
    """Words and the language that they are in, as a tag such as `fr` or `pt-BR`."""

    text: str
    language: str = OURS


@dataclass(frozen=True)
class Turn:
    """What is said now. `key`: the turn that a key pressed meanwhile, or soon after, comes to; None: no key is taken.

    When nobody presses: go on with turn `silence`, or say `end` and hang up.
    """

    lines: tuple[Line, ...]
    key: int | None = None
    silence: int | None = None
    end: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Message:
    """The bulletin of one call: whom it is for, its words and their language."""

    name: str
    script: str
    language: str
    drill: bool = False


def picked_up(message: Message, turn: int) -> Turn:
    """Somebody picked up: twice the words. Has heard them and pressed nothing: only how to answer, once more."""
    first = turn == 0
    said = [_hello(message.name), *_script(message, twice=True)] if first else _how(message.name)
    return _ask(message, said, turn, silence=turn + 1 if first else None, end="Nothing was noted.")


def again(message: Message, turn: int) -> Turn:
    """Star: the words once more."""
    return _ask(message, _script(message), turn, end="Nothing was noted.")


def not_a_choice(message: Message, turn: int) -> Turn:
    """A key that means nothing."""
    said = [Line("That key has no meaning here."), *_how(message.name)]
    return _ask(message, said, turn, end="Nothing was noted.")


def noted(message: Message, response: str, turn: int, *, changed: bool) -> Turn:
    """What was understood, and how to change it."""
    text = f"{'Changed' if changed else 'Thank you. Noted'}: {MEANS[response]}."
    if response == "need_help":
        text += " The incident team sees it now."
    change = "To change your answer, press another key now: 1 OK, 2 need help, 3 cannot. Otherwise you can hang up."
    return _ask(message, [Line(text), Line(change)], turn)


def answered_already(message: Message, response: str, turn: int) -> Turn:
    """They answered some other way while the phone was ringing."""
    said = [
        _hello(message.name),
        Line(f"You have answered already: {MEANS[response]}. You can hang up."),
        Line(f"To change your answer: {CHOICES} Press star to hear the message."),
    ]
    return _ask(message, said, turn)


def on_a_machine(message: Message) -> Turn:
    """For an answering machine: that there is something, and where to answer. Anybody may play it back, so no more."""
    text = (
        f"This is Muster with a message for {message.name}. Please look at your text messages or your email now: they "
        "say what it is about and how to answer. If you have neither, please ask your manager."
    )
    return _close(message.drill, text, GOODBYE)


def replaced(message: Message) -> Turn:
    """A newer bulletin went out while the phone was ringing."""
    return _close(
        message.drill,
        f"This is Muster with a message for {message.name}. It has just been replaced by a newer one, which follows. "
        "Please look at your text messages or your email.",
        GOODBYE,
    )


def over(message: Message) -> Turn:
    """The bulletin was cancelled or its incident closed while the phone was ringing."""
    return _close(
        message.drill,
        f"This is Muster. The message for {message.name} that we called about is no longer current. There is nothing "
        "to answer.",
        GOODBYE,
    )


def nobody_here(*, drill: bool) -> Turn:
    """The person has left: nothing about the incident, nor who it was."""
    return _close(drill, "This is Muster. This call is no longer meant for this number.", GOODBYE)


def _hello(name: str) -> Line:
    return Line(f"This is Muster with a message for {name}.")


def _how(name: str) -> list[Line]:
    return [Line(f"{CHOICES} Press star to hear it again. Press a key only if you are {name}.")]


def _script(message: Message, *, twice: bool = False) -> list[Line]:
    words = Line(message.script, message.language)
    if not twice:
        return [words, *_how(message.name)]
    return [words, *_how(message.name), Line("Once more."), words, *_how(message.name)]


def _ask(message: Message, said: list[Line], turn: int, *, silence: int | None = None, end: str = "") -> Turn:
    bye = _marked([Line(f"{end} {GOODBYE}".strip())], drill=message.drill)
    if turn >= MOST_TURNS:
        # The last word of a call that leads nowhere; `said` may be the answer that was just noted.
        return Turn((), end=_marked([said[0], Line(GOODBYE)], drill=message.drill))
    return Turn(_marked(said, drill=message.drill), key=turn + 1, silence=silence, end=() if silence else bye)


def _close(drill: bool, *texts: str) -> Turn:
    return Turn((), end=_marked([Line(text) for text in texts], drill=drill))


def _marked(lines: list[Line], *, drill: bool) -> tuple[Line, ...]:
    """As everything of a drill: it begins and ends with DRILL."""
    return (Line("DRILL."), *lines, Line("DRILL.")) if drill else tuple(lines)
