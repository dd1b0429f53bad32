"""Who may use the simulator's own pages and controls: this machine, and only from the simulator's own pages."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def _host(request: Request) -> tuple[str, int | None]:
    parts = urlsplit("//" + request.headers.get("host", ""))
    try:
        return (parts.hostname or "").lower(), parts.port
    except ValueError:
        return "", None


def known_host(request: Request, own: str) -> None:
    """Refuse a request for a host name that is not ours: so a foreign name that resolves to this machine is useless.

    When listening on every address (a container), any literal address is taken too. Raises HTTPException 421.
    """
    host, _ = _host(request)
    try:
        literal = own in ("0.0.0.0", "::") and bool(ip_address(host))  # noqa: S104 - compared, not bound
    except ValueError:
        literal = False
    if host not in LOCAL_NAMES and host != own and not literal:
        raise HTTPException(421, "This is the pretend carrier. Open it as 127.0.0.1 or localhost.")


def same_site(request: Request) -> None:
    """Refuse a form that another site's page posted. Raises HTTPException 403."""
    came_from = request.headers.get("origin") or request.headers.get("referer") or ""
    parts = urlsplit(came_from)
    try:
        where = ((parts.hostname or "").lower(), parts.port)
    except ValueError:
        where = ("", None)
    if not came_from or where != _host(request):
        raise HTTPException(403, "This form was not sent from the simulator's own page. Open the page and try again.")


def from_here(request: Request) -> None:
    """Refuse the test controls to other machines and to web pages. Raises HTTPException 403."""
    try:
        local = request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise HTTPException(403, "The simulator's controls answer only on the machine that it runs on.")
    if request.headers.get("origin"):
        same_site(request)
