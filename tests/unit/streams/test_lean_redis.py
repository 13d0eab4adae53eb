"""The publisher's own Redis connection, against a real Redis."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ai_assistant.host.redis_server import find_redis
from ai_assistant.streams.connection import publishing_client
from ai_assistant.streams.lean import LeanRedis

PASSWORD = "not a secret"
ECHO = "return {KEYS[1], ARGV[1], #ARGV}"


class Server:
    """A Redis at a UNIX socket, with a password."""

    def __init__(self, folder: Path):
        self.socket = folder / "s"
        self.process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"unix://:{PASSWORD.replace(' ', '%20')}@{self.socket}"

    def start(self) -> None:
        command = [str(find_redis()), "--port", "0", "--unixsocket", str(self.socket), "--requirepass", PASSWORD]
        self.process = subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL)
        plain = redis.Redis(unix_socket_path=str(self.socket), password=PASSWORD)
        for _ in range(200):
            try:
                plain.ping()
                break
            except redis.RedisError:
                time.sleep(0.02)
        plain.close()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path)
    found.start()
    yield found
    found.stop()


@pytest.fixture
async def lean(server: Server) -> AsyncIterator[LeanRedis]:
    found = LeanRedis(server.url, timeout=1.0)
    yield found
    await found.aclose()


async def test_scripts_answer_one_by_one_and_in_one_piece(lean: LeanRedis):
    sha = (await lean.script_load(ECHO)).decode()
    assert await lean.evalsha(sha, 1, "key", "ü", b"\xff") == [b"key", "ü".encode(), 2]
    async with lean.pipeline(transaction=False) as pipe:
        for number in range(3):
            pipe.evalsha(sha, 1, "key", number)
        assert await pipe.execute() == [[b"key", b"%d" % number, 1] for number in range(3)]


async def test_callers_at_the_same_time_get_their_own_answers(lean: LeanRedis):
    sha = (await lean.script_load(ECHO)).decode()
    answers = await asyncio.gather(*(lean.evalsha(sha, 1, "key", number) for number in range(500)))
    assert [int(answer[1]) for answer in answers] == list(range(500))


async def test_a_cancelled_caller_leaves_the_answers_of_the_others_alone(lean: LeanRedis):
    sha = (await lean.script_load(ECHO)).decode()
    calls = [asyncio.ensure_future(lean.evalsha(sha, 1, "key", number)) for number in range(3)]
    await asyncio.sleep(0)
    calls[1].cancel()
    assert [int((await call)[1]) for call in (calls[0], calls[2])] == [0, 2]
    assert int((await lean.evalsha(sha, 1, "key", 9))[1]) == 9


async def test_errors_are_those_of_redis_py(lean: LeanRedis):
    with pytest.raises(NoScriptError):
        await lean.evalsha("0" * 40, 0)
    broken = (await lean.script_load("return redis.call('XADD', KEYS[1])")).decode()
    with pytest.raises(ResponseError, match=r"(?i)wrong number of arg"):
        await lean.evalsha(broken, 1, "key")
    sha = (await lean.script_load(ECHO)).decode()
    assert await lean.evalsha(sha, 1, "key", 1)


async def test_a_wrong_password_is_told(server: Server):
    with pytest.raises(ResponseError, match="WRONGPASS"):
        await LeanRedis(f"unix://:wrong@{server.socket}").script_load(ECHO)


async def test_it_connects_again_after_redis_was_away(server: Server, lean: LeanRedis):
    await lean.script_load(ECHO)
    server.stop()
    with pytest.raises(RedisConnectionError):
        await lean.script_load(ECHO)
    server.start()
    assert await lean.script_load(ECHO)


async def test_a_silent_redis_is_given_up_in_time(server: Server, lean: LeanRedis):
    sha = (await lean.script_load(ECHO)).decode()
    server.process.send_signal(signal.SIGSTOP)
    calls = [asyncio.ensure_future(lean.evalsha(sha, 1, "key", number)) for number in range(2)]
    for call in calls:
        with pytest.raises(RedisTimeoutError, match="1 s"):
            await asyncio.wait_for(call, 20)
    server.process.send_signal(signal.SIGCONT)
    assert await lean.evalsha(sha, 1, "key", 1)


async def test_a_database_is_chosen_by_the_url(server: Server):
    other = LeanRedis(f"{server.url}?db=3")
    put = (await other.script_load("return redis.call('SET', KEYS[1], 'here')")).decode()
    await other.evalsha(put, 1, "where")
    await other.aclose()
    plain = redis.Redis(unix_socket_path=str(server.socket), password=PASSWORD, db=3)
    assert plain.get("where") == b"here"
    plain.close()


async def test_tls_is_left_to_redis_py():
    with pytest.raises(ValueError, match="TLS"):
        LeanRedis("rediss://localhost")
    client = publishing_client("rediss://localhost")
    assert not isinstance(client, LeanRedis)
    await client.aclose()
