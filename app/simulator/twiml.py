"""Reads the TwiML that answers an incoming text. Entities and document types are refused: the input is not ours."""

from xml.parsers import expat

MAX_BYTES = 64 * 1024


class NotTwiml(ValueError):
    """The answer is not TwiML; the message says why."""


def messages(text: str) -> list[str]:
    """The bodies of the `<Message>` elements, in order; `<Message><Body>` counts too, other verbs are left alone.

    Raises NotTwiml. An empty answer means no message, as for Twilio.
    """
    if not text.strip():
        return []
    if len(text.encode()) > MAX_BYTES:
        raise NotTwiml(f"longer than {MAX_BYTES} bytes")
    path: list[str] = []
    found: list[list[str]] = []

    def start(name: str, _attributes: dict[str, str]) -> None:
        path.append(name)
        if path == ["Response", "Message"]:
            found.append([])

    def end(_name: str) -> None:
        path.pop()

    def data(piece: str) -> None:
        if path in (["Response", "Message"], ["Response", "Message", "Body"]):
            found[-1].append(piece)

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
    return [body for body in ("".join(pieces).strip() for pieces in found) if body]
