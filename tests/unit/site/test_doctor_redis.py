"""The doctor's look at Redis, at real servers that are wrong in one thing each."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from examined import by_id, redis_with, subject_at

from ai_assistant.site.doctor import redis_server
from ai_assistant.site.doctor.finding import Subject
from tests.servers import free_port


def test_a_good_one(subject: Subject, client: redis.Redis) -> None:
    with client.pubsub() as realtime:
        realtime.subscribe("events")
        realtime.get_message(timeout=5)
        found = by_id(redis_server.check(subject))
    assert {finding.state for finding in found.values()} == {"ok"}
    assert found["redis.reachable"].data["version"]
    assert not client.keys("ai_assistant:bench:doctor:*") or all(
        client.ttl(key) > 0 for key in client.keys("ai_assistant:bench:doctor:*")
    ), "a key of the doctor's stays for ever"


def test_nobody_listens(subject: Subject) -> None:
    found = by_id(redis_server.check(subject))["redis.listeners"]
    assert found.state == "failure"
    assert "Nobody listens" in found.text


@pytest.mark.parametrize(("options", "state"), [(("--maxmemory", "100mb"), "failure"), ((), "warning")])
def test_one_that_evicts(tmp_path: Path, options: tuple[str, ...], state: str) -> None:
    with redis_with("--maxmemory-policy", "allkeys-lru", *options) as url:
        subject = subject_at(url, tmp_path)
        found = by_id(redis_server.check(subject))["redis.eviction"]
        assert (found.state, found.data["policy"]) == (state, "allkeys-lru")
        run_as_typed(found.fix[0])
        assert by_id(redis_server.check(subject))["redis.eviction"].state == "ok"


def run_as_typed(line: str) -> None:
    """What the doctor says to type, typed."""
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not installed, so that what is said to type cannot be typed")
    done = subprocess.run(shlex.split(line), capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0 and "ERR" not in done.stdout, (line, done)


def test_one_that_is_full(tmp_path: Path) -> None:
    with redis_with("--maxmemory", "20mb") as url, redis.Redis.from_url(url) as client:
        subject = subject_at(url, tmp_path)
        with pytest.raises(redis.ResponseError, match=r"OOM|maxmemory"):
            fill(client)
        found = redis_server.memory(subject, client.info())
        assert found.state == "warning"
        run_as_typed(found.fix[0])
        assert redis_server.memory(subject, client.info()).state == "ok"


def fill(client: redis.Redis) -> None:
    for number in range(100_000):
        client.set(f"filler:{number}", "x" * 10_000)


def test_one_that_is_away_shows_no_password(tmp_path: Path) -> None:
    url = f"redis://:very-secret@127.0.0.1:{free_port()}"
    (found,) = redis_server.check(subject_at(url, tmp_path))
    assert (found.id, found.state) == ("redis.reachable", "failure")
    assert "very-secret" not in str(found)
    assert found.fix[0].startswith("redis-cli -h 127.0.0.1 -p ")


def test_a_wrong_password(tmp_path: Path) -> None:
    with redis_with() as url, redis.Redis.from_url(url) as admin:
        admin.config_set("requirepass", "right-one")
        wrong = url.replace("redis://", "redis://:wrong-one@")
        (found,) = redis_server.check(subject_at(wrong, tmp_path))
    assert "refuses the credentials" in found.text
    assert "wrong-one" not in str(found)


def test_an_acl_user_who_lacks_rights_has_them_after_what_is_said_to_type(tmp_path: Path) -> None:
    with redis_with() as url, redis.Redis.from_url(url) as admin:
        admin.execute_command("ACL", "SETUSER", "bench", "on", ">pw-1234", "~rq:*", "+@all", "-@admin", "resetchannels")
        subject = subject_at(url.replace("redis://", "redis://bench:pw-1234@"), tmp_path)
        found = by_id(redis_server.check(subject))["redis.rights"]
        assert found.state == "failure"
        assert "publish to `events`" in found.data["refused"]
        assert "write keys ai_assistant:*" in found.data["refused"]
        run_as_typed(found.fix[0].replace("--askpass ", ""))
        assert by_id(redis_server.check(subject))["redis.rights"].state == "ok"


def test_the_cache_is_not_taken_for_the_queue(subject: Subject) -> None:
    other_name = subject.redis_url.replace("127.0.0.1", "localhost")
    subject.conf["redis_cache"] = other_name
    found = by_id(redis_server.check(subject))["redis.which"]
    assert found.state == "failure"
    assert "redis_cache" in found.text


def test_another_server_than_realtime_has(subject: Subject) -> None:
    with redis_with() as elsewhere:
        subject.conf["redis_queue"] = elsewhere
        found = by_id(redis_server.check(subject))["redis.which"]
    assert found.state == "failure"
    assert "events would reach nobody" in found.text


def test_a_replica(subject: Subject, tmp_path: Path) -> None:
    port = str(urlsplit(subject.redis_url).port)
    with redis_with("--replicaof", "127.0.0.1", port, "--replica-read-only", "no") as url:
        found = by_id(redis_server.check(subject_at(url, tmp_path)))["redis.role"]
    assert found.state == "failure"
    assert f":{port}" in found.text


@pytest.mark.parametrize(("version", "states"), [("6.0.16", ["failure"]), ("6.2.0", []), ("7.0.15", []), ("10.1", [])])
def test_versions(version: str, states: list[str]) -> None:
    assert [finding.state for finding in redis_server.version({"redis_version": version})] == states


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("redis://127.0.0.1:11000", "redis-cli -h 127.0.0.1 -p 11000"),
        ("rediss://u:p@r.example:7", "redis-cli -h r.example -p 7 --tls --user u --askpass"),
        ("unix:///run/redis.sock", "redis-cli -s /run/redis.sock"),
    ],
)
def test_how_redis_cli_is_called(url: str, command: str) -> None:
    assert redis_server.redis_cli(url) == command
