"""Words that may be a cry for help: one table, each word with its reason, the same in docs/reference.md. Pure.

It errs towards help: a word that is often noise ("the server died") stays out, one that may be noise does not. A text
that holds one is never an acknowledgment for it, only marked: somebody looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from app.replies.folding import phrase, words_of

_BY_REASON: Final[dict[str, str]] = {
    "asks for help": """
        help, helps, helping, helped, helpless, send someone, send somebody, need someone, need somebody, need backup,
        send backup, assist, assistance, rescue*, asap, save me, save us, come quick, come quickly, hurry, urgent*,
        desperate*, need a hand, give me a hand, need support, come now, come here now, please come""",
    "help, misspelt": """
        hlp, hlep, hepl, halp, h e l p, hellp, helpp, hepp, needhelp, helpme, helpus, plshelp""",
    "a call of distress": "sos, s o s, mayday, may day, code red, code blue, panic*, scream*",
    "an emergency, or who comes then": """
        emergenc*, 911, 112, 999, police*, polise*, plice, poilce, cops, ambulance*, ambulans*, paramedic*, medic,
        medical, first aid, first aider, fire brigade, fire department, firefighter*, doctor, nurse, hospital, call
        security, need security, send security, defibrillator*, aed, cpr""",
    "somebody is hurt or ill": """
        hurt, hurts, hurting, hurrt, not ok, not okay, not well, unwell, injur*, injr*, wound*, bleed*, bleding, blood,
        collaps*, unconscious*, unresponsive, faint*, passed out, blacked out, fell, fallen, had a fall, not breathing,
        breathe, breathing, can't breath, cant breath, cannot breath, no pulse, heart attack, chest pain, cut my, cut
        his, cut her, cut myself, cut himself, cut herself, diabetic*, man down, person down, someone down, somebody
        down, stroke, seizure*, convuls*, chok*, allerg*, anaphyla*, asthma, overdos*, poison*, electrocut*, electric
        shock, burned, burnt, burns, concuss*, broken arm, broken leg, broken bone, broken ankle, broken wrist, broken
        hip, broke his, broke her, broke my, dying, someone died, somebody died, he died, she died, he is dead, she is
        dead, he's dead, she's dead, someone is dead, somebody is dead, dead body, drown*, suicid*, kill*, run over,
        hit by, accident, accidents, in labour, in labor, pain, sick, vomit*, dizzy, casualty, casualties, feeling
        well, feel well, slipped, on the floor, scald*, burn, throwing up, cardiac, chocking, very ill, is ill, taken
        ill, feel ill, feeling ill, waters broke""",
    "somebody is threatened": """
        attack*, atack*, attak*, assault*, threat*, threten*, weapon*, wepon*, gun, guns, gunman, gunshot*, shot,
        shots, shoot*, shoting*, shooter*, knife*, knives, stabbed, stabbing, stab, bomb*, hostage*, robber*, robbed,
        robbing, mugged, mugging, intruder*, burglar*, break in, broke in, broken into, loot*, riot*, fight*, violen*,
        aggressive*, abusive, harass*, rape*, hiding, follow me, being followed, following me, stalk*, armed, punched,
        beaten, beating, held up, kidnap*, abduct*, machete, sword, axe, hit me, hitting, was hit, been hit, grabbed
        me, touched me, followed me, angry mob, mob, out of control, suspicious*, thief, thieves""",
    "fire, gas and the like": """
        fire, fires, on fire, burning, smoke, smoking, flames, explo*, gas leak, tear gas, smell gas, smell of gas,
        smells of gas, smells like gas, gas smell, carbon monoxide, chlorine, acid, alarm is going off, is shaking,
        evacuat*, flood*, chemical*, toxic*, fumes, earthquake*, tornado*, collapsing, live wire""",
    "somebody is caught or lost": """
        trapped, trap, stuck in, locked in, lost child, child missing, stampede, missing child, missing person, missing
        kid, lost kid, child is missing, kid is missing, lost my son, lost my daughter, lost my child, lost my kid,
        can't get out, cant get out, cannot get out, stranded""",
    "danger": """
        danger*, unsafe, not safe, don't feel safe, dont feel safe, not feel safe, scared, terrified, frightened, in
        trouble, life threatening, crushed, crush""",
    "asks for help in Spanish": """
        ayuda*, auxilio, socorro, emergencia*, policia, ambulancia*, bomberos, herid*, sangra*, incendio, fuego,
        peligro, desmay*, atrapad*, arma, pistola""",
    "asks for help in French": """
        aide*, aidez*, au secours, secours, urgence*, blesse*, pompiers, incendie, feu, saigne*, evanoui*,
        inconscient*, coince*, agress*, arme, samu""",
    "asks for help in another language": """
        hilfe, notfall*, verletzt*, feuer, polizei, krankenwagen, aiuto, soccorso, ferit*, ajuda, ferido*, pomoc*,
        pomocy, yardim*, imdat, tulong, saklolo, مساعدة, النجدة, ساعدوني, मदद, बचाओ, 救命*, 帮助*, 助けて*,
        도와*, 살려*, مدد""",
}

HELP_WORDS: Final[dict[str, str]] = {
    " ".join(row.split()): reason for reason, rows in _BY_REASON.items() for row in rows.split(",")
}
"""Word or phrase -> why it may be a cry for help. `*` at the end stands for any ending."""

_VOWELS: Final = "aeiou"
_LONG: Final = 7
"""Shorter words are too like others when one letter is wrong; their misspellings stand in the table."""


def _misspelt(word: str) -> Iterable[str]:
    """A long word as it is mistyped: a letter left out or doubled, two swapped, another vowel; not the first."""
    for place in range(1, len(word) - 1):
        yield word[:place] + word[place + 1 :]
        yield word[:place] + word[place] + word[place:]
        yield word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        if word[place] in _VOWELS:
            yield from (word[:place] + vowel + word[place + 1 :] for vowel in _VOWELS)


def _spellings(row: str) -> Iterable[str]:
    yield row
    if row.isascii() and " " not in row and len(row.rstrip("*")) >= _LONG:
        ending = "*" if row.endswith("*") else ""
        yield from (spelling + ending for spelling in _misspelt(row.rstrip("*")))


def _key(row: str) -> tuple[str, ...]:
    return phrase(row.rstrip("*")) if row.isascii() else tuple(words_of(row))


_REASONS: Final[dict[tuple[str, ...], str]] = {}
_STEMS: Final[dict[str, str]] = {}
for _row, _reason in HELP_WORDS.items():
    for _spelling in _spellings(_row):
        if _spelling.endswith("*"):
            _STEMS.setdefault(_key(_spelling)[0], _reason)
        else:
            _REASONS.setdefault(_key(_spelling), _reason)
_LONGEST: Final = max(len(key) for key in _REASONS)
_LONGEST_STEM: Final = max(len(stem) for stem in _STEMS)
_HELD_DOWN: Final = re.compile(r"(.)\1{2,}")
"""A key that was held down: `heeeelp` is `help`."""


def possible_help(words: Sequence[str]) -> str | None:
    """Why these words (as `words_of` gives them) may be a cry for help; None when they are none."""
    if set("".join(words)) == {"2"} and words != ["2"]:
        return "2, again and again"
    for place, word in enumerate(words):
        for spelling in {word, _HELD_DOWN.sub(r"\1", word), word.rpartition("'")[2]}:
            if reason := _REASONS.get((spelling,)) or _by_stem(spelling):
                return reason
        for length in range(2, _LONGEST + 1):
            several = tuple(words[place : place + length])
            if reason := _REASONS.get(several) or _REASONS.get((*several[:-1], several[-1].removesuffix("s"))):
                return reason
    return None


def _by_stem(word: str) -> str | None:
    found = (_STEMS.get(word[:end]) for end in range(2, min(len(word), _LONGEST_STEM) + 1))
    return next((reason for reason in found if reason), None)
