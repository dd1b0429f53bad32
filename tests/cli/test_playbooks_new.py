"""`muster playbooks new`, as an operator types it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.shell import Shell


def test_a_new_playbook_lands_in_the_playbooks_folder_and_is_in_order(shell: Shell, tmp_path: Path) -> None:
    folder = {"MUSTER_PLAYBOOKS_DIR": str(tmp_path)}
    said = shell.here("playbooks", "new", "power-cut", settings=folder).fine()
    assert f"Wrote {tmp_path / 'power-cut.yaml'}." in said
    assert "1 playbook is in order." in shell.here("playbooks", "check", settings=folder).fine()


def test_a_new_playbook_goes_where_it_is_told(shell: Shell, tmp_path: Path) -> None:
    shell.here("playbooks", "new", "power-cut", "--out", str(tmp_path / "power-cut.yml")).fine()
    shell.here("playbooks", "new", "flood", "--out", str(tmp_path)).fine()
    assert "2 playbooks are in order." in shell.here("playbooks", "check", str(tmp_path)).fine()


def test_a_taken_file_and_a_bad_name_are_refused_in_one_line(shell: Shell, tmp_path: Path) -> None:
    where = ("--out", str(tmp_path))
    shell.here("playbooks", "new", "power-cut", *where).fine()
    before = (tmp_path / "power-cut.yaml").read_bytes()
    assert "is there already" in shell.here("playbooks", "new", "power-cut", *where).refused()
    assert "such as power-cut" in shell.here("playbooks", "new", "Power Cut", *where).refused()
    assert (
        "must be called flood.yaml"
        in shell.here("playbooks", "new", "flood", "--out", str(tmp_path / "fire.yaml")).refused()
    )
    assert [path.name for path in tmp_path.iterdir()] == ["power-cut.yaml"]
    assert (tmp_path / "power-cut.yaml").read_bytes() == before
