"""SQL of the hand-over: claim, fence, mark, write back, renew. Set-based; the database's clock for every lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.bulletins import service as bulletins
from app.channels.kinds import RINGING, sql_list
from app.deliveries import states, telling
from app.deliveries.repository import lock_attempts
from app.deliveries.status import OVER
from app.kernel.db import row, rows, run

LEASE_SECONDS = 10.0
"""How long a worker may hold an attempt without renewing. A killed worker's work moves again after this."""

_QUIET = f"""SELECT q.ends_at FROM quiet_window q
  WHERE q.bulletin_id = d.bulletin_id AND q.zone = coalesce(p.time_zone, '') AND a.channel IN ({sql_list(RINGING)})
    AND q.starts_at <= :now AND q.ends_at > :now"""
"""The end of the quiet hours that person `p` of delivery `d` is in now, where attempt `a` would ring."""

_PROVABLE = states.sql_list(states.OPEN_TO_PROOF)


PROOF_SECONDS = 300.0
"""So long a closing bulletin waits for proof whether an earlier one arrived: by then what was unknown is settled."""

PROOF_LOOK_SECONDS = 5.0

NOTHING_BEFORE = "nothing of this incident ever reached them"

_UNPROVEN = "'handing_over', 'unknown'"
_NOTHING = ", ".join(f"'{state}'" for state in bulletins.NOTHING_CAME)

_CLOSING = "(coalesce(b.stage = 'resolved', false) OR b.corrects IS NOT NULL)"
"""Whether bulletin `b` is only for those who may have an earlier one of its incident (NULL for a notice: no)."""

_EARLIER = f"""SELECT
       coalesce(bool_or(e.response IS NOT NULL OR ea.state NOT IN ({_NOTHING}, {_UNPROVEN})), false) AS came,
       coalesce(bool_or(ea.state IN ({_UNPROVEN})), false) AS unproven
  FROM delivery e JOIN bulletin eb ON eb.id = e.bulletin_id
  LEFT JOIN attempt ea ON ea.delivery_id = e.id AND ea.id <> own.id
  WHERE {_CLOSING} AND e.person_id = d.person_id AND e.incident_id = d.incident_id AND eb.number <= b.number"""
"""Whether anything of the incident but attempt `own` may have come to the person of delivery `d`, and whether that
waits for proof. This bulletin's own earlier steps count too."""


@dataclass(frozen=True)
class Result:
    """What a hand-over came to, for one attempt. `kind` is a `channels.port.Kind`."""

    attempt_id: int
    fence: int
    kind: str
    provider_message_id: str | None = None
    error_code: int | None = None
    reason: str | None = None
    not_before: datetime | None = None


async def work_waits(session: AsyncSession, *, now: datetime) -> bool:
    """Whether anything is due to be handed over, or was being handed over by a worker that fell silent."""
    found = await row(
        session,
        """SELECT EXISTS (SELECT FROM attempt WHERE state = 'queued' AND not_before <= :now)
               OR EXISTS (SELECT FROM attempt
                          WHERE state = 'handing_over' AND lease_until < clock_timestamp()) AS so""",
        {"now": now},
    )
    return bool(found and found["so"])


async def claim(
    session: AsyncSession, *, worker: str, channel: str, limit: int, parts: float | None, at_most: int | None,
    before: int | None, now: datetime,
) -> list[RowMapping]:  # fmt: skip
    """Leases up to `limit` queued attempts, the most urgent first: `id`, `fence`, `parts`.

    `parts`: no more once the ones before come to as many parts. `at_most`: no more parts than that in all. `before`:
    only what is more urgent than this priority. None for no such bound.
    """
    found = await rows(
        session,
        """
        WITH due AS (
          SELECT id, priority, not_before, parts FROM attempt
          WHERE state = 'queued' AND not_before <= :now AND channel = :channel
            AND (lease_until IS NULL OR lease_until < clock_timestamp())
            AND (CAST(:before AS int) IS NULL OR priority < CAST(:before AS int))
          ORDER BY priority, not_before, id LIMIT :limit FOR UPDATE SKIP LOCKED
        ), picked AS (
          SELECT id, parts, sum(parts) OVER (ORDER BY priority, not_before, id) - parts AS before FROM due
        )
        UPDATE attempt a SET fence = a.fence + 1, worker = :worker,
               lease_until = clock_timestamp() + make_interval(secs => :lease)
        FROM picked WHERE a.id = picked.id
          AND (CAST(:parts AS float8) IS NULL OR picked.before < CAST(:parts AS float8))
          AND (CAST(:at_most AS int) IS NULL OR picked.before + picked.parts <= CAST(:at_most AS int))
        RETURNING a.id, a.fence, a.parts, a.priority
        """,
        {"now": now, "channel": channel, "limit": limit, "worker": worker, "lease": LEASE_SECONDS, "parts": parts,
         "at_most": at_most, "before": before},
    )  # fmt: skip
    return sorted(found, key=lambda entry: (entry["priority"], entry["id"]))


async def mark_handing_over(
    session: AsyncSession,
    claimed: Sequence[tuple[int, int]],
    *, now: datetime, write_within: float, countries: Sequence[str] | None,
) -> list[RowMapping]:  # fmt: skip
    """Marks what is about to be written within so many seconds, after looking once more at all that may have changed.

    Returns the details of those to write; the others of `claimed` are cancelled, suppressed, or no longer ours.
    """
    # Attempts and deliveries are locked in the order of their ids: a cancellation may be stopping the same ones.
    await run(
        session,
        """SELECT 1 FROM delivery WHERE id IN (SELECT delivery_id FROM attempt WHERE id = ANY(:ids))
           ORDER BY id FOR NO KEY UPDATE""",
        {"ids": [entry[0] for entry in claimed]},
    )
    marked = await rows(
        session,
        f"""
        WITH mine AS (
          SELECT a.id, a.delivery_id, a.address, a.channel, a.created_at, a.tries
          FROM attempt a JOIN unnest(CAST(:ids AS bigint[]), CAST(:fences AS int[])) c (id, fence)
            ON c.id = a.id AND c.fence = a.fence
          WHERE a.state = 'queued' AND a.lease_until > clock_timestamp()
          ORDER BY a.id FOR UPDATE OF a
        ), fit AS (
          SELECT mine.*, CASE WHEN b.asks THEN d.code END AS code, d.person_id, d.bulletin_id, i.drill,
                 i.severity, b.number, i.key AS incident_key, i.title, m.text,
                 coalesce(m.subject, n.subject) AS subject, b.stage, d.audience, n.lines,
                 silent.names AS silent
          FROM mine
          JOIN delivery d ON d.id = mine.delivery_id
          LEFT JOIN bulletin b ON b.id = d.bulletin_id
          LEFT JOIN notice n ON n.id = d.notice_id
          JOIN incident i ON i.id = d.incident_id
          JOIN person p ON p.id = d.person_id
          LEFT JOIN LATERAL (
            SELECT m.text, m.subject FROM message m
            WHERE m.bulletin_id = b.id AND m.audience = d.audience AND m.channel = mine.channel
              AND m.language IN (d.language, '') ORDER BY (m.language = d.language) DESC LIMIT 1) m ON true
          LEFT JOIN LATERAL (
            SELECT array_agg(open.name ORDER BY open.name) AS names FROM ({telling.SILENT}) open
            WHERE open.notice_id = n.id AND n.kind = '{telling.KIND}') silent ON true
          LEFT JOIN LATERAL ({_EARLIER.replace("own.", "mine.")}) earlier ON true
          WHERE (n.id IS NOT NULL OR (b.state = 'sent' AND m.text IS NOT NULL))
            AND (n.id IS NULL OR n.kind <> '{telling.KIND}' OR silent.names IS NOT NULL)
            AND NOT EXISTS ({_QUIET.replace("a.channel", "mine.channel")})
            AND d.cancelled_at IS NULL AND d.response IS NULL AND p.active AND NOT {OVER}
            AND NOT EXISTS (SELECT FROM suppression x WHERE x.address = mine.address
              AND (x.channel = mine.channel OR (mine.channel = 'voice' AND x.reason = 'invalid')))
            AND EXISTS (SELECT FROM contact_point c WHERE c.person_id = d.person_id AND c.address = mine.address
              AND (mine.channel NOT IN ({sql_list(RINGING)}) OR CAST(:countries AS text[]) IS NULL
                   OR c.country = ANY(CAST(:countries AS text[]))))
            AND (NOT {_CLOSING} OR earlier.came OR (earlier.unproven AND mine.created_at <= :proof))
        ), told AS (
          UPDATE delivery d SET handed_over_at = coalesce(d.handed_over_at, :now)
          FROM fit WHERE d.id = fit.delivery_id
        )
        UPDATE attempt a SET state = 'handing_over', handed_over_at = :now, tries = a.tries + 1, updated_at = :now,
               begun_at = NULL, write_by = CAST(:now AS timestamptz) + make_interval(secs => :within)
        FROM fit WHERE a.id = fit.id
        RETURNING a.id, a.fence, fit.delivery_id, fit.address, fit.channel, fit.text, fit.subject, fit.code,
                  fit.drill, fit.severity, fit.number, fit.incident_key, fit.title, fit.tries, fit.lines, fit.silent
        """,
        {
            "ids": [entry[0] for entry in claimed],
            "fences": [entry[1] for entry in claimed],
            "now": now,
            "within": write_within,
            "proof": now - timedelta(seconds=PROOF_SECONDS),
            "countries": list(countries) if countries is not None else None,
        },
    )
    if len(marked) < len(claimed):
        taken = {entry["id"] for entry in marked}
        left = [entry for entry in claimed if entry[0] not in taken]
        await _drop_unfit(session, left, now, countries)
    return list(marked)


async def _drop_unfit(
    session: AsyncSession, left: Sequence[tuple[int, int]], now: datetime, countries: Sequence[str] | None
) -> None:
    """Ends the queued attempts that must not go out, each with its reason; what must not go out yet waits on.

    One that has no such reason was not marked because our lease on it had ended: it stays in the queue.
    """
    dropped = await rows(
        session,
        f"""
        WITH looked_at AS (
          SELECT a.id, a.delivery_id,
            CASE WHEN d.response IS NOT NULL THEN 'answered'
                 WHEN d.cancel_reason IS NOT NULL THEN d.cancel_reason
                 WHEN b.state <> 'sent' THEN 'cancelled'
                 WHEN {OVER} THEN 'the incident is closed'
                 WHEN NOT p.active THEN 'left'
                 WHEN n.kind = '{telling.KIND}' AND NOT EXISTS (
                   SELECT FROM ({telling.SILENT}) open WHERE open.notice_id = n.id) THEN 'everybody has answered'
                 WHEN x.reason = 'opted_out' THEN 'the number has opted out of texts'
                 WHEN x.reason IS NOT NULL THEN
                   CASE a.channel WHEN 'email' THEN 'the address' ELSE 'the number' END || ' cannot be used'
                 WHEN NOT EXISTS (SELECT FROM contact_point c
                                  WHERE c.person_id = d.person_id AND c.address = a.address)
                   THEN CASE a.channel WHEN 'email' THEN 'the address' ELSE 'the number' END || ' is no longer theirs'
                 WHEN a.channel IN ({sql_list(RINGING)}) AND CAST(:countries AS text[]) IS NOT NULL AND NOT EXISTS (
                   SELECT FROM contact_point c WHERE c.person_id = d.person_id AND c.address = a.address
                     AND c.country = ANY(CAST(:countries AS text[])))
                   THEN 'number is outside the countries that may be texted'
                 WHEN d.notice_id IS NULL AND NOT EXISTS (SELECT FROM message m
                                  WHERE m.bulletin_id = b.id AND m.audience = d.audience
                                  AND m.channel = a.channel AND m.language IN (d.language, ''))
                   THEN 'there is no script for this channel'
                 WHEN {_CLOSING} AND NOT earlier.came AND NOT earlier.unproven THEN '{NOTHING_BEFORE}' END AS reason,
            (d.response IS NOT NULL OR d.cancelled_at IS NOT NULL OR coalesce(b.state <> 'sent', false)
             OR {OVER} OR ({_CLOSING} AND NOT earlier.came AND NOT earlier.unproven)) AS stopped,
            ({_QUIET}) AS quiet_until,
            CASE WHEN {_CLOSING} AND NOT earlier.came AND a.created_at > :proof THEN CAST(:look AS timestamptz) END
              AS proof_at
          FROM attempt a
          JOIN unnest(CAST(:ids AS bigint[]), CAST(:fences AS int[])) c (id, fence)
            ON c.id = a.id AND c.fence = a.fence
          JOIN delivery d ON d.id = a.delivery_id
          LEFT JOIN bulletin b ON b.id = d.bulletin_id
          LEFT JOIN notice n ON n.id = d.notice_id
          JOIN incident i ON i.id = d.incident_id
          JOIN person p ON p.id = d.person_id
          LEFT JOIN LATERAL (SELECT reason FROM suppression x
            WHERE x.address = a.address
              AND (x.channel = a.channel OR (a.channel = 'voice' AND x.reason = 'invalid'))
            ORDER BY (x.channel = a.channel) DESC LIMIT 1) x ON true
          LEFT JOIN LATERAL ({_EARLIER.replace("own.", "a.")}) earlier ON true
          WHERE a.state = 'queued'
        ), unfit AS (SELECT * FROM looked_at WHERE reason IS NOT NULL), moved AS (
          UPDATE delivery d SET next_step_at = :now FROM unfit
          WHERE d.id = unfit.delivery_id AND NOT unfit.stopped AND d.next_rung IS NOT NULL
        ), over AS (
          UPDATE delivery d SET cancelled_at = :now, cancel_reason = unfit.reason, next_rung = NULL,
                 next_step_at = NULL, next_tell_rung = NULL, next_tell_at = NULL
          FROM unfit WHERE d.id = unfit.delivery_id AND unfit.reason = '{NOTHING_BEFORE}'
        ), held AS (
          UPDATE attempt a SET not_before = coalesce(early.quiet_until, early.proof_at),
                 held_until = coalesce(early.quiet_until, a.held_until), lease_until = NULL, updated_at = :now
          FROM looked_at early
          WHERE a.id = early.id AND early.reason IS NULL AND coalesce(early.quiet_until, early.proof_at) IS NOT NULL
        )
        UPDATE attempt a SET state = CASE WHEN unfit.stopped THEN 'cancelled' ELSE 'suppressed' END,
               reason = unfit.reason, lease_until = NULL, updated_at = :now
        FROM unfit WHERE a.id = unfit.id RETURNING a.delivery_id
        """,
        {
            "ids": [entry[0] for entry in left],
            "fences": [entry[1] for entry in left],
            "countries": list(countries) if countries is not None else None,
            "now": now,
            "proof": now - timedelta(seconds=PROOF_SECONDS),
            "look": now + timedelta(seconds=PROOF_LOOK_SECONDS),
        },
    )
    await telling.hasten(session, [entry["delivery_id"] for entry in dropped], now=now)


async def renew(session: AsyncSession, held: Sequence[tuple[int, int]]) -> set[int]:
    """Extends the leases that are still ours; returns the ids of those."""
    await lock_attempts(session, [entry[0] for entry in held])
    found = await rows(
        session,
        """UPDATE attempt a SET lease_until = clock_timestamp() + make_interval(secs => :lease)
           FROM unnest(CAST(:ids AS bigint[]), CAST(:fences AS int[])) c (id, fence)
           WHERE a.id = c.id AND a.fence = c.fence AND a.state IN ('queued', 'handing_over')
             AND a.lease_until > clock_timestamp()
           RETURNING a.id""",
        {"ids": [entry[0] for entry in held], "fences": [entry[1] for entry in held], "lease": LEASE_SECONDS},
    )
    return {entry["id"] for entry in found}


async def release(session: AsyncSession, held: Sequence[tuple[int, int]]) -> None:
    """Gives back what was leased and not begun."""
    await run(
        session,
        """UPDATE attempt a SET lease_until = NULL
           FROM unnest(CAST(:ids AS bigint[]), CAST(:fences AS int[])) c (id, fence)
           WHERE a.id = c.id AND a.fence = c.fence AND a.state = 'queued'""",
        {"ids": [entry[0] for entry in held], "fences": [entry[1] for entry in held]},
    )


async def write_back(
    session: AsyncSession, results: Sequence[Result], *, now: datetime, ask_at: datetime
) -> list[RowMapping]:
    """Records what hand-overs came to, in one statement. Returns those changed, with what decides what follows.

    `ask_at`: when the provider is to be asked about those accepted, should no callback come.

    A result under an older fence changes nothing, with one exception: that the provider accepted is proof, and an
    attempt that meanwhile became unknown or uncertain takes it.
    """
    await lock_attempts(session, [result.attempt_id for result in results])
    return list(
        await rows(
            session,
            f"""
        WITH r AS (
          SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:fences AS int[]), CAST(:kinds AS text[]),
            CAST(:sids AS text[]), CAST(:codes AS int[]), CAST(:reasons AS text[]), CAST(:not_before AS timestamptz[]))
            AS r (id, fence, kind, sid, code, reason, not_before)
        )
        UPDATE attempt a SET
          state = CASE
            WHEN r.kind = 'accepted' THEN CASE WHEN a.state IN ({_PROVABLE}) THEN 'accepted' ELSE a.state END
            WHEN r.kind = 'rejected' THEN CASE WHEN r.code = 21610 THEN 'suppressed' ELSE 'rejected' END
            WHEN r.kind IN ('later', 'fenced') THEN 'queued'
            ELSE 'unknown' END,
          provider_message_id = coalesce(a.provider_message_id, r.sid),
          accepted_at = CASE WHEN r.kind = 'accepted' THEN coalesce(a.accepted_at, :now) ELSE a.accepted_at END,
          unknown_since = CASE WHEN r.kind = 'unknown' THEN :now ELSE a.unknown_since END,
          error_code = CASE WHEN r.kind = 'accepted' THEN a.error_code ELSE r.code END,
          reason = CASE WHEN r.kind = 'accepted' THEN a.reason ELSE r.reason END,
          not_before = coalesce(r.not_before, a.not_before),
          ask_at = CASE WHEN r.kind = 'accepted' AND a.state IN ({_PROVABLE}) THEN :ask_at ELSE a.ask_at END,
          lease_until = NULL, updated_at = :now
        FROM r
        WHERE a.id = r.id AND (
          (r.kind = 'accepted' AND (a.fence = r.fence OR a.state IN ({_PROVABLE})))
          OR (r.kind <> 'accepted' AND a.fence = r.fence AND a.state = 'handing_over'))
        RETURNING a.id, a.delivery_id, a.state, a.error_code, a.reason, a.address, a.channel
        """,
            {
                "ids": [result.attempt_id for result in results],
                "fences": [result.fence for result in results],
                "kinds": [result.kind for result in results],
                "sids": [result.provider_message_id for result in results],
                "codes": [result.error_code for result in results],
                "reasons": [result.reason for result in results],
                "not_before": [result.not_before for result in results],
                "now": now,
                "ask_at": ask_at,
            },
        )
    )


async def begin(session: AsyncSession, attempt_id: int, fence: int) -> bool:
    """Notes that the message leaves now; False when it is no longer this worker's to send, or nobody's: it may have
    waited for its connection while its bulletin was stopped or its person answered."""
    return bool(
        await run(
            session,
            f"""UPDATE attempt a SET begun_at = clock_timestamp()
               FROM delivery d LEFT JOIN bulletin b ON b.id = d.bulletin_id, incident i, person p
               WHERE a.id = :id AND a.fence = :fence AND a.state = 'handing_over'
                 AND a.lease_until > clock_timestamp() AND d.id = a.delivery_id AND i.id = d.incident_id
                 AND p.id = d.person_id AND p.active AND d.response IS NULL AND d.cancelled_at IS NULL
                 AND coalesce(b.state = 'sent', true) AND NOT {OVER}""",
            {"id": attempt_id, "fence": fence},
        )
    )


async def expire_leases(session: AsyncSession, *, now: datetime, noted: Sequence[str]) -> list[int]:
    """What was being handed over when its worker fell silent is now unknown, and the old worker fenced out.

    A message that is known not to have begun goes back to the queue. `noted`: the channels of which that is noted,
    because their providers keep no records.
    """
    found = await rows(
        session,
        """WITH silent AS (
             SELECT id, (channel = ANY(:noted) AND begun_at IS NULL) AS unsent FROM attempt
             WHERE state = 'handing_over' AND lease_until < clock_timestamp() ORDER BY id FOR UPDATE SKIP LOCKED)
           UPDATE attempt a SET state = CASE WHEN unsent THEN 'queued' ELSE 'unknown' END,
                  unknown_since = CASE WHEN unsent THEN a.unknown_since ELSE :now END,
                  reason = CASE WHEN unsent THEN a.reason ELSE 'the worker fell silent during the hand-over' END,
                  fence = a.fence + 1, lease_until = NULL, updated_at = :now
           FROM silent WHERE a.id = silent.id RETURNING a.id""",
        {"now": now, "noted": list(noted)},
    )
    return [entry["id"] for entry in found]
