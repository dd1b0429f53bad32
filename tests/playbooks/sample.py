"""A small whole playbook, and a way to break it in one place and know where."""

from __future__ import annotations

from app.playbooks.checks import Known, check
from app.playbooks.problems import Problem
from app.playbooks.schema import Playbook
from app.playbooks.yaml_source import load

HEAD = """\
slug: sample
title: A sample outage
when:
  trigger: Something fails at many sites
  symptoms: [tills are dead, screens are black]
owner: IT
default_severity: SEV2
facts:
  vendor: {type: text, max: 30, example: Northwind, help: As it calls itself}
  kind: {type: choice, choices: [power, network], example: power, help: What failed}
  hit: {type: number, max: 500, example: 12, unit: sites, help: How many}
  next_update: {type: time, future: true, help: Always a time}
  sites: {type: choice, many: true, from: directory.sites, required: false, default: every site, help: Where}
departments:
  IT:
    owns: The repair
    tasks:
      investigating: [Open the bridge]
    commitments:
      - {outcome: Every site knows, due: 20m}
  Store Operations:
    owns: The counters
    tasks: {investigating: [Answer for the site]}
severities:
  SEV1: {means: Nobody is served, cadence: 20m}
  SEV2: {means: Some are served, cadence: 60m}
  SEV3: {means: All are served slowly, cadence: 12h}
  SEV4: {means: A warning, cadence: 1d}
ladder:
  - {send: sms}
  - {send: email, after: 4m}
  - {send: voice, after: 8m}
audiences:
  front_line: {label: Counters, departments: [Store Operations], sites: $sites}
  responders: {label: Responders, departments: [IT]}
waterline:
  Cashier: {decide: [Sell for cash], ask_first: {Close a till: Shift Manager}, never: [Guess]}
  anyone: {never: [Guess]}
holding:
  everyone:
    sms: We are looking. Next update ${next_update}.
    email: {subject: We are looking, body: "Next update ${next_update}."}
    voice: We are looking.
stages:
"""
SCRIPT = """\
    {audience}:
      sms: ${{vendor}} {stage} for {audience}. ${{kind}} at ${{hit}}. Next update ${{next_update}}.
      email:
        subject: ${{severity}} {stage} for {audience}
        body: ${{vendor}} at ${{sites}}.
      voice: ${{vendor}} has a fault.
      say: ["I know more at ${{next_update}}."]
      do_not_say: [Soon.]
"""
SAMPLE = HEAD + "".join(
    f"  {stage}:\n"
    + "".join(SCRIPT.format(stage=stage, audience=audience) for audience in ("front_line", "responders"))
    for stage in ("investigating", "identified", "monitoring", "resolved")
)


def playbook(text: str = SAMPLE) -> Playbook:
    """The playbook of a text that is right."""
    return Playbook.model_validate(load(text).data)


def changed(*changes: tuple[str, str], base: str = SAMPLE) -> str:
    """The sample with each first text replaced, once, by the second."""
    for old, new in changes:
        assert old in base, f"the sample no longer holds {old!r}"
        base = base.replace(old, new, 1)
    return base


def marked(text: str) -> tuple[str, int, int]:
    """A text without its one mark «, and the line and column where it stood."""
    before, mark, after = text.partition("«")
    assert mark, "mark the place with «"
    return before + after, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def problems(text: str, name: str = "sample.yaml", known: Known | None = None) -> list[Problem]:
    """All that `check` says of a text."""
    return check(load(text, name), known=known)
