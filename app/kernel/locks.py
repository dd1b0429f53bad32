"""The advisory locks of the database, all in one place: two features with one key would wait for each other."""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class Lock(IntEnum):
    """Held for one transaction, by `pg_advisory_xact_lock` or its trying sister.

    PLAYBOOKS: one process takes files over. IMPORT: one import at a time, taken after staging, so that reading a file
    holds up nobody. CODES: sends take their reply codes one after the other, so that two incidents never give one phone
    the same code. PERSON, with the person's id: notices to one person are made one after the other, so that their limit
    holds. TELL: one timer tells; the others find nothing to do and come again. CAP: one worker asks what the day's cap
    leaves.
    """

    PLAYBOOKS = 727472001
    IMPORT = 727472002
    CODES = 727472003
    PERSON = 727472004
    TELL = 727472005
    CAP = 727472006
