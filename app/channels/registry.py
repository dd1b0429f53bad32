"""Which provider serves which channel. A new channel is a file beside this one and a line here."""

from __future__ import annotations

from dataclasses import dataclass

from app.channels.port import Provider, Providers
from app.channels.smtp import SmtpEmail
from app.channels.twilio import TwilioSms


@dataclass(frozen=True)
class TwilioConfig:
    account_sid: str
    auth_token: str
    sender: str
    api_base_url: str


@dataclass(frozen=True)
class SmtpConfig:
    host: str
    port: int
    tls: bool
    username: str | None
    password: str | None
    sender: str
    reply_to: str | None


def build(twilio: TwilioConfig | None, smtp: SmtpConfig | None) -> Providers:
    """The providers that are set up; a channel without one is left out."""
    found: list[Provider] = []
    if twilio:
        found.append(TwilioSms(twilio.account_sid, twilio.auth_token, twilio.sender, twilio.api_base_url))
    if smtp:
        found.append(
            SmtpEmail(
                host=smtp.host, port=smtp.port, tls=smtp.tls, username=smtp.username, password=smtp.password,
                sender=smtp.sender, reply_to=smtp.reply_to,
            )
        )  # fmt: skip
    return Providers({provider.channel: provider for provider in found})
