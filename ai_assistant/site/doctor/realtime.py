"""The realtime server: a socket is really connected, and an event really arrives."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from ai_assistant.core.errors import ValidationError
from ai_assistant.core.session import GUEST
from ai_assistant.site.doctor.finding import Finding, Subject, failure, note, ok, warning
from ai_assistant.site.doctor.probe import Outcome, Visit, room_of, visit

CALL_S = 5.0
SLOW_MS = 100.0
DEFAULT_PORT = 9000
RESTART = "sudo supervisorctl restart all   (development: bench start)"


def check(subject: Subject) -> Iterator[Finding]:
    """First straight at the server, as the proxy calls it; then at the site's address, as browsers do."""
    try:
        with credentials(subject) as headers:
            user = yield from known_user(subject, headers)
            if user is not None:
                yield from direct(subject, headers, user)
                yield from public(subject, headers, user)
    except ValidationError as error:
        yield failure(
            "realtime.user", error.message, f"{subject.bench_site} ai-assistant doctor --user NAME@EXAMPLE.COM"
        )


def port_of(subject: Subject) -> int:
    """The realtime server's port (frappe v15.55.1, `node_utils.js`: 9000 where it is not configured)."""
    return int(subject.conf.get("socketio_port") or DEFAULT_PORT)


@contextmanager
def credentials(subject: Subject) -> Iterator[dict[str, str]]:
    """Headers of a client that is logged in: an API key's, or those of a session made for this check."""
    if subject.api_key:
        yield {"Authorization": f"token {subject.api_key}", "Cookie": "client=ai-assistant-doctor"}
        return
    from ai_assistant.site.doctor.probe_session import session

    with session(subject) as sid:
        yield {"Cookie": f"sid={sid}"}


def known_user(subject: Subject, headers: dict[str, str]) -> Iterator[Finding]:
    """Asks the site who we are, in the way the realtime server will (v15: at the address in Origin).

    A generator whose return value is the user, or `None` when there is no use in going on.
    """
    try:
        user = who_am_i(subject.url, headers)
    except httpx.RequestError as error:
        yield failure(
            "realtime.callback",
            f"{subject.url} cannot be reached from this machine: {str(error) or type(error).__name__}. The realtime "
            "server calls it to learn who connects, and so cannot let anybody in.",
            f"curl -sS {subject.url}/api/method/ping   (must answer: start the web server, or mend DNS and /etc/hosts)",
            f"{subject.bench_site} set-config host_name https://THE.SITE'S.ADDRESS   (or doctor --url ADDRESS)",
            url=subject.url,
        )
        return None
    except ValueError as error:
        yield failure(
            "realtime.callback",
            f"{subject.url} is not the address of this site: {error}.",
            f"{subject.bench_site} ai-assistant doctor --url http://THE.SITE'S.ADDRESS",
            url=subject.url,
        )
        return None
    if user == GUEST:
        where = f"{subject.url} does not know the {proof_of(subject)}."
        yield failure("realtime.guest", f"{where} {guest_text(subject)}", *guest_fix(subject))
        return None
    return user


def who_am_i(url: str, headers: dict[str, str]) -> str:
    """The user whom the site sees behind these headers; Guest for credentials that it refuses. Raises
    httpx.RequestError where nobody answers, and ValueError for an answer that is not Frappe's."""
    try:
        answer = httpx.get(
            f"{url}/api/method/frappe.realtime.get_user_info", headers=headers, timeout=CALL_S, trust_env=False
        )
    except httpx.RemoteProtocolError as error:
        raise ValueError("what answers there is no web server") from error
    if answer.status_code == 401:
        return GUEST
    if answer.status_code >= 400:
        raise ValueError(f"it answers {answer.status_code} to frappe.realtime.get_user_info")
    try:
        return str(answer.json()["message"]["user"])
    except (ValueError, KeyError, TypeError):
        raise ValueError("its answer to frappe.realtime.get_user_info names no user") from None


def proof_of(subject: Subject) -> str:
    """What we show to be let in."""
    return "API key that was given" if subject.api_key else f"session just made for {subject.user}"


def guest_text(subject: Subject) -> str:
    """Why a good session may be nobody's."""
    return (
        "Sockets connect as Guest then and hear nothing of their own. The address may lead to another site than "
        f"{subject.site}, or its web server to another database or redis_cache."
    )


def guest_fix(subject: Subject) -> tuple[str, ...]:
    """What to look at."""
    return (
        f"curl -sS {subject.url}/api/method/ai_assistant.api.status   (must say site: {subject.site})",
        f"{subject.bench_site} ai-assistant doctor --url http://THE.SITE'S.ADDRESS",
    )


def direct(subject: Subject, headers: dict[str, str], user: str) -> Iterator[Finding]:
    """The server itself, with the headers that bench's nginx sets."""
    if subject.conf.get("socketio_uds"):
        yield note("realtime.server", f"It listens on the socket file {subject.conf['socketio_uds']}.")
        return
    port = port_of(subject)
    named = proxy_headers(subject)
    how = Visit(base=f"http://127.0.0.1:{port}", site=subject.site, headers={**headers, **named})
    outcome = tried(subject, how, user)
    if not outcome.reached:
        yield failure(
            "realtime.server",
            f"No realtime server at 127.0.0.1:{port} (socketio_port): {outcome.refusal}",
            RESTART,
            f"bench set-config -gp socketio_port {port}   (the port it really has; log: logs/node-socketio.error.log)",
            port=port,
        )
        return
    yield judged("realtime.server", f"127.0.0.1:{port}", subject, outcome, user)


def proxy_headers(subject: Subject) -> dict[str, str]:
    """What bench's nginx sends on (frappe-bench 5, nginx.conf: location /socket.io)."""
    return {"Host": str(urlsplit(subject.url).hostname), "Origin": subject.url, "X-Frappe-Site-Name": subject.site}


def public(subject: Subject, headers: dict[str, str], user: str) -> Iterator[Finding]:
    """The address that browsers use, as they use it: no site name, their own Origin."""
    how = Visit(base=subject.url, site=subject.site, headers={**headers, "Origin": subject.url})
    outcome = tried(subject, how, user)
    if outcome.reached:
        yield judged("realtime.address", subject.url, subject, outcome, user)
    elif urlsplit(subject.url).port == subject.conf.get("webserver_port"):
        yield note(
            "realtime.address",
            f"{subject.url} is the web server without a proxy: browsers must connect to port {port_of(subject)}, as "
            "they do under bench start. Production needs nginx in front.",
            "sudo bench setup production $USER",
        )
    else:
        yield failure(
            "realtime.address",
            f"{subject.url}/socket.io does not lead to the realtime server: {outcome.refusal}",
            "bench setup nginx && sudo service nginx reload",
            "Another proxy? Pass /socket.io on to the realtime port, with Upgrade, Connection, Host, "
            "Origin ($scheme://$http_host) and X-Frappe-Site-Name set by the proxy.",
        )


def tried(subject: Subject, how: Visit, user: str) -> Outcome:
    """One visit, with a probe event to the user's room, and one to the guests' when that does not arrive."""
    return asyncio.run(visit(how, subject.redis_url, [room_of(user), room_of(GUEST)]))


def judged(id_: str, where: str, subject: Subject, outcome: Outcome, user: str) -> Finding:
    """What a visit to a server that answered means."""
    if not outcome.connected:
        return refused(id_, where, subject, outcome.refusal)
    took = outcome.arrived.get(room_of(user))
    if took is None and room_of(GUEST) in outcome.arrived:
        return failure(id_, f"{where} connects {user} as Guest. {guest_text(subject)}", *guest_fix(subject))
    if took is None:
        return failure(
            id_,
            f"{where} lets {user} in, but an event published to {user} did not arrive: the realtime server listens to "
            f"another Redis than {subject.redis_key}, or was started before that was changed.",
            "bench --site all show-config | grep -E 'redis_queue|ai_assistant_redis_url'",
            RESTART,
        )
    data = {"round_trip_ms": took, "connect_ms": outcome.connect_ms, "user": user}
    if took > SLOW_MS:
        return warning(
            id_,
            f"{where}: an event takes {took:g} ms to a socket of {user}; tokens will stutter.",
            "top   (is a CPU busy?)",
            **data,
        )
    return ok(
        id_,
        f"{where}: a socket of {user} connects in {outcome.connect_ms:g} ms and hears an event after {took:g} ms",
        **data,
    )


def refused(id_: str, where: str, subject: Subject, words: str) -> Finding:
    """The server's refusal in words of an administrator (frappe v15.55.1, `realtime/middlewares/authenticate.js`)."""
    for pattern, (text, fix) in refusals(subject).items():
        if re.search(pattern, words, re.IGNORECASE):
            return failure(id_, f"{where} refuses the socket ({words}): {text}", *fix, refusal=words)
    return failure(id_, f"{where} refuses the socket: {words}", "Its log: logs/node-socketio.error.log", refusal=words)


def refusals(subject: Subject) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Meaning and cure of each refusal that Frappe's server knows."""
    host = urlsplit(subject.url).hostname
    nginx = "bench setup nginx && sudo service nginx reload   (its /socket.io sets X-Frappe-Site-Name, Origin and Host)"
    return {
        "invalid namespace": (
            f"it derives another site than {subject.site} from the request. It takes X-Frappe-Site-Name, which the "
            f"proxy must set; without it the host name {host}, or default_site for localhost.",
            (nginx, f"{subject.bench_site} ai-assistant doctor --url http://{subject.site}   (is the address right?)"),
        ),
        "invalid origin": (
            "the host names in Origin and in Host differ; the proxy must pass the browser's Host on.",
            (nginx,),
        ),
        "no cookie": ("the Cookie header is missing; the proxy must pass it on.", (nginx,)),
        "no authentication": (
            "neither a session cookie nor an API key arrives; the proxy must pass both on.",
            (nginx,),
        ),
        "ENOTFOUND|EAI_AGAIN": (
            f"the machine of the realtime server cannot resolve {host}, which it calls to learn who connects.",
            (f"echo '127.0.0.1 {host}' | sudo tee -a /etc/hosts",),
        ),
        "ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH": (
            f"it cannot reach {subject.url}, which it calls to learn who connects.",
            (f"curl -sS {subject.url}/api/method/ping   (on the machine of the realtime server)",),
        ),
        "certificate|self.signed|SSL": (
            f"it does not trust the certificate of {subject.url}.",
            ("NODE_EXTRA_CA_CERTS=/path/to/ca.pem in the environment of the realtime server; then restart it",),
        ),
        "unauthorized|forbidden|401|403": (
            f"{subject.url} refuses the credentials when the realtime server shows them.",
            guest_fix(subject),
        ),
        "time": (f"it did not answer in time; most likely it waits for {subject.url}.", (RESTART,)),
    }
