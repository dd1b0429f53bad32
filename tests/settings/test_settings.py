"""A mistake in the settings stops the start: one plain line that names the setting, what is wrong and what is right."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, load
from tests.conftest import ROOT
from tests.stack import free_port

MUSTER = ROOT / ".venv" / "bin" / "muster"
TWILIO = {
    "MUSTER_TWILIO_ACCOUNT_SID": "AC" + "0123456789abcdef" * 2,
    "MUSTER_TWILIO_AUTH_TOKEN": "token",
    "MUSTER_TWILIO_SENDER": "+15005550006",
}
SMTP = {"MUSTER_SMTP_URL": "smtp://127.0.0.1:2525", "MUSTER_EMAIL_SENDER": "muster@example.org"}
HERE = {"MUSTER_TWILIO_API_BASE_URL": "http://127.0.0.1:9"}


def start(folder: Path, settings: Mapping[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """One muster process in an empty folder, with these settings and nothing else around it."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **settings}
    return subprocess.run(
        [MUSTER, *(command or ("web",))], env=environment, cwd=folder, capture_output=True, text=True, timeout=90,
        check=False,
    )  # fmt: skip


def refused(done: subprocess.CompletedProcess[str], setting: str) -> str:
    """The one line on stderr, which begins with the setting's name and ends the start with exit code 1."""
    assert done.returncode == 1, (done.returncode, done.stderr[-2000:])
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr[-2000:]
    assert lines[0].startswith(f"{setting}: "), lines[0]
    return lines[0]


BAD: dict[str, tuple[dict[str, str], str, str]] = {
    # what: (settings, the setting that the line names, a word of what would be right)
    "a port that is no number": ({"MUSTER_PORT": "http"}, "MUSTER_PORT", "digits"),
    "a port out of range": ({"MUSTER_PORT": "65536"}, "MUSTER_PORT", "1 to 65535"),
    "a database of another kind": (
        {"MUSTER_DATABASE_URL": "mysql://u:hunter2@h/db", "MUSTER_SECRET_KEY": "k" * 20},
        "MUSTER_DATABASE_URL", "postgresql://",
    ),
    "a database at a port that is none": (
        {"MUSTER_DATABASE_URL": "postgresql://u:hunter2@h:port/db", "MUSTER_SECRET_KEY": "k" * 20},
        "MUSTER_DATABASE_URL", "postgresql://",
    ),
    "a database without the secret key": (
        {"MUSTER_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/db"}, "MUSTER_SECRET_KEY", "16",
    ),
    "a short secret key": ({"MUSTER_SECRET_KEY": "hunter2"}, "MUSTER_SECRET_KEY", "16"),
    "a base URL without a scheme": ({"MUSTER_BASE_URL": "muster.example.org"}, "MUSTER_BASE_URL", "https://"),
    "a base URL with a query": ({"MUSTER_BASE_URL": "https://h/?a=1"}, "MUSTER_BASE_URL", "query"),
    "a base URL with a port that is none": ({"MUSTER_BASE_URL": "https://h:99999"}, "MUSTER_BASE_URL", "https://"),
    "a base URL with half an address": ({"MUSTER_BASE_URL": "http://[::1"}, "MUSTER_BASE_URL", "https://"),
    "a time zone that is none": ({"MUSTER_TIME_ZONE": "Mars/Olympus"}, "MUSTER_TIME_ZONE", "Europe/Paris"),
    "half of Twilio, the SID": (
        {"MUSTER_TWILIO_ACCOUNT_SID": TWILIO["MUSTER_TWILIO_ACCOUNT_SID"]},
        "MUSTER_TWILIO_AUTH_TOKEN", "MUSTER_TWILIO_SENDER",
    ),
    "half of Twilio, the token": (
        {"MUSTER_TWILIO_AUTH_TOKEN": "hunter2"}, "MUSTER_TWILIO_ACCOUNT_SID", "MUSTER_TWILIO_SENDER",
    ),
    "Twilio without a sender": (
        {k: v for k, v in TWILIO.items() if not k.endswith("SENDER")}, "MUSTER_TWILIO_SENDER", "too",
    ),
    "only the API's address": (HERE, "MUSTER_TWILIO_ACCOUNT_SID", "too"),
    "a SID that is none": ({**TWILIO, "MUSTER_TWILIO_ACCOUNT_SID": "AC123"}, "MUSTER_TWILIO_ACCOUNT_SID", "AC"),
    "a sender that is no number": ({**TWILIO, "MUSTER_TWILIO_SENDER": "555-0100"}, "MUSTER_TWILIO_SENDER", "E.164"),
    "a number for calls that is none": (
        {**TWILIO, "MUSTER_TWILIO_VOICE_SENDER": "MG" + "0" * 32}, "MUSTER_TWILIO_VOICE_SENDER", "E.164",
    ),
    "only a number for calls": (
        {"MUSTER_TWILIO_VOICE_SENDER": "+15005550006"}, "MUSTER_TWILIO_ACCOUNT_SID", "too",
    ),
    "an API address that is none": (
        {**TWILIO, "MUSTER_TWILIO_API_BASE_URL": "api"}, "MUSTER_TWILIO_API_BASE_URL", "https://",
    ),
    "a mail server without a sender": ({"MUSTER_SMTP_URL": SMTP["MUSTER_SMTP_URL"]}, "MUSTER_EMAIL_SENDER", "too"),
    "a sender without a mail server": ({"MUSTER_EMAIL_SENDER": "m@example.org"}, "MUSTER_SMTP_URL", "too"),
    "only an address for answers": ({"MUSTER_EMAIL_REPLY_TO": "m@example.org"}, "MUSTER_SMTP_URL", "too"),
    "a mail server of another kind": ({**SMTP, "MUSTER_SMTP_URL": "https://u:hunter2@h"}, "MUSTER_SMTP_URL", "smtps://"),
    "a mailbox of another kind": ({**SMTP, "MUSTER_IMAP_URL": "pop3://u:hunter2@h"}, "MUSTER_IMAP_URL", "imaps://user"),
    "a mailbox without a password": ({**SMTP, "MUSTER_IMAP_URL": "imaps://u@h/INBOX"}, "MUSTER_IMAP_URL", "imaps://user"),
    "a mailbox at a port that is none": (
        {**SMTP, "MUSTER_IMAP_URL": "imaps://u:hunter2@h:imap/INBOX"}, "MUSTER_IMAP_URL", "imaps://user",
    ),
    "a mailbox with a sign that needs encoding": (
        {**SMTP, "MUSTER_IMAP_URL": "imaps://u:hunter2@h/INBOX#1"}, "MUSTER_IMAP_URL", "percent-encoded",
    ),
    "a mailbox whose password would be read on the way": (
        {**SMTP, "MUSTER_IMAP_URL": "imap://u:hunter2@mail.example.org"}, "MUSTER_IMAP_URL", "imaps://",
    ),
    "a mailbox without a mail server": (
        {**TWILIO, "MUSTER_IMAP_URL": "imaps://u:hunter2@h"}, "MUSTER_IMAP_URL", "MUSTER_SMTP_URL",
    ),
    "a mail server at a port that is none": ({**SMTP, "MUSTER_SMTP_URL": "smtp://h:mail"}, "MUSTER_SMTP_URL", "smtp://"),
    "a mail sender that is no address": ({**SMTP, "MUSTER_EMAIL_SENDER": "muster"}, "MUSTER_EMAIL_SENDER", "name@"),
    "countries by their names": ({"MUSTER_SMS_COUNTRIES": "US,France"}, "MUSTER_SMS_COUNTRIES", "ISO"),
    "a country that is none": ({"MUSTER_SMS_COUNTRIES": "US,UK"}, "MUSTER_SMS_COUNTRIES", "GB"),
    "no country at all": ({"MUSTER_SMS_COUNTRIES": ","}, "MUSTER_SMS_COUNTRIES", "ISO"),
    "an alarm number that is none": ({"MUSTER_ALARM_SMS": "911"}, "MUSTER_ALARM_SMS", "E.164"),
    "an alarm address that is none": ({"MUSTER_ALARM_EMAIL": "ops"}, "MUSTER_ALARM_EMAIL", "name@"),
    "alarms by text without Twilio": ({**SMTP, "MUSTER_ALARM_SMS": "+12065550177"}, "MUSTER_ALARM_SMS", "TWILIO"),
    "alarms by email without a mail server": (
        {**TWILIO, "MUSTER_ALARM_EMAIL": "ops@example.org"}, "MUSTER_ALARM_EMAIL", "MUSTER_SMTP_URL",
    ),
    "a monitor that is no web address": (
        {"MUSTER_HEARTBEAT_URL": "hc.example.org/hunter2"}, "MUSTER_HEARTBEAT_URL", "https://",
    ),
    "a heartbeat that is no address": ({"MUSTER_HEARTBEAT_URL": "ping"}, "MUSTER_HEARTBEAT_URL", "https://"),
    "a time scale of nothing": ({"MUSTER_TIME_SCALE": "0"}, "MUSTER_TIME_SCALE", "above 0"),
    "a time scale that is none": ({"MUSTER_TIME_SCALE": "fast"}, "MUSTER_TIME_SCALE", "digits"),
    "a time scale without end": ({"MUSTER_TIME_SCALE": "inf"}, "MUSTER_TIME_SCALE", "above 0"),
    "a time scale with the real Twilio": ({**TWILIO, "MUSTER_TIME_SCALE": "60"}, "MUSTER_TIME_SCALE", "loopback"),
    "a time scale with a real mail server": (
        {**TWILIO, **HERE, **SMTP, "MUSTER_SMTP_URL": "smtp://mail.example.org", "MUSTER_TIME_SCALE": "60"},
        "MUSTER_TIME_SCALE", "loopback",
    ),
    "settling in no time": ({"MUSTER_SETTLE_SECONDS": "-1"}, "MUSTER_SETTLE_SECONDS", "above 0"),
    "a playbooks folder that is not there": ({"MUSTER_PLAYBOOKS_DIR": "nowhere"}, "MUSTER_PLAYBOOKS_DIR", "folder"),
    "bodies of no size": ({"MUSTER_MAX_BODY_BYTES": "0"}, "MUSTER_MAX_BODY_BYTES", "10000"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_each_mistake_is_named_with_what_would_be_right(
    what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings, setting, right = BAD[what]
    monkeypatch.chdir(tmp_path)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as stopped:
        load()
    line = str(stopped.value)
    assert line.startswith(f"{setting}: ")
    assert right in line
    assert "\n" not in line
    assert "hunter2" not in line


REAL = (
    "half of Twilio, the SID", "a database without the secret key", "a time scale with the real Twilio",
)  # fmt: skip


def test_a_real_start_stops_with_exactly_that_line(tmp_path: Path) -> None:
    """Web, worker, simulator, up and one command: whichever is started says it, and leaves nothing behind."""
    commands = (("web",), ("worker",), ("simulator",), ("up",), ("migrate",))
    runs = [(what, ("web",)) for what in REAL] + [(REAL[0], command) for command in commands[1:]]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda run: start(tmp_path, BAD[run[0]][0], *run[1]), runs))
    for (what, command), ended in zip(runs, done, strict=True):
        _, setting, right = BAD[what]
        line = refused(ended, setting)
        assert right in line, (what, command)
    assert list(tmp_path.iterdir()) == []


def test_what_only_the_machine_can_tell_stops_the_start_as_plainly(tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    spoiled = tmp_path / "spoiled"
    spoiled.mkdir()
    (spoiled / "secret-key").write_text("short")
    dead = {
        "MUSTER_DATABASE_URL": f"postgresql://u:p@127.0.0.1:{free_port()}/db",
        "MUSTER_SECRET_KEY": "k" * 20,
        "MUSTER_PLAYBOOKS_DIR": str(ROOT / "playbooks"),
    }
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        held = {"MUSTER_PORT": str(holder.getsockname()[1]), "MUSTER_DATA_DIR": "never-made"}
        cases = [
            (held, "MUSTER_PORT", ("web",)),
            ({"MUSTER_HOST": "999.1.1.1", "MUSTER_PORT": str(free_port())}, "MUSTER_HOST", ("web",)),
            ({"MUSTER_DATA_DIR": "a-file"}, "MUSTER_DATA_DIR", ("worker",)),
            ({"MUSTER_DATA_DIR": "spoiled", "MUSTER_PORT": str(free_port())}, "MUSTER_DATA_DIR", ("web",)),
        ]
        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(lambda case: start(tmp_path, case[0], *case[2]), cases))
            away = pool.submit(start, tmp_path, dead | {"MUSTER_PORT": str(free_port())}, "web").result()
    for (_, setting, _), ended in zip(cases, done, strict=True):
        refused(ended, setting)
    assert not (tmp_path / "never-made").exists()
    assert away.returncode == 1
    assert away.stderr.splitlines() == ["The database does not answer; start it, or check MUSTER_DATABASE_URL"]


def test_the_defaults_are_those_of_the_contract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load()
    assert settings.database_url is None
    assert settings.data_dir == Path(".muster")
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.playbooks_dir == Path("playbooks")
    assert settings.time_scale == 1
    assert settings.settle_seconds == 60
    assert settings.simulated is True
    assert settings.countries is None
    assert settings.alarm_email is settings.alarm_sms is settings.heartbeat_url is None


def test_providers_and_addresses_are_read_as_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        **TWILIO, "MUSTER_TWILIO_SENDER": "MG" + "0123456789abcdef" * 2, "MUSTER_SMS_COUNTRIES": "us, ca",
        "MUSTER_SMTP_URL": "smtps://us%40er:p%3Ass@mail.example.org", "MUSTER_EMAIL_SENDER": "m@example.org",
        "MUSTER_EMAIL_REPLY_TO": "desk@example.org", "MUSTER_BASE_URL": "https://muster.example.org/",
        "MUSTER_IMAP_URL": "imaps://us%40er:p%3A%2Fss@mail.example.org",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load()
    assert settings.simulated is False
    assert settings.twilio is not None
    assert settings.twilio.api_base_url == "https://api.twilio.com"
    assert settings.twilio.sender.startswith("MG")
    assert settings.smtp is not None
    assert (settings.smtp.host, settings.smtp.port, settings.smtp.tls) == ("mail.example.org", 465, True)
    assert (settings.smtp.username, settings.smtp.password) == ("us@er", "p:ss")
    assert settings.imap is not None
    assert (settings.imap.host, settings.imap.port, settings.imap.tls) == ("mail.example.org", 993, True)
    assert (settings.imap.username, settings.imap.password) == ("us@er", "p:/ss")
    assert settings.imap.folder == "INBOX"
    assert settings.smtp.plus_address is True
    assert settings.countries == ("US", "CA")
    assert settings.public_url == "https://muster.example.org"


@pytest.mark.parametrize(
    ("sender", "voice", "caller"),
    [
        ("+15005550006", "", "+15005550006"), ("+15005550006", "+15005550007", "+15005550007"),
        ("MG" + "0" * 32, "", None), ("MG" + "0" * 32, "+15005550007", "+15005550007"),
    ],
)  # fmt: skip
def test_calls_come_from_a_number_and_never_from_a_messaging_service(
    sender: str, voice: str, caller: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {**TWILIO, "MUSTER_TWILIO_SENDER": sender, "MUSTER_TWILIO_VOICE_SENDER": voice}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load()
    assert settings.twilio is not None
    assert settings.twilio.voice_sender == caller


def test_one_provider_alone_is_a_whole_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in SMTP.items():
        monkeypatch.setenv(name, value)
    settings = load()
    assert settings.simulated is False
    assert settings.twilio is None
    assert settings.smtp is not None


def test_a_time_scale_is_taken_with_every_provider_on_loopback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUSTER_TIME_SCALE", "60")
    assert load().time_scale == 60
    for name, value in {**TWILIO, **HERE, **SMTP}.items():
        monkeypatch.setenv(name, value)
    assert load().time_scale == 60
    monkeypatch.setenv("MUSTER_TWILIO_API_BASE_URL", "http://127.0.0.1.evil.example")
    with pytest.raises(SettingsError, match="loopback"):
        load()


def test_a_file_is_read_and_the_environment_goes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        "# our settings\nMUSTER_PORT=9001\nMUSTER_TIME_ZONE='Europe/Paris'\nMUSTER_ALARM_EMAIL=\nOTHER=1\n",
        encoding="utf-8",
    )
    assert load().port == 9001
    assert load().time_zone == "Europe/Paris"
    assert load().alarm_email is None
    monkeypatch.setenv("MUSTER_PORT", "9002")
    assert load().port == 9002
    (tmp_path / ".env").write_text("MUSTER_PORT=none\n", encoding="utf-8")
    monkeypatch.delenv("MUSTER_PORT")
    with pytest.raises(SettingsError, match=r"^MUSTER_PORT: "):
        load()
    (tmp_path / ".env").write_bytes(b"MUSTER_TIME_ZONE=Europe/Z\xfcrich\n")
    with pytest.raises(SettingsError, match=r"^\.env: "):
        load()


def test_the_key_is_made_once_and_only_for_us(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: load().secret(), range(16)))
    assert len(set(keys)) == 1
    assert len(keys[0]) >= 32
    kept = tmp_path / ".muster" / "secret-key"
    assert [path.name for path in kept.parent.iterdir()] == ["secret-key"]
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("MUSTER_SECRET_KEY", "a key of our own, long enough")
    assert load().secret() == "a key of our own, long enough"


def test_every_setting_has_its_help_text_and_the_contract_names_are_there() -> None:
    named = {f"MUSTER_{name.upper()}" for name in Settings.model_fields}
    assert all(field.description for field in Settings.model_fields.values())
    assert named >= {
        "MUSTER_DATABASE_URL", "MUSTER_DATA_DIR", "MUSTER_HOST", "MUSTER_PORT", "MUSTER_BASE_URL", "MUSTER_SECRET_KEY",
        "MUSTER_PLAYBOOKS_DIR", "MUSTER_TWILIO_ACCOUNT_SID", "MUSTER_TWILIO_AUTH_TOKEN", "MUSTER_TWILIO_SENDER",
        "MUSTER_TWILIO_API_BASE_URL", "MUSTER_SMTP_URL", "MUSTER_EMAIL_SENDER", "MUSTER_EMAIL_REPLY_TO",
        "MUSTER_SMS_COUNTRIES", "MUSTER_ALARM_EMAIL", "MUSTER_ALARM_SMS", "MUSTER_HEARTBEAT_URL", "MUSTER_TIME_SCALE",
        "MUSTER_SETTLE_SECONDS",
    }  # fmt: skip
    assert not any(re.search(r"\bTODO\b", field.description or "") for field in Settings.model_fields.values())
