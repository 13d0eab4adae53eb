"""A process that wakes, for the test of many of them: `waker.py URL KEY`. It begins when KEY is in Redis, and adds a
member to the set `asked` for each job it asks for."""

import sys
import time

from ai_assistant.streams.lease import Lease
from tests.kit import tasks_at

if __name__ == "__main__":
    tasks = tasks_at(sys.argv[1])
    tasks.client.incr("ready")
    while not tasks.client.exists(sys.argv[2]):
        time.sleep(0.001)
    Lease(tasks).wake(lambda token: tasks.client.sadd("asked", token), lambda token: False)
