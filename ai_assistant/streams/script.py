"""A Lua script as Redis runs it."""

from __future__ import annotations

import hashlib

# A program that runs a task of its own (`program:…`) is on no list of workers, since it takes none off the queue: it is
# as alive as what it says of each of its tasks. `count` must not fail what it counts: Redis rolls nothing back
COMMON = """
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function dead(workers, worker, beat, after)
  local t = now()
  if t - tonumber(beat or 0) > tonumber(after) then return true end
  if string.sub(worker or '', 1, 8) == 'program:' then return false end
  local listed = redis.call('ZSCORE', workers, worker or '')
  return (not listed) or t - tonumber(listed) > tonumber(after)
end
local function count(totals, field, by)
  redis.pcall('HINCRBY', totals, field, by)
  redis.pcall('EXPIRE', totals, 604800)
end
"""


class Script:
    """A Lua script and the SHA-1 that Redis knows it by."""

    def __init__(self, source: str):
        self.source = COMMON + source
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
