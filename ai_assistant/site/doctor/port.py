"""Whether strangers can reach the realtime server, and what it then gives them.

v15's server learns who connects by calling back the address in the client's own Origin header (frappe v15.55.1,
`realtime/middlewares/authenticate.js`). Whoever reaches it without a proxy that sets these headers can answer that call
himself and hear any user's events. This check does so, against its own server, for a user who does not exist.
"""

from __future__ import annotations

import asyncio
import http.server
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import msgspec

from ai_assistant.site.doctor.finding import Finding, Subject, failure, note, ok, warning
from ai_assistant.site.doctor.listening import base_url, is_outside, listening_on, own_addresses, reachable
from ai_assistant.site.doctor.probe import Outcome, Visit, room_of, visit
from ai_assistant.site.doctor.realtime import port_of


class Attack(msgspec.Struct, kw_only=True):
    """How the attempt went."""

    address: str
    heard: bool
    """Whether an event for the made-up user arrived at a socket without any credentials of the site."""
    called_back: bool
    """Whether the server called the address that the socket named."""
    outcome: Outcome


def check(subject: Subject) -> Iterator[Finding]:
    """The port itself, then the site's address."""
    if subject.conf.get("socketio_uds"):
        yield ok("port.closed", "The realtime server listens on a socket file, which no other machine can reach")
    else:
        yield from open_port(subject, port_of(subject))
    yield from through_proxy(subject)


def open_port(subject: Subject, port: int) -> Iterator[Finding]:
    """Looks where the port listens, and attacks it at the machine's own addresses."""
    listening = listening_on(port)
    addresses = [address for address in own_addresses() if reachable(address, port)]
    shown = sorted(listening or ())
    if not addresses:
        if listening == set():
            yield note("port.closed", f"Nothing listens on port {port} of this machine.", port=port)
        elif listening and any(is_outside(each) or each in ("0.0.0.0", "::") for each in listening):
            text = f"Port {port} listens on {', '.join(shown)}; this machine has no address that others could reach."
            yield warning("port.closed", text, *closing(port), port=port, listening=shown)
        else:
            yield ok(
                "port.closed",
                f"Port {port} listens on {', '.join(shown) or 'loopback'} only",
                port=port,
                listening=shown,
            )
        return
    attack = attacked(subject, base_url(addresses[0], port))
    yield judged(subject, attack, port, addresses, shown)


def judged(subject: Subject, attack: Attack, port: int, addresses: list[str], listening: list[str]) -> Finding:
    """What the attempt means."""
    where = f"Port {port} of the realtime server is open at {', '.join(addresses)}"
    data = {"port": port, "addresses": addresses, "listening": listening, "attack_worked": attack.heard}
    if not attack.heard:
        if attack.called_back:
            why = attack.outcome.refusal or "no event arrived"
            text = (
                f"{where}, and it calls back an address that the client names; no event was heard all the same ({why})."
            )
            return warning("port.closed", text, *closing(port), **data)
        text = f"{where}. A socket with forged headers was refused ({attack.outcome.refusal or 'no event arrived'})."
        return warning("port.closed", text, *closing(port), **data)
    text = (
        f"{where}, and a socket with forged headers and no credentials heard events of a user it named itself. Whoever "
        "reaches this port reads every user's answers."
    )
    if subject.port_closed:
        text = f"{where} as seen from this machine; you have tried that it is closed from outside (--port-is-closed)."
        return note("port.closed", text, **data)
    return failure("port.closed", text, *closing(port), *proof(subject, addresses[0], port), **data)


def closing(port: int) -> tuple[str, ...]:
    """How the port is closed; only the proxy on this machine needs it."""
    return (
        f"sudo ufw deny {port}/tcp   (or: sudo iptables -I INPUT -p tcp --dport {port} ! -i lo -j DROP; "
        f"sudo ip6tables -I INPUT -p tcp --dport {port} ! -i lo -j DROP)",
        f"In the cloud: no security group may let {port} in. In Docker: publish no port of the websocket container.",
    )


def proof(subject: Subject, address: str, port: int) -> tuple[str, ...]:
    """How to try from outside, which cannot be done from here: a machine reaches itself past its firewall."""
    url = f"{base_url(address, port)}/socket.io/?EIO=4&transport=polling"
    return (
        f"From another machine, this must fail: curl -m 5 '{url}'",
        f"When it does, tell the doctor: {subject.bench_site} ai-assistant doctor --port-is-closed",
    )


def through_proxy(subject: Subject) -> Iterator[Finding]:
    """The same at the site's address: a proxy must set these headers, not pass them on."""
    attack = attacked(subject, subject.url)
    if not attack.outcome.reached and not attack.called_back:
        return  # no realtime server behind that address for such headers; `realtime.address` tells more
    if attack.heard:
        yield failure(
            "port.proxy",
            f"The proxy at {subject.url} passes a client's own Host, Origin and X-Frappe-Site-Name on: a socket "
            "without credentials heard events of a user it named itself. Anybody reads every user's answers.",
            "bench setup nginx && sudo service nginx reload   (its /socket.io sets these three headers)",
            "Another proxy? Set Host, Origin ($scheme://$http_host) and X-Frappe-Site-Name to constants of the site.",
            attack_worked=True,
        )
    elif attack.called_back:
        yield warning(
            "port.proxy",
            f"The proxy at {subject.url} passes a client's own Origin on: the realtime server called an address that a "
            "stranger named.",
            "bench setup nginx && sudo service nginx reload",
            attack_worked=False,
        )
    else:
        yield ok("port.proxy", f"{subject.url} refuses a socket with forged headers", attack_worked=False)


def attacked(subject: Subject, base: str) -> Attack:
    """Tries it: a socket whose headers send the server's question to us, and whose user we made up."""
    user = f"doctor-{uuid.uuid4().hex}@probe.invalid"
    with answering_as(user) as questions:
        headers = {
            "Host": questions.host,
            "Origin": f"http://{questions.host}",
            "X-Frappe-Site-Name": subject.site,
            "Cookie": "sid=forged",
        }
        how = Visit(base=base, site=subject.site, headers=headers)
        outcome = asyncio.run(visit(how, subject.redis_url, [room_of(user)]))
        heard = room_of(user) in outcome.arrived
        return Attack(address=str(urlsplit(base).hostname), heard=heard, called_back=questions.asked, outcome=outcome)


class Questions:
    """The attacker's server: where it is, and whether it was asked."""

    def __init__(self, host: str):
        self.host = host
        self.asked = False


@contextmanager
def answering_as(user: str) -> Iterator[Questions]:
    """A web server on this machine that says to anybody who asks that they are `user`."""
    answer = msgspec.json.encode({"message": {"user": user, "user_type": "System User"}})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            questions.asked = True
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the doctor's output is its findings."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    questions = Questions(f"127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, name="doctor-answers", daemon=True)
    thread.start()
    try:
        yield questions
    finally:
        server.shutdown()
        server.server_close()
