"""Jobs, deferred by name. The engine only wakes work up; truth about every delivery is in our own tables."""

from __future__ import annotations

from typing import Any

from procrastinate import App, PsycopgConnector
from sqlalchemy.ext.asyncio import AsyncSession

from app.kernel.db import driver_connection


class Jobs:
    """Defers jobs inside the caller's own transaction: a rollback removes them, a commit wakes a worker."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def defer(self, session: AsyncSession, name: str, **arguments: Any) -> None:
        """Defers the job called `name`. Whoever registered that name does the work, in whatever room."""
        connection = await driver_connection(session)
        await self.app.configure_task(name, connection=connection).defer_async(**arguments)


def make_app(url: str, *, max_size: int = 4) -> App:
    """The engine on its own small pool. Opened by the worker only; others defer on their own connections."""
    connector = PsycopgConnector(
        conninfo=url, min_size=1, max_size=max_size, timeout=10, kwargs={"application_name": "muster-jobs"}
    )
    return App(connector=connector)
