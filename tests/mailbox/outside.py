"""The mailbox's tests against Debian's Dovecot instead of the package that `make test` uses: `make test-outside`.

Dovecot runs from a folder of its own, under an account of its own, and is stopped at the end.
"""

from __future__ import annotations

import contextlib
import getpass
import grp
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.mailbox.postbox import PASSWORD, USER, listening
from tests.stack import free_port

MISSING = "Dovecot is not installed: apt-get install dovecot-imapd, then run make test-outside again."

CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
default_login_user = {login}
default_internal_user = {login}
default_internal_group = {group}
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%u
mail_uid = {owner}
mail_gid = {owner_group}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
"""


def _program() -> str | None:
    """Where Debian puts it is not in everybody's path."""
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def dovecot() -> Iterator[int]:
    """A Dovecot with one user; yields its port. As root its processes run as nobody."""
    root = getpass.getuser() == "root"
    account = pwd.getpwnam("nobody" if root else getpass.getuser())
    login = pwd.getpwnam("dovenull") if root else account
    folder = Path(tempfile.mkdtemp(prefix="muster-dovecot-"))
    port = free_port()
    try:
        folder.chmod(0o755)
        (folder / "mail").mkdir()
        config = CONFIG.format(
            folder=folder,
            port=port,
            owner=account.pw_uid,
            owner_group=account.pw_gid,
            login=login.pw_name,
            group=grp.getgrgid(login.pw_gid).gr_name,
        )
        (folder / "dovecot.conf").write_text(config)
        (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}:{account.pw_uid}:{account.pw_gid}::{folder}/mail\n")
        os.chown(folder / "mail", account.pw_uid, account.pw_gid)
        server = subprocess.Popen([_program() or "dovecot", "-F", "-c", str(folder / "dovecot.conf")])
        try:
            listening(port, server)
            yield port
        finally:
            server.terminate()
            server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str]) -> int:
    if _program() is None:
        print(MISSING, file=sys.stderr)
        return 1
    tests = arguments or ["tests/mailbox/test_mail_answers.py"]
    with dovecot() as port:
        environment = {**os.environ, "OUTSIDE_IMAP_PORT": str(port)}
        ended = subprocess.run([sys.executable, "-m", "pytest", *tests], env=environment, check=False)
        print(f"Tried against Dovecot on port {port}.")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
