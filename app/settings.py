"""Every setting: environment first, then `.env`. An unusable one stops the start with one plain line."""

from __future__ import annotations

import ipaddress
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.channels.port import SmtpConfig, TwilioConfig

SIMULATOR_ACCOUNT_SID = "AC" + "5" * 32
SIMULATOR_SENDER = "+15005550006"
SIMULATOR_EMAIL_SENDER = "muster@simulator.example"

LEAST_SECRET = 16

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")


class SettingsError(Exception):
    """One line: the setting, what is wrong with it, and what would be right."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="MUSTER_", env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
    )

    database_url: str | None = Field(
        None, description="`postgresql://user:password@host/name`. Unset: an embedded PostgreSQL in the data directory."
    )
    data_dir: Path = Field(Path(".muster"), description="Where the embedded database and generated secrets live.")
    host: str = Field("127.0.0.1", description="The address that the web listens on.")
    port: int = Field(8000, description="The port that the web listens on, 1 to 65535.")
    base_url: str | None = Field(
        None, description="The public URL, used in links, callbacks and signature checks. Unset: `http://HOST:PORT`."
    )
    secret_key: str | None = Field(
        None,
        description="Signs links and callbacks; at least 16 characters. Generated in the data directory with the "
        "embedded database; required with a database of your own, the same on every machine.",
    )
    playbooks_dir: Path = Field(Path("playbooks"), description="Where the playbook files are.")
    time_zone: str = Field(
        "UTC", description="The zone in which times are written in messages, such as `Europe/Paris`."
    )
    twilio_account_sid: str | None = Field(None, description="The Twilio account, `AC` and 32 characters.")
    twilio_auth_token: str | None = Field(None, description="Its auth token: sends messages and checks signatures.")
    twilio_sender: str | None = Field(
        None, description="Who texts come from: an E.164 number or a Messaging Service SID (`MG...`)."
    )
    twilio_voice_sender: str | None = Field(
        None,
        description="Who calls come from: an E.164 number. Unset: the sender when it is a number; with a Messaging "
        "Service nobody is called.",
    )
    twilio_api_base_url: str | None = Field(
        None, description="Where the API is: for tests and regions. Unset: `https://api.twilio.com`."
    )
    smtp_url: str | None = Field(
        None, description="`smtp://user:pass@host:587` (STARTTLS when offered) or `smtps://host:465`."
    )
    email_sender: str | None = Field(None, description="The address that email comes from.")
    email_reply_to: str | None = Field(None, description="Where answers to email go.")
    sms_countries: str | None = Field(
        None,
        description="ISO codes, comma-separated, that SMS and voice may go to. Unset: the countries of the numbers in "
        "the directory.",
    )
    alarm_email: str | None = Field(None, description="Who hears by email of Muster's own trouble: one address.")
    alarm_sms: str | None = Field(None, description="Who hears by SMS of Muster's own trouble: one number, E.164.")
    heartbeat_url: str | None = Field(
        None,
        description="An outside monitor that notices Muster's silence: asked for about every minute while a send would "
        "go out.",
    )
    time_scale: float = Field(
        1.0,
        description="Divides ladder, cadence, deadline and digit-race times. Only with every provider on loopback.",
    )
    settle_seconds: float = Field(
        60.0, description="How long an unknown send settles before its absence may be proven."
    )
    simulator_host: str = Field("127.0.0.1", description="The address that the simulator listens on.")
    simulator_port: int = Field(8010, description="The simulator's HTTP port; Muster looks for it on 127.0.0.1.")
    simulator_smtp_port: int = Field(8025, description="The simulator's SMTP port.")
    max_body_bytes: int = Field(1_000_000, description="The largest request body; imports may be 64 times as large.")

    @field_validator("port", "simulator_port", "simulator_smtp_port")
    @classmethod
    def _port(cls, value: int) -> int:
        if not 1 <= value <= 65535:
            raise ValueError(f"{value} is not a port; use a number from 1 to 65535")
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except Exception as error:  # ZoneInfo raises several kinds, by platform
            raise ValueError(f"{value!r} is not a time zone; use a name such as Europe/Paris or UTC") from error
        return value

    @field_validator("max_body_bytes")
    @classmethod
    def _body(cls, value: int) -> int:
        if value < 10_000:
            raise ValueError(f"{value} is too small for a declaration; use at least 10000")
        return value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if value.startswith(("postgresql://", "postgres://")):
            from sqlalchemy import make_url  # heavy, and only needed here
            from sqlalchemy.exc import ArgumentError

            try:
                make_url(value)
            except (ArgumentError, ValueError):
                pass
            else:
                return value
        raise ValueError("it is not a PostgreSQL address; use postgresql://user:password@host/name")

    @field_validator("heartbeat_url")
    @classmethod
    def _monitor(cls, value: str | None) -> str | None:
        # Never repeated in the line: the path or the query is the monitor's secret.
        if value is not None:
            try:
                parts = urlsplit(value)
                usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            except ValueError:
                usable = False
            if not usable or parts.fragment or re.search(r"[\s\x00-\x1f]", value):
                raise ValueError("it is not a web address; use the https://... address that your monitor gave you")
        return value

    @field_validator("base_url", "twilio_api_base_url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # a port or an address that is none
            usable = False
        if not usable or parts.query or parts.fragment or re.search(r"\s", value):
            raise ValueError(f"{value!r} is not a web address; use https://host without query or fragment")
        return value.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _secret(cls, value: str | None) -> str | None:
        if value is not None and len(value.strip()) < LEAST_SECRET:
            raise ValueError(f"it is too short; use at least {LEAST_SECRET} random characters")
        return value

    @field_validator("twilio_account_sid")
    @classmethod
    def _sid(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"AC[0-9a-zA-Z]{32}", value):
            raise ValueError("it is not an account SID; use AC followed by 32 characters")
        return value

    @field_validator("twilio_sender")
    @classmethod
    def _sender(cls, value: str | None) -> str | None:
        if value is not None and not (_E164.fullmatch(value) or re.fullmatch(r"MG[0-9a-zA-Z]{32}", value)):
            raise ValueError("use an E.164 number such as +15551230000, or a Messaging Service SID (MG...)")
        return value

    @field_validator("alarm_sms", "twilio_voice_sender")
    @classmethod
    def _number(cls, value: str | None) -> str | None:
        if value is not None and not _E164.fullmatch(value):
            raise ValueError("use an E.164 number such as +15551230000")
        return value

    @field_validator("email_sender", "email_reply_to", "alarm_email")
    @classmethod
    def _email(cls, value: str | None) -> str | None:
        if value is not None and not _EMAIL.fullmatch(value):
            raise ValueError(f"{value!r} is not an email address; use name@example.com")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _smtp(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parts = urlsplit(value)
                usable = parts.scheme in ("smtp", "smtps") and parts.hostname and (parts.port is None or parts.port > 0)
            except ValueError:
                usable = False
            if not usable:
                raise ValueError("it is not a mail server's address; use smtp://user:pass@host:587 or smtps://host:465")
        return value

    @field_validator("time_scale")
    @classmethod
    def _scale(cls, value: float) -> float:
        if not 0 < value <= 100_000:
            raise ValueError("use a number above 0; 1 is real time")
        return value

    @field_validator("settle_seconds")
    @classmethod
    def _settle(cls, value: float) -> float:
        if not 0 < value <= 3600:
            raise ValueError("use a number of seconds above 0, up to 3600")
        return value

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
        return not all(is_loopback(host) for host in hosts)

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
            return SmtpConfig("127.0.0.1", self.simulator_smtp_port, False, None, None, SIMULATOR_EMAIL_SENDER, None)
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
        )

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
        if len(found) < LEAST_SECRET or not found.isascii():
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
            if not all(is_loopback(host) for host in hosts):
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


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
