"""A study as a local web page that follows it: read-only, bound to this machine, and never in a search's way.

It reads the study as any reader does, in a process of its own. Whatever a study's texts are, they are escaped.
"""

import functools
import multiprocessing
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvicorn
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tinynas.boards import load_board
from tinynas.compiler import compile_network
from tinynas.errors import ConfigError, InfrastructureError, StoreError, TinynasError
from tinynas.study import charts
from tinynas.study.arena import svg_picture
from tinynas.study.comparison import figure_lines, gene_lines
from tinynas.study.deployment import recorded_options
from tinynas.study.mirror import Mirror, Seen
from tinynas.study.pages import Detail, detail_of, environment, rows_of, source
from tinynas.study.quantities import figures_on
from tinynas.study.report import plotly_script
from tinynas.study.store import Store

HOST, PORT = "127.0.0.1", 8642
_MOST_COMPARED = 8
_STARTING_S = 20.0
_ENDING_S = 3.0
# A page may ask this server alone, and nothing from a study may run in it; Plotly sets styles.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data: blob:; connect-src 'self'; "
    "object-src 'self'; frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def application(study: Path) -> Starlette:
    """The web application for one study, which need not be there yet."""
    pages = _Pages(study)
    routes = {
        "/": pages.page,
        "/dashboard.js": pages.script,
        "/dashboard.css": pages.style,
        "/plotly.js": pages.plotly,
        "/state": pages.state,
        "/trials/{number}": pages.candidate,
        "/trials/{number}/arena.svg": pages.arena,
        "/compare": pages.compare,
    }
    return Starlette(
        routes=[Route(path, answer, methods=["GET"]) for path, answer in routes.items()],
        middleware=[
            # A foreign page whose name is made to lead here would ask with that name.
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
            Middleware(GZipMiddleware, compresslevel=5),
        ],
        exception_handlers={TinynasError: _explain},
    )


def _explain(_: Request, error: Exception) -> Response:
    """What went wrong as a part of a page."""
    text = Markup('<p class="empty">{}</p>').format(str(error))
    return HTMLResponse(text, status_code=404 if isinstance(error, ConfigError) else 503, headers=_HEADERS)


class _Pages:
    """The answers. Starlette runs each in a thread of a pool."""

    def __init__(self, study: Path) -> None:
        self._study = study
        self._mirror = Mirror(study)
        self._templates = environment()

    def page(self, _: Request) -> Response:
        return HTMLResponse(
            self._templates.get_template("dashboard.html.j2").render(
                name=self._study.stem, path=str(self._study), look=charts.look()
            ),
            headers=_HEADERS,
        )

    def script(self, _: Request) -> Response:
        text = source(self._templates, "dashboard.js")
        return Response(text, media_type="text/javascript", headers=_HEADERS)

    def style(self, _: Request) -> Response:
        text = "\n".join(source(self._templates, name) for name in ("report.css", "dashboard.css"))
        return Response(text, media_type="text/css", headers=_HEADERS)

    def plotly(self, _: Request) -> Response:
        headers = {**_HEADERS, "Cache-Control": "private, max-age=86400"}
        return Response(plotly_script(), media_type="text/javascript", headers=headers)

    def state(self, request: Request) -> Response:
        return JSONResponse(self._mirror.state(request.query_params.get("known", "")), headers=_HEADERS)

    def candidate(self, request: Request) -> Response:
        seen = self._mirror.seen()
        (detail,) = _details(seen, [request.path_params["number"]])
        return self._fragment("dashboard_candidate.html.j2", seen, detail=detail)

    def compare(self, request: Request) -> Response:
        seen = self._mirror.seen()
        numbers = request.query_params.get("trials", "").split(",")
        if not 2 <= len(numbers) <= _MOST_COMPARED:
            raise ConfigError(f"choose 2 to {_MOST_COMPARED} candidates to compare, not {len(numbers)}")
        details = _details(seen, numbers)
        facts = seen.study.facts
        figures = figure_lines(details, figures_on(facts.boards))
        genes = gene_lines(details, [axis.name for axis in facts.space.axes])
        return self._fragment("dashboard_compare.html.j2", seen, details=details, figures=figures, genes=genes)

    def arena(self, request: Request) -> Response:
        seen = self._mirror.seen()
        (detail,) = _details(seen, [request.path_params["number"]])
        trial, kind = detail.row.trial, "model" if detail.row.finalist is None else "final"
        with Store.open_to_read(self._study) as store:
            tflite = store.artifact(trial.number, f"{kind}.tflite")
        if tflite is None:
            raise ConfigError(f"the network of trial {trial.number} was never trained, so that it was not kept")
        title = f"Trial {trial.number}: the arena over time"
        picture = _arena_picture(tflite, seen.study.facts.board, tuple(sorted(trial.deployment.items())), title)
        headers = {**_HEADERS, "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Response(picture, media_type="image/svg+xml", headers=headers)

    def _fragment(self, name: str, seen: Seen, **values: Any) -> Response:
        text = self._templates.get_template(name).render(facts=seen.study.facts, **values)
        return HTMLResponse(text, headers=_HEADERS)


@functools.lru_cache(maxsize=32)
def _arena_picture(tflite: bytes, board: str, deployment: tuple[tuple[str, Any], ...], title: str) -> str:
    """Compiled anew: of a network the store keeps its bytes, not its plan."""
    on = load_board(board)
    try:
        options = recorded_options(dict(deployment))
        program = compile_network(tflite, target=on.target, constants=on.constants, **options.arguments)
    except (TypeError, ValueError) as error:
        raise StoreError(f"the study is damaged: {error}") from error
    return svg_picture(program, title)


def _details(seen: Seen, numbers: Sequence[str]) -> list[Detail]:
    """Those trials as they were seen, in this order. Raises ConfigError: one is not there."""
    rows = {f"{row.trial.number}": row for row in rows_of(seen.study, seen.points)}
    for number in numbers:
        if number not in rows:
            raise ConfigError(f"the study has no trial {number[:20]!r}: it has {len(rows)}")
    return [detail_of(seen.study, rows[number]) for number in dict.fromkeys(numbers)]


def open_socket(port: int | None) -> socket.socket:
    """Listen on this machine alone: on `port`, or on the usual one or any other that is free.

    Raises:
        InfrastructureError: the port is not free.
    """
    for wanted in (PORT, 0) if port is None else (port,):
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, wanted))
            listening.listen()
        except OSError as error:
            listening.close()
            reason = error.strerror
        else:
            return listening
    raise InfrastructureError(f"port {port} of {HOST} cannot be listened on: {reason}: name another --port")


def url_of(listening: socket.socket) -> str:
    return f"http://{HOST}:{listening.getsockname()[1]}/"


def server_of(study: Path) -> uvicorn.Server:
    config = uvicorn.Config(
        application(study),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def serve(study: Path, listening: socket.socket) -> None:
    """Serve the study's page until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        server_of(study).run(sockets=[listening])


@contextmanager
def served(study: Path, port: int | None = None) -> Iterator[str]:
    """Serve the study's page from a process of its own as long as the block lasts, or this process. Yields its address.

    Raises:
        InfrastructureError: the port is not free, or the process does not start.
    """
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve_beside, args=(study, port, theirs), name="dashboard", daemon=True
    )
    process.start()
    theirs.close()
    try:
        answer = ours.recv() if ours.poll(_STARTING_S) else "it does not answer"
    except EOFError:
        answer = "it ended at once"
    try:
        if not answer.startswith("http://"):
            raise InfrastructureError(f"the dashboard could not be started: {answer}")
        yield answer
    finally:
        # The end of the pipe is what it waits for, also where this process is killed.
        ours.close()
        process.join(_ENDING_S)
        process.kill()
        process.join()


def _serve_beside(study: Path, port: int | None, search: Connection) -> None:
    # Ctrl-C is for the search, which may go on for a while.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        listening = open_socket(port)
    except InfrastructureError as error:
        search.send(str(error))
        return
    server = server_of(study)
    # Not in the main thread, so that the server leaves signals alone.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    search.send(url_of(listening))
    with suppress(EOFError, OSError):
        search.recv()
    server.should_exit = True
    thread.join()
