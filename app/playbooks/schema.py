"""What a playbook is made of. Pure: models only; `checks` says what else must hold, `docs/playbooks.md` explains all.

Every model forbids unknown keys, reads types strictly (a number is never a text) and is frozen.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.playbooks.fields import (
    Brief,
    ClockTime,
    Date,
    Duration,
    Example,
    Line,
    Lines,
    Name,
    Names,
    Number,
    Paragraphs,
    SitesOf,
    Slug,
    Spoken,
    Subject,
    Tag,
    Unit,
)

Stage = Literal["investigating", "identified", "monitoring", "resolved"]
Severity = Literal["SEV1", "SEV2", "SEV3", "SEV4"]
Channel = Literal["sms", "email", "voice"]
Told = Literal["manager", "department_lead", "commander"]
FactType = Literal["text", "choice", "time", "number"]
ApprovalRole = Literal["admin", "commander", "communications_lead"]

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
TOLD: Final[tuple[Told, ...]] = get_args(Told)
SITES: Final = "directory.sites"
ANYONE: Final = "anyone"
EVERYONE: Final = "everyone"


class Model(BaseModel):
    """What every part of a playbook has in common."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        use_attribute_docstrings=True,
    )


class When(Model):
    """When to reach for this playbook."""

    trigger: Brief
    """What has happened, in the words of somebody who sees it happen."""
    symptoms: Lines
    """What people report first; the declare page finds the playbook by these."""


class Fact(Model):
    """One thing that the commander fills in; scripts use it as ${name}."""

    type: FactType
    """text, choice, time or number."""
    help: Line
    """What to write, shown beside the field."""
    example: Example = None
    """A value that could be real. Left out for times and for choices from the directory: theirs is made fresh."""
    required: bool = True
    """false: may be left out; then give default."""
    default: Line | None = None
    """The words that scripts show when an optional fact was left out."""
    max: Number | None = None
    """text: the longest, in characters (needed). number: the largest (needed). choice from the directory: the longest
    rendering in characters (60), after which names become "and 3 more"."""
    min: Number | None = None
    """number: the smallest (0)."""
    unit: Unit | None = None
    """number: what follows it in scripts, such as EUR, % or minutes."""
    decimals: Annotated[int, Field(ge=0, le=6)] = 0
    """number: how many decimals it may have; 0 means whole numbers."""
    choices: Annotated[Names, Field(max_length=50)] | None = None
    """choice: the values to choose from, unless `from` says where they come from."""
    many: bool = False
    """choice: true when several may be chosen."""
    from_: Annotated[Literal["directory.sites"] | None, Field(alias="from")] = None
    """choice: directory.sites takes the choices from the sites of the people in the directory."""
    future: bool = False
    """time: true when it must lie ahead, as the next update does."""


class Commitment(Model):
    """An outcome that a department's lead is asked to accept by name."""

    outcome: Line
    """What will be true, not what will be tried."""
    due: Duration
    """How long after the declaration."""


class Department(Model):
    """One department's part in the playbook."""

    owns: Brief
    """What this department answers for while the incident lasts."""
    tasks: dict[Stage, Lines]
    """The lead's tasks at each stage, in plain words."""
    commitments: list[Commitment] = Field(default_factory=list, max_length=12)
    """Outcomes offered to the lead at declaration."""


class Approval(Model):
    """Who must approve a bulletin; without roles, any one of admin, commander, communications lead."""

    roles: list[ApprovalRole] = Field(default_factory=list)
    """One approval from each role named; an admin counts as any role."""
    other_person: bool = False
    """true: the author of a bulletin cannot approve it."""


class Step(Model):
    """One step of the ladder, taken for each person who has not answered by then: either send or tell."""

    send: Channel | None = None
    """sms, email or voice: the same person is tried this way."""
    tell: Told | None = None
    """manager, department_lead or commander: another person is told that this one has not answered."""
    after: Duration = timedelta(0)
    """How long after the bulletin was handed over; 0s (or left out) for the first step."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.send is None and self.tell is None:
            raise ValueError(f"says neither; give send: {_or(CHANNELS)}, or tell: {_or(TOLD)}")
        if self.send is not None and self.tell is not None:
            raise ValueError("gives both send and tell; make two steps of it, each with its own after")
        return self


class QuietHours(Model):
    """When texts and calls of bulletins wait, by each person's own clock. Mails go."""

    from_: Annotated[ClockTime, Field(alias="from")]
    """When they begin, in quotes: "22:00"."""
    to: ClockTime
    """When they end, in quotes: "07:00"; before from, it is the next morning."""
    except_: Annotated[list[Severity], Field(alias="except", default_factory=lambda: ["SEV1"])]
    """The severities that do not wait: [SEV1] when left out."""

    @model_validator(mode="after")
    def _some_hours(self) -> Self:
        if self.from_ == self.to:
            raise ValueError('ends when it begins; give two different times, such as from: "22:00" and to: "07:00"')
        return self

    @property
    def length(self) -> timedelta:
        """How long they last on a day on which no clock is changed."""
        begin, end = (timedelta(hours=at.hour, minutes=at.minute) for at in (self.from_, self.to))
        return (end - begin) % timedelta(days=1)


class SeverityLevel(Model):
    """What one severity means here."""

    means: Line
    """How to recognise it, in this playbook's terms."""
    cadence: Duration
    """How long after one bulletin the next is due."""
    approval: Approval = Field(default_factory=Approval)
    """Who must approve, if not any one of admin, commander, communications lead."""
    ladder: Annotated[list[Step], Field(min_length=1)] | None = None
    """A ladder for this severity alone."""


class Audience(Model):
    """Who is told: everybody who meets every criterion given (any value of each), and the people named besides."""

    label: Line
    """What people see on previews and the board."""
    departments: Names | None = None
    """Departments, spelled as in the directory."""
    sites: SitesOf | None = None
    """Sites, or the fact that names them, such as $sites; when that fact was left out, every site."""
    titles: Names | None = None
    """Job titles, spelled as in the directory."""
    shifts: Names | None = None
    """Shifts, spelled as in the directory."""
    people: Names | None = None
    """Employer's ids of people who belong whatever the other criteria say."""
    everyone: bool = False
    """true: everybody in the directory; then no other criterion."""


class Email(Model):
    """A mail: its subject and its text, in plain paragraphs."""

    subject: Subject
    """One line; names what is down and what is wanted."""
    body: Paragraphs
    """Plain paragraphs, a line each (an empty line ends one after >-); staff link and choices are added below."""


class Translation(Model):
    """A script in another language; what it leaves out is taken from the script itself."""

    sms: Brief | None = None
    """The text message."""
    email: Email | None = None
    """The mail."""
    voice: Spoken | None = None
    """What the call says."""
    page: Brief | None = None
    """What happened, for the staff page."""
    say: Lines | None = None
    """What to tell customers."""
    do_not_say: Lines | None = None
    """What not to tell customers."""
    paper: Brief | None = None
    """How to work by hand."""


class Script(Model):
    """Everything one audience gets at one stage."""

    sms: Brief
    """The text message; link, code and how to answer are added."""
    email: Email
    """The mail."""
    voice: Spoken
    """What the call says: spoken words, no links."""
    page: Brief | None = None
    """One or two lines on what happened, for the staff page; the SMS when left out."""
    say: Lines
    """What to tell customers or colleagues, word for word."""
    do_not_say: Lines
    """What not to say; no line of say may stand here."""
    paper: Brief | None = None
    """How to work by hand meanwhile."""
    languages: dict[Tag, Translation] = Field(default_factory=dict)
    """The script in other languages, by tag: fr, es, pt-BR."""

    @property
    def what_happened(self) -> str:
        """The one or two lines at the top of the staff page: `page`, or else the SMS."""
        return self.page or self.sms

    def in_language(self, language: str | None) -> Script:
        """This script in a language such as `fr` or `fr-CA` as far as it is translated, otherwise as it is."""
        translation = _closest(self.languages, language)
        if translation is None:
            return self
        return self.model_copy(update={name: value for name, value in translation if value is not None})


class Waterline(Model):
    """What people of one title decide alone, ask first, and never do."""

    decide: Annotated[list[Line], Field(max_length=12)] = Field(default_factory=list)
    """What they may decide themselves."""
    ask_first: Annotated[dict[Line, Line], Field(max_length=12)] = Field(default_factory=dict)
    """What they ask first: whom."""
    never: Annotated[list[Line], Field(max_length=12)] = Field(default_factory=list)
    """What they never do."""


class Holding(Model):
    """A statement approved in advance, for the minutes before the facts are known."""

    sms: Brief
    """The text message."""
    email: Email
    """The mail."""
    voice: Spoken
    """What the call says."""


class Playbook(Model):
    """One authored plan."""

    slug: Slug
    """The playbook's name in commands and links; the file is called the same, with .yaml."""
    title: Annotated[Line, Field(max_length=120)]
    """What people read when they choose it."""
    language: Tag = "en"
    """The language of the scripts."""
    when: When
    """When to reach for it."""
    owner: Line
    """The department that keeps it current; one of departments."""
    default_severity: Severity
    """The severity offered first; in doubt the higher."""
    last_drilled: Date | None = None
    """The date of the last drill, or null."""
    min_interval: Duration | None = None
    """A bulletin sooner than this after the last one is warned about."""
    help_within: Duration = timedelta(minutes=10)
    """How long a request for help may go untaken before the next ones are told: the commander, then every lead."""
    facts: dict[Name, Fact]
    """What the commander fills in, in the order asked."""
    departments: Annotated[dict[Line, Department], Field(min_length=1)]
    """Every department's part, by the department's name in the directory."""
    severities: dict[Severity, SeverityLevel]
    """SEV1 to SEV4, all four."""
    ladder: Annotated[list[Step], Field(min_length=1)]
    """Which channel is tried when, and who is told when, for a person who has not answered."""
    quiet_hours: QuietHours | None = None
    """When texts and calls wait, by each person's own clock; never when left out."""
    audiences: Annotated[dict[Name, Audience], Field(min_length=1)]
    """Who is told, in order: a person who belongs to several gets the first one's script."""
    stages: dict[Stage, dict[Name, Script]]
    """For each of the four stages, each audience's script."""
    waterline: dict[Line, Waterline]
    """By job title; anyone is for every other title and must be there."""
    holding: dict[Name, Holding]
    """By audience; everyone is for every other audience and must be there."""

    def cadence(self, severity: Severity) -> timedelta:
        """How long after one bulletin the next is due."""
        return self.severities[severity].cadence

    def approval(self, severity: Severity) -> Approval:
        return self.severities[severity].approval

    def ladder_for(self, severity: Severity) -> list[Step]:
        """The severity's own ladder, or else the playbook's. `after` counts from handing over the bulletin."""
        return self.severities[severity].ladder or self.ladder

    def channels_for(self, severity: Severity) -> list[Channel]:
        """The channels that a person is tried on, in order."""
        return [step.send for step in self.ladder_for(severity) if step.send is not None]

    def quiet_for(self, severity: Severity) -> QuietHours | None:
        """The quiet hours that hold at this severity."""
        quiet = self.quiet_hours
        return None if quiet is None or severity in quiet.except_ else quiet

    def script(self, stage: Stage, audience: str, language: str | None = None) -> Script:
        """What an audience gets at a stage, in the person's language where it is translated. KeyError if undeclared."""
        return self.stages[stage][audience].in_language(language)

    def waterline_for(self, title: str | None) -> Waterline:
        """The waterline of a job title, in any case and spacing; `anyone`'s for every other."""
        folded = {_folded(name): entry for name, entry in self.waterline.items()}
        return folded.get(_folded(title or ""), self.waterline[ANYONE])

    def holding_for(self, audience: str) -> Holding:
        """The audience's own holding statement, or else everyone's."""
        return self.holding.get(audience) or self.holding[EVERYONE]


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _folded(title: str) -> str:
    return " ".join(title.casefold().split())


def _closest(languages: dict[str, Translation], language: str | None) -> Translation | None:
    by_folded = {tag.casefold(): translation for tag, translation in languages.items()}
    wanted = (language or "").strip().casefold().replace("_", "-")
    while wanted:
        if wanted in by_folded:
            return by_folded[wanted]
        wanted = wanted.rpartition("-")[0]
    return None
