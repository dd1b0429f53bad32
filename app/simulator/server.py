"""Runs the simulator: HTTP and SMTP on one loop, until told to stop.

`serve` is the process's whole life; `running` is the same on free ports for tests; `create_app` is the HTTP part alone.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from app.simulator.call_rest import CallsApi
from app.simulator.calling import Switchboard
from app.simulator.carrier import Carrier
from app.simulator.config import SimulatorConfig, SimulatorError
from app.simulator.control import Control
from app.simulator.faults import Faults
from app.simulator.mailserver import MailServer
from app.simulator.outside import Outside
from app.simulator.pages import Pages
from app.simulator.people import People
from app.simulator.rest import PREFIX, TwilioApi
from app.simulator.world import World

__all__ = ["Simulator", "SimulatorConfig", "SimulatorError", "create_app", "run", "running", "serve"]

log = logging.getLogger(__name__)


class Simulator:
    """The carrier as an ASGI app with its parts. Raises SimulatorError when the journal cannot be used."""

    def __init__(self, config: SimulatorConfig, now: Callable[[], float] = time.time) -> None:
        self.config = config
        self.world = World(config, now)
        self.faults = Faults()
        self.outside = Outside(self.world, self.faults)
        self.people = People(self.world, self.outside)
        self.carrier = Carrier(self.world, self.outside, self.people)
        self.switchboard = Switchboard(self.world, self.outside)
        self.mail = MailServer(self.world, self.carrier, self.faults)
        calls = CallsApi(self.world, self.switchboard, self.faults)
        self._api = TwilioApi(self.world, self.carrier, calls, self.faults)
        routes = [
            *Control(self.world, self.outside, self.people, self.faults, self.switchboard).routes(),
            *Pages(self.world, self.outside, self.switchboard).routes(),
        ]
        self._rest = Starlette(routes=routes, lifespan=self._lifespan, max_body_size=256 * 1024)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Twilio's paths go straight to the API; everything else through Starlette."""
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await self._api(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        await self.outside.start()
        self.carrier.resume()
        self.switchboard.resume()
        self.world.scheduler.start()
        try:
            yield
        finally:
            self.world.scheduler.stop()
            await self.outside.stop()
            self.world.journal.close()


def create_app(config: SimulatorConfig, now: Callable[[], float] = time.time) -> Simulator:
    """The HTTP part as an ASGI app: Twilio's API, the controls, the pages. Its lifespan starts and stops the rest."""
    return Simulator(config, now)


@dataclass(frozen=True)
class Running:
    """A simulator that runs, and where."""

    simulator: Simulator
    http_port: int
    smtp_port: int

    @property
    def url(self) -> str:
        """Where its HTTP answers."""
        host = self.simulator.config.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.http_port}"


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the caller decides when to stop, so SMTP and journal end in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int, what: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(512)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise SimulatorError(
            f"The simulator cannot listen on {host}:{port} for {what}: {os.strerror(error.errno or 0)}. "
            "Stop what uses the port, or choose another."
        ) from None
    return listening


@contextlib.asynccontextmanager
async def running(config: SimulatorConfig) -> AsyncIterator[Running]:
    """A simulator that serves while the block runs; port 0 takes free ones. Raises SimulatorError."""
    simulator = create_app(config)
    with contextlib.ExitStack() as sockets:
        try:
            http = sockets.enter_context(_listen(config.host, config.http_port, "HTTP"))
            smtp = sockets.enter_context(_listen(config.host, config.smtp_port, "SMTP"))
        except SimulatorError:
            simulator.world.journal.close()
            raise
        simulator.world.address = Running(simulator, http.getsockname()[1], 0).url
        server = _Server(
            uvicorn.Config(
                simulator, access_log=False, log_config=None, lifespan="on", ws="none", backlog=512,
                timeout_graceful_shutdown=1, timeout_keep_alive=75, server_header=False,
            )
        )  # fmt: skip
        mail = await asyncio.get_running_loop().create_server(simulator.mail.protocol, sock=smtp)
        task = asyncio.create_task(server.serve(sockets=[http]))
        try:
            while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn offers no event
                await asyncio.sleep(0.005)
            if task.done():
                task.result()
                raise SimulatorError("The simulator's web server did not start.")
            yield Running(simulator, http.getsockname()[1], smtp.getsockname()[1])
        finally:
            mail.close()
            simulator.mail.close()
            server.should_exit = True
            await task


async def serve(config: SimulatorConfig) -> None:
    """Serve until SIGTERM or SIGINT. Raises SimulatorError, one plain line, when a port or the journal is taken."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with running(config) as where:
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError, RuntimeError):
                loop.add_signal_handler(number, stop.set)
        log.info("pretend carrier at %s, SMTP on port %d", where.url, where.smtp_port)
        await stop.wait()


def run(config: SimulatorConfig) -> None:
    """`serve` on the fastest loop there is. Raises SimulatorError."""
    if sys.platform == "win32":
        asyncio.run(serve(config))
    else:
        import uvloop

        uvloop.run(serve(config))
