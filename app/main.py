"""The web app: rooms' edges put on one FastAPI application, and how it is served."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from importlib import metadata
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from app.access import pages as access_pages
from app.board import api as board_api
from app.board import pages as board_pages
from app.board.stream import Hub
from app.bulletins import api as bulletins_api
from app.channels.port import MediaStore
from app.compose import Program, keep_database, make_providers, make_watch, open_program
from app.deliveries import api as deliveries_api
from app.deliveries.callbacks import CallbackWriter
from app.directory import api as directory_api
from app.incidents import api as incidents_api
from app.kernel.clock import DatabaseClock
from app.kernel.house import House
from app.playbooks import api as playbooks_api
from app.playbooks import service as playbooks
from app.readiness import api as readiness_api
from app.readiness.tally import Tally
from app.replies import api as replies_api
from app.replies import pages as replies_pages
from app.review import api as review_api
from app.settings import Settings
from app.web import asgi, documentation, problems, templating
from app.webhooks import twilio as twilio_webhooks
from app.webhooks import voice as voice_webhooks

STATIC = Path(__file__).parent / "web" / "static"
CALIBRATE_SECONDS = 30.0
DRAIN_SECONDS = 8
"""Of the ten that whoever stops us waits: what is left is for closing the connections."""


def create_app(
    house: House, hub: Hub, *, signatures: twilio_webhooks.Signatures | None, max_body_bytes: int = 1_000_000
) -> FastAPI:
    """The application on an opened house. Whoever calls starts and stops the hub."""
    app = FastAPI(
        title="Muster",
        version=metadata.version("muster"),
        summary="One message to everybody who must know, and everybody accounted for by name.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        strict_content_type=False,
    )
    attach(app, house, hub, signatures=signatures)
    problems.install(app)
    templating.install(app)
    for router in (
        playbooks_api.router,
        directory_api.router,
        incidents_api.router,
        bulletins_api.router,
        deliveries_api.router,
        board_api.router,
        replies_api.router,
        replies_api.people,
        review_api.router,
        twilio_webhooks.router,
        voice_webhooks.router,
        readiness_api.router,
    ):
        app.include_router(router)
    for pages in (access_pages.router, board_pages.router, replies_pages.router):
        app.include_router(pages, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    documentation.install(app)
    app.add_middleware(asgi.BodyLimit, limit=max_body_bytes, large={"/api/v1/people/imports": 64 * max_body_bytes})
    app.add_middleware(asgi.CleanLinks)
    app.add_middleware(asgi.SafeHeaders)
    problems.describe(app)
    return app


def attach(app: FastAPI, house: House, hub: Hub, *, signatures: twilio_webhooks.Signatures | None) -> None:
    """Puts the application on this house: everything that a request needs and the routes do not know."""
    app.state.house = house
    app.state.hub = hub
    app.state.signatures = signatures
    app.state.callbacks = CallbackWriter(house)
    app.state.tally = Tally()
    app.state.media = None


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Program, FastAPI, Hub]]:
    """The whole web program, ready to be served."""
    async with open_program(settings) as program:
        house = program.house
        if isinstance(house.clock, DatabaseClock):
            await house.clock.calibrate(house.db)
        await playbooks.sync(house)
        hub = Hub(program.url)
        hub.start()
        signatures = None
        if account := settings.twilio:
            signatures = twilio_webhooks.signatures(account.account_sid, account.auth_token)
        app = create_app(house, hub, signatures=signatures, max_body_bytes=settings.max_body_bytes)
        # Alarms are told from here when no worker is alive to do it.
        providers = make_providers(settings)
        texts = providers.by_channel.get("sms")
        app.state.media = texts if isinstance(texts, MediaStore) else None
        name = f"web-{socket.gethostname()[:30]}-{os.getpid()}-{secrets.token_hex(3)}"
        watch = make_watch(program, providers, name, app.state.tally)
        helpers = [
            asyncio.create_task(keep_database(program.embedded)),
            asyncio.create_task(_calibrate(house)),
            asyncio.create_task(watch.run()),
        ]
        try:
            yield program, app, hub
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await watch.stop()
            await providers.close()
            await hub.stop()


async def _calibrate(house: House) -> None:
    while True:
        await asyncio.sleep(CALIBRATE_SECONDS)
        if isinstance(house.clock, DatabaseClock):
            with contextlib.suppress(Exception):  # the correction in force stays; readiness shows the database
                await house.clock.calibrate(house.db)


class _Server(uvicorn.Server):
    """Ends open streams as soon as a stop is asked for; they would keep the server waiting.

    The signals are ours: uvicorn would raise them again when it has stopped, and so end the process before anything
    around it is closed.
    """

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._hub.close_streams()
        super().handle_exit(sig, frame)


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; ends within ten seconds, with the requests under way answered."""
    async with opened(settings) as (_program, app, hub):
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            lifespan="off",
            proxy_headers=False,
        )
        server = _Server(config, hub)
        await server.serve()
    if not server.started:
        raise SystemExit(1)
