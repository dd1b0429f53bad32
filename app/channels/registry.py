"""Which provider serves which channel. A new channel is a file beside this one and a line here."""

from __future__ import annotations

from app.channels.imap import ImapMailbox
from app.channels.port import ImapConfig, Mailbox, Provider, Providers, SmtpConfig, TwilioConfig
from app.channels.smtp import SmtpEmail
from app.channels.twilio import TwilioSms
from app.channels.twilio_voice import TwilioVoice


def build(twilio: TwilioConfig | None, smtp: SmtpConfig | None) -> Providers:
    """The providers that are set up; a channel without one is left out."""
    found: list[Provider] = []
    if twilio:
        sms = TwilioSms(twilio.account_sid, twilio.auth_token, twilio.sender, twilio.api_base_url)
        found.append(sms)
        if twilio.voice_sender:
            found.append(TwilioVoice(sms.account, twilio.voice_sender))
    if smtp:
        found.append(
            SmtpEmail(
                host=smtp.host, port=smtp.port, tls=smtp.tls, username=smtp.username, password=smtp.password,
                sender=smtp.sender, reply_to=smtp.reply_to, plus_address=smtp.plus_address,
            )
        )  # fmt: skip
    return Providers({provider.channel: provider for provider in found})


def mailbox(imap: ImapConfig | None) -> Mailbox | None:
    """The mailbox that our mails are answered to, where one is set up."""
    return ImapMailbox(imap) if imap else None
