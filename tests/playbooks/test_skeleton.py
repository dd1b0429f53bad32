"""A new playbook: valid from the first minute, explained, and never in the way of one that is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.playbooks import skeleton as skeletons
from app.playbooks.checks import check
from app.playbooks.json_schema import json_schema
from app.playbooks.schema import STAGES, Playbook
from app.playbooks.yaml_source import load

SERVED = "https://muster.example.com/api/v1/playbooks/schema.json"


@pytest.mark.parametrize("slug", ["power-cut", "2026", "a" * 80])
def test_a_new_playbook_has_no_error_and_no_warning(tmp_path: Path, slug: str) -> None:
    path = skeletons.create(slug, tmp_path, served_schema=SERVED)
    source = load(path)
    assert path == tmp_path / f"{slug}.yaml"
    assert [str(problem) for problem in check(source)] == []
    assert Playbook.model_validate(source.data).slug == slug


def test_a_new_playbook_says_on_the_declare_page_that_it_is_a_draft(tmp_path: Path) -> None:
    book = Playbook.model_validate(load(skeletons.create("power-cut", tmp_path, served_schema=SERVED)).data)
    assert book.title == "Power cut (draft)"
    assert book.last_drilled is None


def test_a_new_playbook_could_be_sent_as_it_is() -> None:
    text = skeletons.skeleton("power-cut", schema=SERVED)
    book = Playbook.model_validate(load(text.encode(), "power-cut.yaml").data)
    for stage in STAGES:
        for audience in book.audiences:
            script = book.script(stage, audience)
            for part in (script.sms, script.email.body, script.voice):
                assert "${next_update}" in part, (stage, audience)
            assert len(script.say) >= 3
            assert len(script.do_not_say) >= 3


def test_every_part_of_a_new_playbook_is_explained_above_it() -> None:
    lines = skeletons.skeleton("power-cut", schema=SERVED).splitlines()
    for key in json_schema()["properties"]:
        found = [(n, line) for n, line in enumerate(lines) if line.removeprefix("# ").startswith(f"{key}:")]
        assert found, f"app/playbooks/skeleton.yaml shows nothing for {key}; add it, commented out if it is optional"
        number, line = found[0]
        assert "#" in lines[number - 1] or "#" in line or key in ("slug", "title"), key


def test_an_editor_finds_the_schema_beside_the_file_or_at_a_running_muster(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "playbooks").mkdir()
    published = tmp_path / "docs" / "playbook.schema.json"
    published.write_text(json.dumps(json_schema()))
    near = skeletons.create("power-cut", tmp_path / "playbooks", served_schema=SERVED)
    far = skeletons.create("power-cut", tmp_path, served_schema=SERVED)
    assert near.read_text().splitlines()[0] == "# yaml-language-server: $schema=../docs/playbook.schema.json"
    assert far.read_text().splitlines()[0] == f"# yaml-language-server: $schema={SERVED}"


def test_a_playbook_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "power-cut.yaml"
    path.write_text("mine")
    with pytest.raises(ValueError, match=r"power-cut\.yaml is there already"):
        skeletons.create("power-cut", path, served_schema=SERVED)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("slug", ["Power Cut", "power--cut", "-power", "../power", "", "a" * 81, "strom\nausfall", "é"])
def test_a_name_that_a_playbook_cannot_have_is_refused_with_one_that_it_can(tmp_path: Path, slug: str) -> None:
    with pytest.raises(ValueError, match="such as power-cut"):
        skeletons.create(slug, tmp_path, served_schema=SERVED)
    assert list(tmp_path.iterdir()) == []


def test_a_file_bears_the_playbooks_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be called power-cut\.yml"):
        skeletons.create("power-cut", tmp_path / "other.yml", served_schema=SERVED)
    assert skeletons.create("power-cut", tmp_path / "power-cut.yml", served_schema=SERVED).is_file()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none is not a folder"):
        skeletons.create("power-cut", tmp_path / "none" / "power-cut.yaml", served_schema=SERVED)
