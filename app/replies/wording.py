"""What we answer to texts. Short, plain, and never a word that a carrier takes for its own. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.replies.questions import Question

MEANS = {"ok": "1 OK", "need_help": "2 need help", "cannot": "3 cannot"}
CHOICES = "1 OK, 2 need help, 3 cannot"
WITH_CODE = ", with your code"
DIGIT = {response: meaning[0] for response, meaning in MEANS.items()}
SAMPLE_CODES = ("K7", "M4", "R8", "T5", "Y6")


def marked(text: str) -> str:
    """As every text of a drill: it begins and ends with DRILL."""
    return f"DRILL. {text} DRILL"


def unmarked(text: str) -> str:
    """Without what `marked` put around it."""
    return text.removeprefix("DRILL. ").removesuffix(" DRILL")


def confirmation(response: str, *, title: str, changed: bool, late: bool, drill: bool, code: str | None = None) -> str:
    """Says what was understood, and how to change it: with its `code` where a digit alone could mean another."""
    said = f"Changed to {MEANS[response]}" if changed else f"Thank you. Noted: {MEANS[response]}"
    text = f"{said} ({short(title)})."
    if response == "need_help":
        text += " The incident team sees it now."
    if late:
        text += " This one is over or was replaced; your answer is kept."
    text += f" To change it, text 1, 2 or 3{f' with your code {code}' if code else ''}."
    return marked(text) if drill else text


def which_question(response: str, questions: Sequence[Question]) -> str:
    """Several questions are open: the code says which is meant. The examples are what was typed, with each code."""
    drill = all(question.drill for question in questions)
    named = " or ".join(
        f"{DIGIT[response]} {question.code} "
        f"({'DRILL: ' if question.drill and not drill else ''}{'' if question.asks else 'Over: '}"
        f"{short(question.title)})"
        for question in questions[:4]
    )
    text = f"Which one do you mean? Text your answer with its code, such as {named}.{_seen(response)}"
    return marked(text) if drill else text


def who_is_it(response: str, questions: Sequence[Question]) -> str:
    """Several people share the phone. The example is what was typed, with a code that is nobody's there."""
    taken = {question.code for question in questions}
    code = next((sample for sample in SAMPLE_CODES if sample not in taken), SAMPLE_CODES[0])
    return (
        f"Several people share this phone. Text your answer with the code from your own message, such as "
        f"{DIGIT[response]} {code}, or open the link in it.{_seen(response)}"
    )


def _seen(response: str) -> str:
    return " The incident team can see that someone here may need help." if response == "need_help" else ""


def nothing_to_answer() -> str:
    """To an answer that an all-clear did not ask for."""
    return "Thank you. There is nothing to answer now. If you need help, text 2."


def help_noted(title: str) -> str:
    """To a request for help in reply to an all-clear."""
    return f"Noted: {MEANS['need_help']} ({short(title)}). The incident team sees it now, and someone will contact you."


def who_needs_help() -> str:
    """Several people share the phone, and the all-clear that they reply to has no code."""
    return (
        "Several people share this phone. Open the link in your own message and ask for help there."
        f"{_seen('need_help')}"
    )


def use_the_link() -> str:
    return "Several people share this phone and this code. Press the link in your own message to answer."


def which_answer(*, coded: bool = False) -> str:
    """`coded`: a digit alone could mean several people or questions."""
    return f"1, 2 or 3? Text {CHOICES}{WITH_CODE if coded else ''}."


def unknown_code(code: str) -> str:
    return f"There is no question with the code {code}. Your text was passed on. Look for Code in your last message."


def nothing_open() -> str:
    return "There is no open question for you now. Your text was passed on to the incident team."


def report_kept(question_open: bool, *, coded: bool) -> str:
    """`coded`: a digit alone could mean several people or questions."""
    text = "Passed on to the incident team."
    if question_open:
        text += f" This is not yet your answer: text {CHOICES}{WITH_CODE if coded else ''}."
    return text


RUNGS = ("department lead", "commander", "every lead")
"""Who is told of a request for help, rung by rung; every lead: commanders, communications leads and admins."""

SORRY_LATE = "Your text reached us late."
HELP_TAKEN = "{owner} has your request for help ({title}) and will get back to you."
HELP_CLOSED = "{owner} closed your request for help ({title}). If you still need help, text 2 again."


def needs_help(entry: Mapping[str, Any]) -> str:
    """What the one who must act is told: `entry` has name, department, site, number and title."""
    where = ", ".join(part for part in (entry["department"], entry["site"]) if part)
    number = f" Call {entry['number']}." if entry["number"] else ""
    return f"{entry['name']} ({where}) needs help: {short(entry['title'])}.{number}"


def may_want_no_texts(name: str | None, department: str | None, text: str, page: str) -> str:
    """What a department's lead is told: who wrote what, and what to do."""
    who = f"{name} ({department})" if name else "Someone at a shared number"
    return f'{who} may want no more texts: "{short(text)}". Ask them, then opt them out or keep texting: {page}'


def short(title: str) -> str:
    return title if len(title) <= 50 else title[:49].rstrip() + "..."
