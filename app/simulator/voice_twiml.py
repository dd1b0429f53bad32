"""Reads the TwiML that answers a call: the verbs that it holds, in order. Entities and document types are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

from app.simulator.twiml import MAX_BYTES, NotTwiml

KNOWN = frozenset({"Say", "Pause", "Gather", "Redirect", "Hangup", "Reject"})


@dataclass
class Verb:
    """One verb: its name, attributes, words, and what it holds (Gather alone holds other verbs)."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    inside: list[Verb] = field(default_factory=list)

    def seconds(self, name: str, otherwise: float) -> float:
        """An attribute as a number of seconds, at most ten minutes. Raises NotTwiml."""
        try:
            return min(600.0, max(0.0, float(self.attributes.get(name, otherwise))))
        except ValueError:
            raise NotTwiml(f"{name} of {self.name} is no number") from None


def verbs(text: str) -> list[Verb]:
    """The verbs of a `<Response>`. Raises NotTwiml for anything else, and for verbs that are not known here."""
    if len(text.encode()) > MAX_BYTES:
        raise NotTwiml(f"longer than {MAX_BYTES} bytes")
    root = Verb("")
    open_ones = [root]

    def start(name: str, attributes: dict[str, str]) -> None:
        depth = len(open_ones)
        if depth == 1 and name != "Response":
            raise NotTwiml("the document is no Response")
        if depth > 1 and name not in KNOWN:
            raise NotTwiml(f"<{name}> is no verb that is known here")
        if depth > 2 and (depth > 3 or open_ones[-1].name != "Gather" or name not in ("Say", "Pause")):
            raise NotTwiml(f"<{name}> may not stand inside <{open_ones[-1].name}>")
        verb = Verb(name, dict(attributes))
        open_ones[-1].inside.append(verb)
        open_ones.append(verb)

    def end(_name: str) -> None:
        open_ones.pop()

    def data(piece: str) -> None:
        open_ones[-1].text += piece

    def refuse(*_arguments: object) -> None:
        raise NotTwiml("document types and entities are not allowed")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise NotTwiml(str(error)) from None
    return root.inside[0].inside
