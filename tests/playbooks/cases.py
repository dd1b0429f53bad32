"""What can be wrong with a playbook, a row each: one change to the sample, with « where it is to be named."""

from __future__ import annotations

Change = tuple[str, str]
SMS = "sms: ${vendor} investigating for front_line. ${kind} at ${hit}. Next update ${next_update}."
BODY = "subject: ${severity} investigating for front_line\n        body: ${vendor} at ${sites}."
VOICE = "voice: ${vendor} has a fault."
SAY = 'say: ["I know more at ${next_update}."]'
VENDOR = "vendor: {type: text, max: 30, example: Northwind, help: As it calls itself}"
KIND = "kind: {type: choice, choices: [power, network], example: power, help: What failed}"
HIT = "hit: {type: number, max: 500, example: 12, unit: sites, help: How many}"
WATERLINE = (
    "waterline:\n  Cashier: {decide: [Sell for cash], ask_first: {Close a till: Shift Manager}, never: [Guess]}"
    "\n  anyone: {never: [Guess]}"
)
SITES = "sites: {type: choice, many: true, from: directory.sites, required: false, default: every site, help: Where}"
FRONT = "front_line: {label: Counters, departments: [Store Operations], sites: $sites}"

ERRORS: dict[str, tuple[Change, str]] = {
    # keys
    "unknown key": (("owner: IT", "«ownr: IT\nowner: IT"), '"ownr" is not known here; did you mean "owner"?'),
    "unknown key far from any": (
        ("everyone:\n    sms", "everyone:\n    «zzz: 1\n    sms"),
        '"zzz" is not known here; known here are sms, email and voice',
    ),
    "duplicate key": (
        ("owner: IT", "owner: IT\n«owner: Security"),
        '"owner" is here twice (first in line 6); keep one of the two',
    ),
    "missing key of the playbook": (("slug: sample\n", "«"), "the playbook lacks slug; add slug: (The playbook's name"),
    "missing key": (
        ("when:\n  trigger: Something fails at many sites", "«when:"),
        "when lacks trigger; add trigger: (What has happened",
    ),
    "value of the wrong kind": (("owner: IT", "owner: «12"), "owner must be text; put quotes around 12"),
    "empty value": (("owner: IT", "owner«:"), "owner is empty; write a text"),
    "text where keys belong": (
        (
            "  IT:\n    owns: The repair\n    tasks:\n      investigating: [Open the bridge]",
            "  IT:\n    owns: x\n    tasks: «x",
        ),
        "tasks must be lines of key: value",
    ),
    "text where a list belongs": (
        ("[tills are dead, screens are black]", "«tills"),
        "symptoms must be a list, each line beginning with a hyphen",
    ),
    "unknown severity": (
        ("default_severity: SEV2", "default_severity: «SEV9"),
        'default_severity is "SEV9"; write SEV1, SEV2, SEV3 or SEV4',
    ),
    "unknown stage": (("  identified:\n", "  «identifyed:\n"), 'identifyed is "identifyed"; write investigating,'),
    "fact name with a hyphen": (
        ("vendor: {", "«ven-dor: {"),
        "ven-dor must begin with a-z and hold only a-z, 0-9 and _",
    ),
    "line break in one line": (("title: A sample outage", 'title: «"A\\nB"'), "title has a line break"),
    "too long": (("title: A", "title: «" + "A" * 130), "title has 144 characters; shorten it to at most 120"),
    # unsafe YAML
    "tag": (("owner: IT", "owner: «!!python/name:os.system IT"), "a tag (!) is not allowed"),
    "anchor": (("owner: IT", "owner: «&it IT"), "an anchor (&) is not allowed"),
    "alias": (("owner: IT", "owner: «*it"), "an alias (*) is not allowed"),
    "second document": (("owner: IT", "«---\nowner: IT"), "a second document begins here"),
    "tab": (("owner: IT", "when2:\n«\towner: IT"), "indent with spaces, not tabs"),
    "unclosed quote": (("owner: IT", "owner: «'IT"), "close the quotes"),
    "unclosed bracket": (
        ("screens are black]\nowner: IT", "screens are black\nowner«: IT"),
        "close every [ with ]",
    ),
    "key that is a list": (("owner: IT", "? «[a]\n: 1\nowner: IT"), "a key must be one plain word or text"),
    "escape that is no text": (("owner: IT", 'owner: «"IT\\0"'), "the text holds U+0000, which is not text"),
    # names and departments
    "slug unlike the file": (
        ("slug: sample", "slug: «other"),
        'slug is "other" but the file is called sample.yaml; name both the same',
    ),
    "slug with a space": (("slug: sample", "slug: «my sample"), "slug must be of a-z, 0-9 and single hyphens"),
    "owner without a part": (("owner: IT", "owner: «Finance"), 'owner "Finance" is not under departments'),
    "date that is none": (("owner: IT", "owner: IT\nlast_drilled: «31.5.2026"), "write it as 2026-05-31, or null"),
    # durations
    "duration without a unit": (
        ("cadence: 20m", "cadence: «20"),
        "cadence is a bare number; say its unit, such as 20m",
    ),
    "duration in words": (("cadence: 20m", "cadence: «20 minutes"), "cadence is not a duration; write a whole number"),
    "duration of nothing": (("cadence: 20m", "cadence: «0m"), "cadence is no time at all"),
    "duration beyond a year": (("due: 20m", "due: «400d"), "due is longer than a year"),
    "commitment due at once": (("due: 20m", "due: «0s"), "due is no time at all"),
    "no time to take a request": (("owner: IT", "owner: IT\nhelp_within: «0s"), "help_within is no time at all"),
    # severities and ladder
    "missing severity": (
        ("severities:\n  SEV1: {means: Nobody is served, cadence: 20m}", "«severities:"),
        "severities lacks SEV1; add each with means and cadence",
    ),
    "empty ladder": (
        ("  - {send: sms}\n  - {send: email, after: 4m}\n  - {send: voice, after: 8m}", "  «[]"),
        "ladder is empty; add at least one entry",
    ),
    "first step later": (("{send: sms}", "{send: sms, after: «1m}"), "the first step is taken at once"),
    "ladder not ascending": (("after: 8m", "after: «4m"), "each step comes later than the one before it"),
    "step without after": (("{send: email, after: 4m}", "«{send: email}"), "each step comes later than the one before"),
    "channel twice": (("send: voice", "send: «sms"), "sms is tried twice (first in step 1); use each channel once"),
    "unknown channel": (("send: voice", "send: «pager"), 'send is "pager"; write sms, email or voice'),
    "ladder of one severity": (
        ("cadence: 12h}", "cadence: 12h, ladder: [{send: sms}, {send: email, after: «0s}]}"),
        "each step comes later than the one before it",
    ),
    "step of neither kind": (
        ("{send: voice, after: 8m}", "«{after: 8m}"),
        "ladder[2] says neither; give send: sms, email or voice, or tell: manager, department_lead or commander",
    ),
    "step of both kinds": (
        ("{send: voice, after: 8m}", "«{send: voice, tell: manager, after: 8m}"),
        "ladder[2] gives both send and tell; make two steps of it",
    ),
    "unknown person to tell": (
        ("send: voice", "tell: «boss"),
        'tell is "boss"; write manager, department_lead or commander',
    ),
    "told twice": (
        ("{send: voice, after: 8m}", "{tell: manager, after: 8m}\n  - {tell: «manager, after: 9m}"),
        "manager is told twice (first in step 3); use each of them once",
    ),
    "telling comes first": (
        ("{send: sms}", "{tell: «manager}"),
        "a ladder begins with the person themselves; put a step with send: sms, email or voice before this one",
    ),
    "telling before its time": (
        ("{send: voice, after: 8m}", "{tell: manager, after: «3m}"),
        "each step comes later than the one before it",
    ),
    # quiet hours
    "quiet hours that are no time": (
        ("ladder:", 'quiet_hours: {from: «"25:00", to: "07:00"}\nladder:'),
        'from is not a time of day; write hours and minutes in quotes, such as "22:00" or "07:30"',
    ),
    "quiet hours without an end": (
        ("ladder:", '«quiet_hours: {from: "22:00"}\nladder:'),
        "quiet_hours lacks to; add to: (When they end, in quotes",
    ),
    "quiet hours of no length": (
        ("ladder:", 'quiet_hours: «{from: "22:00", to: "22:00"}\nladder:'),
        "quiet_hours ends when it begins; give two different times",
    ),
    "quiet hours of an unknown severity": (
        ("ladder:", 'quiet_hours: {from: "22:00", to: "07:00", except: [«SEV9]}\nladder:'),
        'except[0] is "SEV9"; write SEV1, SEV2, SEV3 or SEV4',
    ),
    # audiences
    "audience that names nobody": (
        (FRONT, "«front_line: {label: Counters}"),
        "front_line names nobody; give departments",
    ),
    "empty list of departments": (
        ("departments: [Store Operations], sites: $sites", "departments: «[], sites: $sites"),
        "departments is empty; add at least one entry",
    ),
    "everyone and more": (
        ("departments: [Store Operations], sites: $sites", "departments: [Store Operations], «everyone: true"),
        "everyone: true already includes them; remove it, or remove departments",
    ),
    "sites of no fact": (("sites: $sites}", "sites: «$places}"), "$places is not a choice of the directory's sites"),
    "sites of another fact": (
        ("sites: $sites}", "sites: «$kind}"),
        "$kind is a fact, but not a choice of the directory's sites; write $sites",
    ),
    "sites as one name": (("sites: $sites}", "sites: «Paris}"), "sites must be a list of site names, or the name of"),
    # stages
    "audience not declared": (
        ("    responders:\n      sms", "    «responder:\n      sms"),
        '"responder" is not under audiences; did you mean "responders"?',
    ),
    "script without sms": (("    front_line:\n      " + SMS, "    «front_line:"), "front_line lacks sms; add sms:"),
    "script without voice": (
        (
            "    front_line:\n      " + SMS + "\n      email:\n        " + BODY + "\n      " + VOICE,
            "    «front_line:\n      " + SMS + "\n      email:\n        " + BODY,
        ),
        "front_line lacks voice",
    ),
    "mail without subject": (
        ("email:\n        subject: ${severity} investigating for front_line", "«email:"),
        "email lacks subject",
    ),
    "nothing to say": ((SAY, "say: «[]"), "say is empty; add at least one entry"),
    # scripts
    "unknown fact": (
        ("${vendor} at ${sites}.", "${vendor} and «${vendr}."),
        '${vendr} is not a fact of this playbook; did you mean "vendor"?',
    ),
    "fact without braces": ((VOICE, "voice: «$vendor has a fault."), "$vendor has no braces; write ${vendor}, or $$"),
    "lone dollar": ((VOICE, "voice: up to «$50."), "a single $ means nothing here; write $$ for a dollar sign"),
    "expression": ((VOICE, "voice: «${vendor.upper} is."), "${vendor.upper} is no fact's name"),
    "reply YES": ((VOICE, "voice: Please «reply YES."), '"reply YES" asks for YES, a word that carriers act on'),
    "text stop": ((VOICE, "voice: You may «text stop to leave."), "asks for STOP"),
    "answer in quotes": ((VOICE, "voice: Then «answer 'help' now."), "asks for HELP"),
    "link in a call": ((VOICE, "voice: See «https://example.com now."), "voice is spoken, and nobody can press"),
    "line to say and not to say": (
        ("do_not_say: [Soon.]", 'do_not_say: [Soon., «"I know more at ${next_update}"]'),
        "this line is also to be said (line 52); keep it in one of the two lists",
    ),
    "holding statement with a fact": (
        ("voice: We are looking.", "voice: «${vendor} is down."),
        "${vendor} is not known yet when a holding statement goes out",
    ),
    "holding statement for nobody": (
        ("holding:\n", "holding:\n  «frontline: {sms: a, email: {subject: a, body: a}, voice: a}\n"),
        '"frontline" is not under audiences; did you mean "front_line"?',
    ),
    "no holding statement": (
        ("holding:\n  everyone:", "«holding:\n  front_line:"),
        "holding lacks everyone; add it, for every audience",
    ),
    # waterline
    "no waterline for anyone": (
        (WATERLINE, "«waterline:\n  Cashier: {never: [Guess]}"),
        "waterline lacks anyone; add it, for every title",
    ),
    "waterline that says nothing": (("anyone: {never: [Guess]}", "«anyone: {never: []}"), "anyone says nothing"),
    "title twice": (
        ("  anyone:", "  «cashier: {never: [Guess]}\n  anyone:"),
        '"cashier" is the same title as "Cashier"; keep one of the two',
    ),
    # facts
    "text without a length": ((VENDOR, "«vendor: {type: text, example: a, help: x}"), "vendor needs max, its longest"),
    "text length of nothing": ((VENDOR, VENDOR.replace("30", "«0")), "max must be a whole number of characters"),
    "text without an example": ((VENDOR, "«vendor: {type: text, max: 9, help: x}"), "vendor needs an example"),
    "example too long": (
        (VENDOR, VENDOR.replace("max: 30, example: N", "max: 3, example: «N")),
        "example has 9 characters; shorten it by 6 to at most 3",
    ),
    "example that is no choice": (
        (KIND, KIND.replace("example: power", "example: «powr")),
        'example holds "powr", which is not one of the choices; did you mean "power"?',
    ),
    "example out of range": (
        (HIT, HIT.replace("12", "«501")),
        "example is out of range; give a whole number from 0 to",
    ),
    "example with decimals": ((HIT, HIT.replace("12", "«1.5")), "example has too many decimals"),
    "choice twice": ((KIND, KIND.replace("network]", "network, «Power]")), '"Power" is the same choice as "power"'),
    "choice without choices": ((KIND, "«kind: {type: choice, help: x}"), "kind needs choices"),
    "choices written and taken": (
        (SITES, SITES.replace("many", "choices: «[a], many")),
        "choices come from the directory",
    ),
    "number without an end": ((HIT, "«hit: {type: number, example: 1, help: x}"), "hit needs max, its largest value"),
    "number upside down": ((HIT, HIT.replace("500", "«5, min: 9")), "max (5) is below min (9)"),
    "length of a choice": (
        (KIND, KIND.replace("example", "max: «9, example")),
        "max is for choices from the directory",
    ),
    "unit of a text": ((VENDOR, VENDOR.replace("example", "unit: «m, example")), "unit means nothing for a text"),
    "default never shown": ((VENDOR, VENDOR.replace("example", "default: «x, example")), "default is never shown"),
    "default too long": (
        (VENDOR, VENDOR.replace("example", "required: false, default: «" + "x" * 31 + ", example")),
        "default has 31 characters; shorten it to max (30)",
    ),
    "fact named like a built-in": (
        ("vendor: {", "«severity: {type: time, help: x}\n  vendor: {"),
        "severity is built in",
    ),
    "unknown type": (
        (VENDOR, VENDOR.replace("text", "«string")),
        'type is "string"; write text, choice, time or number',
    ),
}

WARNINGS: dict[str, tuple[Change, str]] = {
    "fact that nothing uses": (
        ("vendor: {", "«idle: {type: time, help: x}\n  vendor: {"),
        "idle is declared but nothing uses it; use ${idle} in a script, or remove it",
    ),
    "optional fact without default": (
        ("${vendor} at ${sites}.", "${vendor} at «${sites}."),
        "${sites} may have been left out, which leaves a hole here; give sites a default",
    ),
    "promise in a text": (
        (SMS, "sms: It «will be fixed by ${next_update}."),
        "promises when it will be over; say when",
    ),
    "promise in what to say": ((SAY, 'say: ["«Back online by 5."]'), "promises when it will be over"),
    "curly quote": (
        (VOICE, VOICE),
        "’ (U+2019) makes the whole SMS UCS-2, 67 characters a part instead of 153; write ' for ’",
    ),
    "choice outside GSM-7": (
        ("${kind} at ${hit}", "«${kind} at ${hit}"),
        "${kind} can hold ê (U+00EA), which makes the SMS UCS-2",
    ),
    "example that is made fresh": (
        ("{type: time, future", "{type: time, example: «2026-01-01T00:00:00Z, future"),
        "example is never used here",
    ),
    "ladder longer than the cadence": (
        ("after: 8m", "after: «25m"),
        "at SEV1 the next bulletin is due (cadence 20m) before this step is taken",
    ),
    "quiet hours that never hold": (
        ("ladder:", 'quiet_hours: {from: "22:00", to: "07:00", except: «[SEV1, SEV2, SEV3, SEV4]}\nladder:'),
        "except names every severity, so nothing ever waits; leave one out, or remove quiet_hours",
    ),
    "quiet hours that are the day": (
        ("ladder:", 'quiet_hours: «{from: "07:00", to: "22:00"}\nladder:'),
        "they last 15 hours of every day, and texts and calls wait that long; are from and to exchanged?",
    ),
    "language at some stages only": (
        (
            VOICE,
            VOICE
            + "\n      languages: {«fr: {sms: a, email: {subject: a, body: a}, voice: a, say: [a], do_not_say: [b]}}",
        ),
        "front_line reads en at identified, monitoring and resolved; translate those stages too",
    ),
    "translation with gaps": (
        (VOICE, VOICE + "\n      languages: {«fr: {sms: a, say: [a]}}"),
        "fr lacks email, voice and do_not_say, which stay in en; translate them too",
    ),
}
