"""The page at `/`, its assets, and the login link."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

import ai_assistant
from ai_assistant.core.errors import AuthenticationError
from ai_assistant.host.auth import GUEST_USER, Auth
from ai_assistant.host.compress import compressed
from ai_assistant.host.cookies import set_session_cookies
from ai_assistant.host.pool import CallPool
from ai_assistant.host.sessions import Session

PUBLIC = Path(ai_assistant.__file__).parent / "public"
INDEX = PUBLIC / "page" / "index.html"
PLACEHOLDER = "<!--boot-->"
#: Files whose name carries a hash never change; others are asked for again each time.
IMMUTABLE, REVALIDATE = "public, max-age=31536000, immutable", "no-cache"

NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>AI Assistant</title>
<h1>AI Assistant is running</h1>
<p>The page is not built yet. In the folder of the program run <code>npm install &amp;&amp; npm run build</code>
(or start it by <code>bin/serve</code>, which does that), then load this page again.</p>
<p>The API is at <code>/api/method/ai_assistant.api.status</code>.</p></html>"""


class Page:
    """Serves the built page with what it must know at its start."""

    def __init__(self, site: str, auth: Auth, pool: CallPool, *, demo: bool):
        self._site = site
        self._auth = auth
        self._pool = pool
        self._demo = demo

    async def index(self, request: Request) -> Response:
        """The page; a session that loads it gets a CSRF token and must send it from then on."""
        session, token = await self._pool.run(self._session_and_token, request.cookies.get("sid"))
        request.scope["state"]["user"] = session.user.name if session else GUEST_USER.name
        if not INDEX.is_file():
            return HTMLResponse(NOT_BUILT)
        html = INDEX.read_text(encoding="utf-8").replace(PLACEHOLDER, boot_tag(self.boot(session, token)), 1)
        return HTMLResponse(html)

    async def login(self, request: Request) -> Response:
        """Logs in by a one-time link and goes to the page; without a token it is the page, which asks."""
        token = request.query_params.get("token")
        if not token:
            return await self.index(request)
        try:
            session = await self._pool.run(self._auth.login_by_link, token)
        except AuthenticationError as error:
            return HTMLResponse(message_page(error.message), 401)
        response = RedirectResponse("/", 303)
        set_session_cookies(response, session, secure=request.url.scheme == "https")
        return response

    async def asset(self, request: Request) -> Response:
        """A file below `public/`."""
        path = asset_path(request.path_params["path"])
        if path is None:
            return HTMLResponse(message_page("There is no such file."), 404)
        body, etag = read_asset(path, path.stat().st_mtime_ns)
        headers = {"ETag": etag, "Cache-Control": IMMUTABLE if has_hash(path) else REVALIDATE}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return await compressed(request, Response(body, headers=headers, media_type=kind), self._pool)

    def boot(self, session: Session | None, token: str) -> dict[str, Any]:
        """What the page knows at its start."""
        user = session.user if session else GUEST_USER
        return {
            "csrf_token": token,
            "site": self._site,
            "user": user.name,
            "full_name": user.full_name,
            "version": ai_assistant.__version__,
            "demo": self._demo,
        }

    def _session_and_token(self, sid: str | None) -> tuple[Session | None, str]:
        session = self._auth.sessions.get(sid) if sid else None
        return session, self._auth.sessions.give_csrf(session) if session else ""


def boot_tag(boot: dict[str, Any]) -> str:
    """JSON in a script element; `<` is escaped, so that no value can end the element."""
    text = msgspec.json.encode(boot).decode().replace("<", "\\u003c")
    return f'<script type="application/json" id="boot">{text}</script>'


def message_page(text: str) -> str:
    """A page of one sentence, which is ours and holds no input."""
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>AI Assistant</title><p>{text}</p></html>'


def asset_path(path: str) -> Path | None:
    """The file below `public/` that a URL names, or None; nothing outside can be named."""
    root = PUBLIC.resolve()
    try:
        found = (root / path).resolve()
        inside = found.is_relative_to(root) and found.is_file()
    except (OSError, ValueError):
        return None
    return found if inside and not path.endswith("index.html") else None


@lru_cache(maxsize=64)
def read_asset(path: Path, _changed: int) -> tuple[bytes, str]:
    """Content and ETag of a file; cached until it changes."""
    body = path.read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def has_hash(path: Path) -> bool:
    """Whether the name carries a content hash, as in `main-4KXQ2ZTB.js` (esbuild writes eight letters and digits)."""
    _, dash, tail = path.stem.rpartition("-")
    return bool(dash) and len(tail) == 8 and tail.isalnum() and tail.isupper()
