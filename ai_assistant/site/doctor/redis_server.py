"""Redis: reached, new enough, allowed to us, and one that forgets nothing."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.exceptions import RedisError

from ai_assistant.core.events import envelope
from ai_assistant.site.doctor.finding import Finding, Subject, failure, note, ok, shown_url, warning
from ai_assistant.streams import keys as names

NEEDED = (6, 2)
"""The first version with BLMOVE and XAUTOCLAIM (Redis 6.2 release notes)."""
TIMEOUT_S = 3.0
SLOW_MS = 20.0
FULL = 0.9
"""Used part of `maxmemory` beyond which a warning is due."""


def check(subject: Subject) -> Iterator[Finding]:
    """Everything about the Redis of tasks and events."""
    with connected(subject.redis_url) as client:
        try:
            milliseconds = round_trip_ms(client)
            info = client.info()
        except (RedisError, OSError) as error:
            yield unreachable(subject, error)
            return
        yield reached(subject, info, milliseconds)
        yield from version(info)
        yield from role(info)
        yield which(subject, info)
        yield from eviction(subject, info)
        yield memory(subject, info)
        yield from persistence(subject, info)
        yield rights(subject, client)
        yield listeners(subject, client)


def connected(url: str) -> redis.Redis:
    """A client with short time limits."""
    return redis.Redis.from_url(url, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S)


def redis_cli(url: str) -> str:
    """How redis-cli is called for a URL; the password is left to be asked for."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"redis-cli -s {parts.path}"
    words = ["redis-cli", "-h", parts.hostname or "127.0.0.1", "-p", str(parts.port or 6379)]
    words += ["--tls"] if parts.scheme == "rediss" else []
    words += ["--user", parts.username] if parts.username else []
    words += ["--askpass"] if parts.password else []
    return " ".join(words)


def round_trip_ms(client: redis.Redis) -> float:
    """The shortest of three pings, in milliseconds."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        client.ping()
        times.append((time.perf_counter() - started) * 1000)
    return round(min(times), 2)


def unreachable(subject: Subject, error: Exception) -> Finding:
    """Redis did not answer, or refused us."""
    where, text = f"{shown_url(subject.redis_url)} ({subject.redis_key})", str(error)
    cli = redis_cli(subject.redis_url)
    if any(word in text.upper() for word in ("NOAUTH", "WRONGPASS", "INVALID USERNAME", "AUTHENTICATION")):
        return failure(
            "redis.reachable",
            f"{where} refuses the credentials in its URL: {text}",
            f"bench set-config -g {subject.redis_key} redis://USER:PASSWORD@HOST:PORT",
        )
    if "NOPERM" in text.upper():
        return failure("redis.reachable", f"{where} does not let us ask: {text}", *acl_fix(subject, cli))
    return failure(
        "redis.reachable",
        f"{where} cannot be reached: {text}",
        f"{cli} ping",
        "Start it: sudo supervisorctl start all   (development: bench start)",
        f"Wrong address? bench set-config -g {subject.redis_key} redis://HOST:PORT",
    )


def reached(subject: Subject, info: dict[str, Any], milliseconds: float) -> Finding:
    """Where Redis is and how fast it answers."""
    where = f"{shown_url(subject.redis_url)} (from {subject.redis_key}), Redis {info.get('redis_version')}"
    data = {"url": shown_url(subject.redis_url), "key": subject.redis_key, "round_trip_ms": milliseconds}
    data["version"] = info.get("redis_version")
    if milliseconds > SLOW_MS:
        text = f"{where}, answers in {milliseconds:g} ms: every event waits for that. It should be near the workers."
        return warning("redis.reachable", text, "Move Redis to the machine, or the network, of the bench.", **data)
    return ok("redis.reachable", f"{where}, answers in {milliseconds:g} ms", **data)


def version(info: dict[str, Any]) -> Iterator[Finding]:
    """At least 6.2."""
    text = str(info.get("redis_version", ""))
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if numbers < NEEDED:
        yield failure(
            "redis.version",
            f"Redis {text} knows neither BLMOVE nor XAUTOCLAIM; at least 6.2 is needed.",
            "sudo apt-get install redis-server   (Debian 12, Ubuntu 22.10 and later; else packages.redis.io)",
            version=text,
        )


def role(info: dict[str, Any]) -> Iterator[Finding]:
    """A primary that is no cluster."""
    if info.get("role") not in (None, "master"):
        master = f"redis://{info.get('master_host')}:{info.get('master_port')}"
        yield failure(
            "redis.role",
            f"This Redis is a replica of {master}: it takes no writes.",
            f"bench set-config -g redis_queue {master}",
        )
    if info.get("cluster_enabled"):
        yield failure(
            "redis.role",
            "This Redis is a cluster: neither RQ nor the assistant's scripts run on one.",
            "bench set-config -g redis_queue redis://HOST:PORT   (a single server, with or without replicas)",
        )


def which(subject: Subject, info: dict[str, Any]) -> Finding:
    """Not the cache, which forgets, and the one that realtime listens to."""
    cache = subject.conf.get("redis_cache")
    if cache and run_id(str(cache)) == info.get("run_id"):
        return failure(
            "redis.which",
            f"{shown_url(subject.redis_url)} is the same server as redis_cache, which throws keys away.",
            "bench set-config -g redis_queue redis://127.0.0.1:11000   (a server of its own; bench setup redis)",
        )
    queue = subject.conf.get("redis_queue")
    if queue and queue != subject.redis_url and run_id(str(queue)) not in (None, info.get("run_id")):
        return failure(
            "redis.which",
            f"{subject.redis_key} names another server than redis_queue ({shown_url(str(queue))}), to which the "
            "realtime server listens: events would reach nobody.",
            f"bench set-config -g {subject.redis_key} {shown_url(str(queue))}",
        )
    return ok("redis.which", "It is the bench's queue, not its cache")


def run_id(url: str) -> str | None:
    """What a Redis server calls itself, which is another name in each process; `None` when it does not tell."""
    try:
        with connected(url) as client:
            return client.info("server").get("run_id")
    except (RedisError, OSError, ValueError):
        return None


def eviction(subject: Subject, info: dict[str, Any]) -> Iterator[Finding]:
    """Keys must stay: a task that Redis throws away is a chat that ends in the middle."""
    policy, limit = info.get("maxmemory_policy"), int(info.get("maxmemory") or 0)
    if policy is None:
        yield note("redis.eviction", "This Redis does not tell its eviction policy; it must be noeviction.")
    elif policy == "noeviction":
        yield ok("redis.eviction", "Eviction policy noeviction", policy=policy, maxmemory=limit)
    else:
        fix = (
            f"{redis_cli(subject.redis_url)} config set maxmemory-policy noeviction",
            "and for good: the line maxmemory-policy noeviction in config/redis_queue.conf",
        )
        text = f"Eviction policy {policy}: when memory is full Redis throws away tasks and RQ's jobs."
        if limit:
            yield failure("redis.eviction", text, *fix, policy=policy, maxmemory=limit)
        else:
            text += " It has no memory limit now, so that this has not begun."
            yield warning("redis.eviction", text, *fix, policy=policy, maxmemory=limit)


def memory(subject: Subject, info: dict[str, Any]) -> Finding:
    """Room left."""
    used, limit = int(info.get("used_memory") or 0), int(info.get("maxmemory") or 0)
    data = {"used_bytes": used, "maxmemory": limit}
    if limit and used > FULL * limit:
        return warning(
            "redis.memory",
            f"{megabytes(used)} of {megabytes(limit)} are used; when it is full, new chats are refused.",
            f"{redis_cli(subject.redis_url)} config set maxmemory {2 * limit}",
            "and for good: the line maxmemory in config/redis_queue.conf",
            **data,
        )
    return ok("redis.memory", f"Uses {megabytes(used)}{f' of {megabytes(limit)}' if limit else ', no limit'}", **data)


def megabytes(count: int) -> str:
    """Bytes for people."""
    return f"{count / 2**20:.1f} MiB"


def persistence(subject: Subject, info: dict[str, Any]) -> Iterator[Finding]:
    """Whether writing to disk fails, which makes Redis refuse writes, and whether there is any."""
    if info.get("loading"):
        yield failure("redis.persistence", "Redis still loads its file and refuses commands.", "Wait, and try again.")
    broken = [k for k in ("rdb_last_bgsave_status", "aof_last_write_status") if info.get(k) not in (None, "ok")]
    if broken:
        yield failure(
            "redis.persistence",
            f"Redis cannot write to its disk ({', '.join(broken)}) and may refuse writes (MISCONF).",
            "df -h   (is the disk full? may Redis write to config/pids of the bench?)",
            f"{redis_cli(subject.redis_url)} bgsave",
        )
    elif info.get("aof_enabled"):
        yield ok("redis.persistence", "Writes to an append-only file", aof=True)
    else:
        yield ok("redis.persistence", "Tasks that run while Redis restarts are lost; conversations are not", aof=False)


def rights(subject: Subject, client: redis.Redis) -> Finding:
    """Tries each kind of command on keys like ours."""
    refused = [name for name, attempt in attempts(client, subject).items() if not allowed(attempt)]
    if refused:
        return failure(
            "redis.rights",
            f"The Redis user {user_of(subject.redis_url)} may not: {', '.join(refused)}.",
            *acl_fix(subject, redis_cli(subject.redis_url)),
            refused=refused,
        )
    return ok("redis.rights", f"May use keys {names.PREFIX}:*, scripts, and publish to `{names.REALTIME_CHANNEL}`")


def allowed(attempt: Callable[[], Any]) -> bool:
    """Whether Redis lets us. Raises other errors."""
    try:
        attempt()
    except RedisError as error:
        if "NOPERM" in str(error).upper() or "permission" in str(error).lower():
            return False
        raise
    return True


def attempts(client: redis.Redis, subject: Subject) -> dict[str, Callable[[], Any]]:
    """The commands that tasks stand on, each on throw-away keys that end by themselves."""
    base = f"{names.PREFIX}:{subject.scope}:doctor:{uuid.uuid4().hex}"
    prefix, suffix = envelope(subject.site, f"user:{base}")
    script = "redis.call('HSET', KEYS[1], 'a', 1); redis.call('EXPIRE', KEYS[1], 10); return redis.call('TIME')"

    def stream() -> None:
        client.xgroup_create(f"{base}:s", "g", id="0", mkstream=True)
        client.expire(f"{base}:s", 10)
        client.xadd(f"{base}:s", {"a": "1"})
        client.xreadgroup("g", "c", {f"{base}:s": ">"}, count=1)
        client.xautoclaim(f"{base}:s", "g", "c", min_idle_time=0, start_id="0-0", count=1)

    def moved() -> None:
        client.rpush(f"{base}:l", "1")
        client.expire(f"{base}:l", 10)
        client.blmove(f"{base}:l", f"{base}:l", 1, "LEFT", "LEFT")

    def subscribed() -> None:
        with client.pubsub() as pubsub:
            pubsub.subscribe(names.ScopeKeys(subject.scope).ends)
            pubsub.get_message(timeout=TIMEOUT_S)

    return {
        f"write keys {names.PREFIX}:*": lambda: client.set(base, 1, ex=10),
        "run scripts (EVALSHA, SCRIPT LOAD)": lambda: client.evalsha(client.script_load(script), 1, f"{base}:h"),
        "use streams and consumer groups": stream,
        "use BLMOVE": moved,
        "use sorted sets": lambda: (client.zadd(f"{base}:z", {"a": 1}), client.expire(f"{base}:z", 10)),
        f"publish to `{names.REALTIME_CHANNEL}`": lambda: client.publish(
            names.REALTIME_CHANNEL, prefix + b"{}" + suffix
        ),
        f"subscribe to {names.PREFIX}:*": subscribed,
    }


def user_of(url: str) -> str:
    """The ACL user of a URL."""
    return urlsplit(url).username or "default"


def acl_fix(subject: Subject, cli: str) -> tuple[str, ...]:
    """How an ACL user is given what it lacks, or another one is used."""
    user = user_of(subject.redis_url)
    return (
        f"{cli.replace(' --user ' + user, '')} ACL SETUSER {user} '~{names.PREFIX}:*' '&{names.PREFIX}:*' "
        f"'&{names.REALTIME_CHANNEL}' +@all -@admin +info",
        "and for good: the same rules in config/redis_queue.acl",
        "or give the app a user of its own: bench set-config -g ai_assistant_redis_url redis://USER:PASSWORD@HOST:PORT",
    )


def listeners(subject: Subject, client: redis.Redis) -> Finding:
    """Whether anybody hears what is published; only the realtime server subscribes to this channel."""
    try:
        count = int(client.pubsub_numsub(names.REALTIME_CHANNEL)[0][1])
    except RedisError as error:
        return note("redis.listeners", f"Redis does not tell who listens to events: {error}")
    if not count:
        return failure(
            "redis.listeners",
            f"Nobody listens to the channel `{names.REALTIME_CHANNEL}` of this Redis: the realtime server is not "
            "running, or it uses another Redis.",
            "sudo supervisorctl restart all   (development: bench start)",
            "bench --site all show-config | grep redis_queue   (what the realtime server uses)",
            count=0,
        )
    return ok("redis.listeners", f"{count} realtime server(s) listen to it", count=count)
