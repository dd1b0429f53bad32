"""What an operator would watch, in Prometheus' text form, read from the database when asked."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from app.kernel.db import rows
from app.kernel.house import House
from app.readiness import service

MEDIA_TYPE = CONTENT_TYPE_LATEST


async def page(house: House) -> bytes:
    """The metrics page. `muster_up` alone is 0 when the database does not answer."""
    registry = CollectorRegistry()
    found = await service.ready(house)
    Gauge("muster_ready", "1 when a send would go out", registry=registry).set(found["ready"])
    Gauge("muster_simulated", "1 when the simulator stands in for the providers", registry=registry).set(
        house.simulated
    )
    check = Gauge("muster_check_ok", "1 when the part is in order", ["check"], registry=registry)
    for name, entry in found["checks"].items():
        check.labels(name).set(entry["ok"])
    if not found["checks"]["database"]["ok"]:
        return generate_latest(registry)
    attempts = Gauge("muster_attempts", "Attempts of open incidents by channel and state", ["channel", "state"],
                     registry=registry)  # fmt: skip
    late = Gauge("muster_queue_age_seconds", "How long the oldest due attempt has waited", registry=registry)
    open_incidents = Gauge("muster_open_incidents", "Incidents that are not closed", registry=registry)
    async with house.db.begin() as session:
        for entry in await rows(
            session,
            """SELECT a.channel, a.state, count(*) AS many FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               JOIN incident i ON i.id = d.incident_id WHERE i.closed_at IS NULL GROUP BY 1, 2""",
        ):
            attempts.labels(entry["channel"], entry["state"]).set(entry["many"])
        [figures] = await rows(
            session,
            """SELECT (SELECT count(*) FROM incident WHERE closed_at IS NULL) AS open,
                 (SELECT coalesce(extract(epoch FROM max(:now - not_before)), 0) FROM attempt
                  WHERE state = 'queued' AND not_before <= :now) AS age""",
            {"now": house.clock.now()},
        )
    open_incidents.set(figures["open"])
    late.set(float(figures["age"]))
    return generate_latest(registry)
