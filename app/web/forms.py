"""What a form sent, read without surprises: text only, always storable, never a file."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import Request

from app.kernel.errors import FieldError, Invalid
from app.web.inputs import clean_text

OURS = ("csrf", "form", "seen", "was", "was_stage", "another")


@dataclass(frozen=True)
class Form:
    """Field name -> every value sent under it, in order."""

    values: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The first value, trimmed; empty when the field was not sent."""
        found = self.values.get(name)
        return found[0].strip() if found else ""

    def all(self, name: str) -> list[str]:
        """Every value that is not blank, trimmed."""
        return [value.strip() for value in self.values.get(name, []) if value.strip()]

    def typed(self) -> dict[str, list[str]]:
        """What a person chose and typed, without what the page put in: two presses with the same are one wish."""
        return {name: values for name, values in self.values.items() if name not in OURS}

    def has(self, name: str) -> bool:
        return name in self.values


async def read_form(request: Request) -> Form:
    """The posted form. Raises Invalid for text that cannot be stored; line ends become one kind."""
    values: dict[str, list[str]] = {}
    async with request.form(max_files=0, max_fields=2000) as data:
        for name, value in data.multi_items():
            if not isinstance(value, str):
                continue
            try:
                clean_text(name)
                text = clean_text(value)
            except ValueError as error:
                raise Invalid("The form cannot be read.", [FieldError(name[:60], str(error))]) from None
            values.setdefault(name, []).append(text.replace("\r\n", "\n").replace("\r", "\n"))
    return Form(values)
