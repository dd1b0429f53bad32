"""What a simulator is started with."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


class SimulatorError(Exception):
    """The simulator cannot start; the message is one plain line that says what would be right."""


@dataclass(frozen=True)
class SimulatorConfig:
    """Everything the pretend carrier knows about its one account.

    `inbound_url` is where the account's incoming texts are posted. Calls come from the sender too, or from
    `voice_sender`. `speed` divides what people take their time
    over (answering, opening mail) and the slow receipts; the network's own delays are never divided.
    Ports may be 0: the system then picks free ones.
    """

    http_port: int
    smtp_port: int
    account_sid: str
    auth_token: str
    sender: str
    inbound_url: str
    journal: Path
    host: str = "127.0.0.1"
    auto: bool = False
    seed: int = 1
    speed: float = 1.0
    advanced_opt_out: bool = True
    voice_sender: str = ""

    @property
    def caller(self) -> str:
        """The number that calls may come from besides the sender."""
        return self.voice_sender or self.sender

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise SimulatorError(f"speed is {self.speed}; it must be a number above 0.")
        if not (self.sender.startswith("+") and self.sender[1:].isdigit()):
            raise SimulatorError(f"sender is {self.sender!r}; it must be one E.164 number such as +15005550006.")
        parts = urlsplit(self.inbound_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SimulatorError(f"inbound_url is {self.inbound_url!r}; it must be a full http or https address.")
        if not self.account_sid or not self.auth_token:
            raise SimulatorError("account_sid and auth_token must both be given: the carrier checks them.")
