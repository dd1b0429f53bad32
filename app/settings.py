"""Every setting: environment first, then `.env`. An unusable one stops the start with one plain line."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app import setting_kinds as kinds
from app.channels.port import ImapConfig, SmtpConfig, TwilioConfig

SIMULATOR_ACCOUNT_SID = "AC" + "5" * 32
SIMULATOR_SENDER = "+15005550006"
SIMULATOR_EMAIL_SENDER = "muster@simulator.example"


class SettingsError(Exception):
    """One line: the setting, what is wrong with it, and what would be right."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="MUSTER_", env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
    )

    database_url: kinds.Database | None = Field(
        None, description="`postgresql://user:password@host/name`. Unset: an embedded PostgreSQL in the data directory."
    )
    data_dir: Path = Field(Path(".muster"), description="Where the embedded database and generated secrets live.")
    host: str = Field("127.0.0.1", description="The address that the web listens on.")
    port: kinds.Port = Field(8000, description="The port that the web listens on, 1 to 65535.")
    base_url: kinds.WebAddress | None = Field(
        None, description="The public URL, used in links, callbacks and signature checks. Unset: `http://HOST:PORT`."
    )
    secret_key: kinds.Secret | None = Field(
        None,
        description="Signs links and callbacks; at least 16 characters. Generated in the data directory with the "
        "embedded database; required with a database of your own, the same on every machine.",
    )
    playbooks_dir: Path = Field(Path("playbooks"), description="Where the playbook files are.")
    time_zone: kinds.Zone = Field(
        "UTC", description="The zone in which times are written in messages, such as `Europe/Paris`."
    )
    twilio_account_sid: kinds.AccountSid | None = Field(None, description="The Twilio account, `AC` and 32 characters.")
    twilio_auth_token: str | None = Field(None, description="Its auth token: sends messages and checks signatures.")
    twilio_sender: kinds.Sender | None = Field(
        None, description="Who texts come from: an E.164 number or a Messaging Service SID (`MG...`)."
    )
    twilio_voice_sender: kinds.PhoneNumber | None = Field(
        None,
        description="Who calls come from: an E.164 number. Unset: the sender when it is a number; with a Messaging "
        "Service nobody is called.",
    )
    twilio_api_base_url: kinds.WebAddress | None = Field(
        None, description="Where the API is: for tests and regions. Unset: `https://api.twilio.com`."
    )
    smtp_url: kinds.MailServer | None = Field(
        None, description="`smtp://user:pass@host:587` (STARTTLS when offered) or `smtps://host:465`."
    )
    email_sender: kinds.EmailAddress | None = Field(None, description="The address that email comes from.")
    email_reply_to: kinds.EmailAddress | None = Field(None, description="Where answers to email go.")
    email_plus_address: bool = Field(
        True,
        description="Whether each mail asks for its answer at an address of its own (`muster+TOKEN@example.com`), once "
        "`MUSTER_IMAP_URL` is set. `false` for a mail server that does not deliver those: answers are then matched by "
        "`In-Reply-To` alone.",
    )
    imap_url: kinds.MailboxAddress | None = Field(
        None,
        description="`imaps://user:pass@host/INBOX`: the mailbox in which mail answers and bounces arrive. Special "
        "signs in user and password are percent-encoded (`@` is `%40`); without a folder it is `INBOX`; `imap://` only "
        "on this machine. It is read and never changed. Unset: bounces and mail answers go unread.",
    )
    sms_countries: str | None = Field(
        None,
        description="ISO codes, comma-separated, that SMS and voice may go to. Unset: the countries of the numbers in "
        "the directory.",
    )
    sms_per_second: kinds.Rate | None = Field(
        None,
        description="How many parts a second the sender takes, over all workers. Unset: handed over as fast as the "
        "provider takes them, which then queues them.",
    )
    sms_per_day: kinds.Count | None = Field(
        None,
        description="How many parts may be texted within 24 hours. From nine tenths on bulletins take the next "
        "channel, and the preview says so; the rest is for help requests, escalations and those who command. "
        "Unset: no cap of ours.",
    )
    confirm_above: kinds.Count = Field(
        20_000,
        description="A send to more people than this needs `confirm`. Set it a little above your usual audiences.",
    )
    alarm_email: kinds.EmailAddress | None = Field(
        None, description="Who hears by email of Muster's own trouble: one address."
    )
    alarm_sms: kinds.PhoneNumber | None = Field(
        None, description="Who hears by SMS of Muster's own trouble: one number, E.164."
    )
    heartbeat_url: kinds.Monitor | None = Field(
        None,
        description="An outside monitor that notices Muster's silence: asked for about every minute while a send would "
        "go out.",
    )
    token: str | None = Field(
        None,
        description="An API token: `declare` and `bulletins` act as whose it is. Unset: as the operator, who may do "
        "everything.",
    )
    time_scale: kinds.TimeScale = Field(
        1.0,
        description="Divides ladder, cadence, deadline and digit-race times. Only with every provider on loopback.",
    )
    settle_seconds: kinds.SettleSeconds = Field(
        60.0, description="How long an unknown send settles before its absence may be proven."
    )
    simulator_host: str = Field("127.0.0.1", description="The address that the simulator listens on.")
    simulator_port: kinds.Port = Field(8010, description="The simulator's HTTP port; Muster looks for it on 127.0.0.1.")
    simulator_smtp_port: kinds.Port = Field(8025, description="The simulator's SMTP port.")
    max_body_bytes: kinds.BodySize = Field(
        1_000_000, description="The largest request body; imports may be 64 times as large."
    )

    @property
    def countries(self) -> tuple[str, ...] | None:
        if self.sms_countries is None:
            return None
        return tuple(code.strip().upper() for code in self.sms_countries.split(",") if code.strip())

    @property
    def silent(self) -> list[str]:
        """The settings for hearing of Muster's own trouble that are not set."""
        ways = {
            "MUSTER_ALARM_EMAIL": self.alarm_email,
            "MUSTER_ALARM_SMS": self.alarm_sms,
            "MUSTER_HEARTBEAT_URL": self.heartbeat_url,
        }
        return [name for name, value in ways.items() if not value]

    @property
    def public_url(self) -> str:
        if self.base_url:
            return self.base_url
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 (compared, not bound)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def simulated(self) -> bool:
        """With no provider configured at all, the simulator stands in for both."""
        return self.twilio_account_sid is None and self.smtp_url is None

    @property
    def real(self) -> bool:
        """Whether some provider is not on this machine, so that real people may be told."""
        hosts = []
        if self.twilio_account_sid:
            hosts.append(urlsplit(self.twilio_api_base_url or "https://api.twilio.com").hostname or "")
        if self.smtp_url:
            hosts.append(urlsplit(self.smtp_url).hostname or "")
        return not all(kinds.is_loopback(host) for host in hosts)

    @property
    def sender_rate(self) -> float | None:
        """Parts a second that Twilio takes from one long North American number; None where it depends."""
        return 1.0 if not self.simulated and (self.twilio_sender or "").startswith("+1") else None

    @property
    def simulator_token(self) -> str:
        """The simulator's auth token: the same in every process of one installation."""
        return "simulator-" + self.secret()[:24]

    @property
    def twilio(self) -> TwilioConfig | None:
        if self.simulated:
            base = f"http://127.0.0.1:{self.simulator_port}"
            return TwilioConfig(SIMULATOR_ACCOUNT_SID, self.simulator_token, SIMULATOR_SENDER, base, SIMULATOR_SENDER)
        if not (self.twilio_account_sid and self.twilio_auth_token and self.twilio_sender):
            return None
        return TwilioConfig(
            self.twilio_account_sid,
            self.twilio_auth_token,
            self.twilio_sender,
            self.twilio_api_base_url or "https://api.twilio.com",
            self.twilio_voice_sender or (self.twilio_sender if self.twilio_sender.startswith("+") else None),
        )

    @property
    def smtp(self) -> SmtpConfig | None:
        if self.simulated:
            return SmtpConfig(
                "127.0.0.1", self.simulator_smtp_port, False, None, None, SIMULATOR_EMAIL_SENDER, None,
                plus_address=self.imap_url is not None and self.email_plus_address,
            )  # fmt: skip
        if not (self.smtp_url and self.email_sender):
            return None
        parts = urlsplit(self.smtp_url)
        tls = parts.scheme == "smtps"
        return SmtpConfig(
            host=parts.hostname or "",
            port=parts.port or (465 if tls else 587),
            tls=tls,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            sender=self.email_sender,
            reply_to=self.email_reply_to,
            plus_address=self.imap_url is not None and self.email_plus_address,
        )

    @property
    def imap(self) -> ImapConfig | None:
        if not self.imap_url:
            return None
        parts = urlsplit(self.imap_url)
        tls = parts.scheme == "imaps"
        return ImapConfig(
            host=parts.hostname or "",
            port=parts.port or (993 if tls else 143),
            tls=tls,
            username=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            folder=unquote(parts.path.strip("/")) or "INBOX",
        )

    @property
    def mail_senders(self) -> frozenset[str]:
        """The addresses that our own mails come from, in small letters."""
        return frozenset({self.smtp.sender.lower()}) if self.smtp else frozenset()

    def secret(self) -> str:
        """The signing key; made once in the data directory when the database is embedded."""
        if self.secret_key:
            return self.secret_key
        path = self.data_dir / "secret-key"
        try:
            if not path.exists():
                self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
                # Written whole under another name: two processes that start together agree on one key.
                fresh = path.with_name(f"secret-key.{secrets.token_hex(4)}")
                fresh.touch(mode=0o600)
                fresh.write_text(secrets.token_urlsafe(32), encoding="ascii")
                try:
                    path.hardlink_to(fresh)
                except FileExistsError:
                    pass
                finally:
                    fresh.unlink()
            found = path.read_text(encoding="ascii", errors="replace").strip()
        except OSError as error:
            raise SettingsError(
                f"MUSTER_DATA_DIR: {self.data_dir} cannot be written ({error.strerror}); use a folder that you own"
            ) from error
        if len(found) < kinds.LEAST_SECRET or not found.isascii():
            raise SettingsError(
                f"MUSTER_DATA_DIR: {path} does not hold a key any more; put it back from a backup, or remove the file, "
                "and then links that were sent before no longer open"
            )
        return found

    def need_playbooks(self) -> None:
        """For what serves: without its folder there is nothing to declare. Raises SettingsError."""
        if not self.playbooks_dir.is_dir():
            raise SettingsError(
                f"MUSTER_PLAYBOOKS_DIR: {self.playbooks_dir} is not a folder; name the folder of the playbook files"
            )

    def check_whole(self) -> None:
        """Refuses what is partial or contradicts itself."""
        twilio = {
            "MUSTER_TWILIO_ACCOUNT_SID": self.twilio_account_sid,
            "MUSTER_TWILIO_AUTH_TOKEN": self.twilio_auth_token,
            "MUSTER_TWILIO_SENDER": self.twilio_sender,
        }
        also = {
            "MUSTER_TWILIO_API_BASE_URL": self.twilio_api_base_url,
            "MUSTER_TWILIO_VOICE_SENDER": self.twilio_voice_sender,
        }
        _whole(twilio, also, "to text people")
        smtp = {"MUSTER_SMTP_URL": self.smtp_url, "MUSTER_EMAIL_SENDER": self.email_sender}
        _whole(smtp, {"MUSTER_EMAIL_REPLY_TO": self.email_reply_to}, "to send email")
        if self.imap_url and not self.simulated and not self.smtp_url:
            raise SettingsError(
                "MUSTER_IMAP_URL: no mail is sent that anybody could answer; set MUSTER_SMTP_URL and "
                "MUSTER_EMAIL_SENDER too, or leave it out"
            )
        if self.database_url and not self.secret_key:
            raise SettingsError(
                "MUSTER_SECRET_KEY: it is required with MUSTER_DATABASE_URL; set at least 16 random characters, the "
                "same on every machine"
            )
        if self.countries is not None:
            from phonenumbers import SUPPORTED_REGIONS  # heavy, and only needed here

            # UK for GB would silently leave everybody there unreached.
            for code in self.countries or ("",):
                if code not in SUPPORTED_REGIONS:
                    raise SettingsError(
                        f"MUSTER_SMS_COUNTRIES: {code!r} is not a country; use ISO codes such as US,CA,GB"
                    )
        for name, wanted, provider, needed in (
            ("MUSTER_ALARM_EMAIL", self.alarm_email, self.smtp_url, "MUSTER_SMTP_URL and MUSTER_EMAIL_SENDER"),
            ("MUSTER_ALARM_SMS", self.alarm_sms, self.twilio_account_sid, "the MUSTER_TWILIO settings"),
        ):
            if wanted and not provider and not self.simulated:
                raise SettingsError(f"{name}: nothing can be sent this way; set {needed} too, or leave it out")
        if "playbooks_dir" in self.model_fields_set and not self.playbooks_dir.is_dir():
            raise SettingsError(
                f"MUSTER_PLAYBOOKS_DIR: {self.playbooks_dir} is not there; name the folder with the playbooks"
            )
        if self.time_scale != 1:
            hosts = [urlsplit(self.twilio.api_base_url).hostname or "" if self.twilio else "127.0.0.1"]
            hosts.append(self.smtp.host if self.smtp else "127.0.0.1")
            if not all(kinds.is_loopback(host) for host in hosts):
                raise SettingsError(
                    "MUSTER_TIME_SCALE: real people would be hurried; leave it at 1 unless every provider is on "
                    "loopback"
                )


def _whole(needed: dict[str, str | None], also: dict[str, str | None], purpose: str) -> None:
    given = [name for name, value in (needed | also).items() if value]
    missing = [name for name, value in needed.items() if not value]
    if given and missing:
        names = " and ".join(missing)
        raise SettingsError(
            f"{missing[0]}: it is not set, but {given[0]} is; set {names} too {purpose}, or none of them"
        )


def load(**overrides: Any) -> Settings:
    """Reads and checks the settings. Raises SettingsError with one line."""
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "MUSTER_" + str(first["loc"][0]).upper() if first["loc"] else "settings"
        message = str(first["msg"]).removeprefix("Value error, ")
        if first["type"] in ("int_parsing", "int_type", "float_parsing", "float_type"):
            message = "it is not a number; use digits only"
        raise SettingsError(f"{name}: {message}") from None
    except UnicodeDecodeError:
        raise SettingsError(".env: it is not UTF-8; save it as UTF-8") from None
    settings.check_whole()
    return settings
