"""What an operator would page on, in Prometheus' text form, read from the database when asked. See docs/metrics.md."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncSession

from app.kernel.db import row, rows
from app.kernel.house import House
from app.readiness import rules, service
from app.readiness.heartbeat import NAME
from app.readiness.measure import QUEUE_AGE

MEDIA_TYPE = CONTENT_TYPE_LATEST


class _Page(Collector):
    """Families that were read already, as a collector."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


async def page(house: House) -> bytes:
    """The metrics page. Without its database it says so, and holds only what can be known without."""
    found = await service.ready(house)
    up = bool(found["checks"]["database"]["ok"])
    families: list[Metric] = [
        _one("muster_ready", "1 when a send would go out, as /readyz judges", found["ready"]),
        _one("muster_simulated", "1 when the simulator stands in for the providers", house.simulated),
        _one("muster_database_up", "1 when the database answers", up),
        _many("muster_check_ok", "1 when the part is in order", ["check"],
              [((name,), entry["ok"]) for name, entry in found["checks"].items()]),
    ]  # fmt: skip
    if up:
        async with house.db.begin() as session:
            families += await _attempts(session)
            families += await _figures(session, house)
    registry = CollectorRegistry()
    registry.register(_Page(families))
    return generate_latest(registry)


async def _attempts(session: AsyncSession) -> list[Metric]:
    """Of open incidents: attempts as they stand, and what providers said against them."""
    found = await rows(
        session,
        """SELECT a.channel, a.state, a.error_code AS code, count(*) AS many
           FROM incident i JOIN delivery d ON d.incident_id = i.id JOIN attempt a ON a.delivery_id = d.id
           WHERE i.closed_at IS NULL GROUP BY 1, 2, 3""",
    )
    states: dict[tuple[str, ...], int] = {}
    errors: dict[tuple[str, ...], int] = {}
    for entry in found:
        state = (entry["channel"], entry["state"])
        states[state] = states.get(state, 0) + entry["many"]
        if entry["code"] is not None:
            error = (entry["channel"], str(entry["code"]))
            errors[error] = errors.get(error, 0) + entry["many"]
    return [
        _many("muster_attempts", "Attempts of open incidents by channel and state", ["channel", "state"],
              sorted(states.items())),
        _many("muster_provider_errors", "Attempts of open incidents with an error code of the provider's",
              ["channel", "code"], sorted(errors.items())),
    ]  # fmt: skip


async def _figures(session: AsyncSession, house: House) -> list[Metric]:
    figures = await row(
        session,
        f"""SELECT (SELECT count(*) FROM incident WHERE closed_at IS NULL) AS open, {QUEUE_AGE} AS age,
              (SELECT count(*) FROM worker_heartbeat
               WHERE at > clock_timestamp() - make_interval(secs => :silent)) AS workers,
              (SELECT extract(epoch FROM clock_timestamp() - max(at)) FROM worker_heartbeat) AS worker_age,
              (SELECT count(*) FROM inbound_message m JOIN incident i ON i.id = m.incident_id
               WHERE m.outcome = 'reaction' AND i.closed_at IS NULL) AS reactions,
              (SELECT extract(epoch FROM answered_at) FROM heartbeat_ping WHERE name = :heartbeat) AS heartbeat,
              told.made, told.joined, told.held
            FROM (SELECT count(*) AS made, coalesce(sum(jsonb_array_length(lines) - 1), 0) AS joined,
                         count(*) FILTER (WHERE due_at > created_at) AS held FROM notice) told""",
        {
            "now": house.clock.now(), "channels": list(house.channels), "silent": service.WORKER_SILENT_SECONDS,
            "heartbeat": NAME,
        },
    )  # fmt: skip
    assert figures is not None
    webhooks = dict.fromkeys(("taken", "refused", "refused_ours"), 0)
    for entry in await rows(session, "SELECT kind, sum(many) AS many FROM webhook_count GROUP BY 1"):
        webhooks[entry["kind"]] = int(entry["many"])
    alarms = dict.fromkeys(rules.KINDS, 0)
    for entry in await rows(session, "SELECT cause FROM alarm WHERE resolved_at IS NULL AND announced_at IS NOT NULL"):
        alarms[rules.kind(entry["cause"])] = alarms.get(rules.kind(entry["cause"]), 0) + 1
    age = float("inf") if figures["worker_age"] is None else float(figures["worker_age"])
    counter = CounterMetricFamily(
        "muster_webhooks", "Webhooks taken and refused, as the web last counted", labels=["result"]
    )
    counter.add_metric(["taken"], webhooks["taken"])
    # Those that only the provider can have sent are counted apart: they mean a wrong setting, the others a stranger.
    counter.add_metric(["refused_ours"], webhooks["refused_ours"])
    counter.add_metric(["refused_stranger"], webhooks["refused"] - webhooks["refused_ours"])
    notices = CounterMetricFamily("muster_notices", "Lines that single people were told in notices", labels=["result"])
    for name in ("made", "joined", "held"):
        notices.add_metric([name], figures[name])
    return [
        _one("muster_open_incidents", "Incidents that are not closed", figures["open"]),
        _one("muster_reactions", "Texts to open incidents that were only reactions", figures["reactions"]),
        _one("muster_queue_age_seconds", "How long the oldest message has waited to be handed over", figures["age"]),
        _one("muster_workers", "Workers that gave a sign of life lately", figures["workers"]),
        _one("muster_worker_age_seconds", "How long ago any worker gave its last sign of life", age),
        _many("muster_alarms_open", "Troubles of Muster's own that are not over, by cause", ["cause"],
              [((cause,), many) for cause, many in alarms.items()]),
        _one("muster_heartbeat_last_success_timestamp_seconds", "When the outside monitor last answered; 0 for never",
             figures["heartbeat"] or 0),
        counter,
        notices,
    ]  # fmt: skip


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _many(name: str, text: str, labels: list[str], values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for given, value in values:
        family.add_metric(given, float(value))
    return family
