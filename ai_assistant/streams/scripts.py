"""The Lua scripts: every change of a task is one of them, so that each is one step for everybody.

Times are Redis's own, in epoch milliseconds. A producer names the generation it works in and the number of its event:
a stale generation changes nothing, and an event that was sent before (its answer was lost with a connection) is
recognised by its number and not sent again.
"""

from __future__ import annotations

import hashlib
from typing import Final

COMMON = """
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function dead(workers, worker, after)
  local beat = redis.call('ZSCORE', workers, worker)
  return (not beat) or now() - tonumber(beat) > tonumber(after)
end
"""


class Script:
    """A Lua script and the SHA-1 that Redis knows it by."""

    def __init__(self, source: str):
        self.source = COMMON + source
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


# KEYS task log queue open active rate tokens
# ARGV 1 member 2 fingerprint 3 backlog 4 rpm 5 concurrent 6 tokens/day 7 ttl s 8 message 9 prefix 10 suffix
#      11 channel 12 active for s 13... fields of the hash
# returns {state, number}
START: Final = Script("""
local known = redis.call('HGET', KEYS[1], 'fingerprint')
if known then
  return {known == ARGV[2] and 'same' or 'conflict', 0}
end
local t = now()
local queued = redis.call('XLEN', KEYS[3])
if queued >= tonumber(ARGV[3]) then return {'backlog', queued} end
local concurrent = tonumber(ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', t)
if concurrent > 0 and redis.call('ZCARD', KEYS[5]) >= concurrent then return {'concurrent', concurrent} end
local budget = tonumber(ARGV[6])
if budget > 0 then
  local used = tonumber(redis.call('GET', KEYS[7]) or '0')
  if used >= budget then return {'tokens', used} end
end
local rpm = tonumber(ARGV[4])
if rpm > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', t - 60000)
  if redis.call('ZCARD', KEYS[6]) >= rpm then
    local oldest = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')
    return {'rate', math.max(1, oldest[2] + 60000 - t)}
  end
  redis.call('ZADD', KEYS[6], t, ARGV[1])
  redis.call('EXPIRE', KEYS[6], 61)
end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[2], 'status', 'queued', 'gen', 1, 'seq', 1, 'queued_at', t)
for i = 13, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('XADD', KEYS[2], '1-0', 'e', ARGV[8])
redis.call('EXPIRE', KEYS[1], ARGV[7])
redis.call('EXPIRE', KEYS[2], ARGV[7])
redis.call('HSET', KEYS[1], 'entry', redis.call('XADD', KEYS[3], '*', 'task', ARGV[1], 'gen', 1))
redis.call('ZADD', KEYS[4], t, ARGV[1])
redis.call('ZADD', KEYS[5], t + tonumber(ARGV[12]) * 1000, ARGV[1])
redis.call('EXPIRE', KEYS[5], ARGV[12])
redis.call('PUBLISH', ARGV[11], ARGV[9] .. ARGV[8] .. ARGV[10])
return {'new', 1}
""")

# KEYS task workers   ARGV 1 no worker after ms 2 dead after ms
# returns {overdue, field, value, field, value …}; overdue is '', 'no_worker' or 'dead'; empty when unknown
READ: Final = Script("""
local all = redis.call('HGETALL', KEYS[1])
if #all == 0 then return {} end
local s = redis.call('HMGET', KEYS[1], 'status', 'queued_at', 'worker')
local overdue = ''
if s[1] == 'queued' and now() - tonumber(s[2]) >= tonumber(ARGV[1]) then overdue = 'no_worker' end
if s[1] == 'running' and dead(KEYS[2], s[3], ARGV[2]) then overdue = 'dead' end
table.insert(all, 1, overdue)
return all
""")

# KEYS task queue   ARGV 1 gen 2 worker 3 entry 4 group 5 ttl s
# returns the fields of the task, or an empty list when it is not to be run
CLAIM: Final = Script("""
redis.call('XACK', KEYS[2], ARGV[4], ARGV[3])
redis.call('XDEL', KEYS[2], ARGV[3])
local s = redis.call('HMGET', KEYS[1], 'gen', 'status', 'worker')
if s[1] ~= ARGV[1] then return {} end
if s[2] == 'queued' then
  redis.call('HSET', KEYS[1], 'status', 'running', 'worker', ARGV[2], 'claimed_at', now())
elseif not (s[2] == 'running' and s[3] == ARGV[2]) then
  return {}
end
return redis.call('HGETALL', KEYS[1])
""")

# KEYS (task log)…   ARGV 1 channel, then per event: gen seq shown message prefix suffix
# returns per event: 1 sent, 0 sent before, -1 task unknown, -2 stale generation or ended, -3 number skipped
EMIT: Final = Script("""
local out = {}
local n = #KEYS / 2
for i = 1, n do
  local a = 1 + (i - 1) * 6
  local task, log = KEYS[i * 2 - 1], KEYS[i * 2]
  local s = redis.call('HMGET', task, 'gen', 'seq', 'status')
  local seq = tonumber(ARGV[a + 2])
  if not s[1] then out[i] = -1
  elseif s[1] ~= ARGV[a + 1] or s[3] ~= 'running' then out[i] = -2
  elseif tonumber(s[2]) >= seq then out[i] = 0
  elseif tonumber(s[2]) + 1 ~= seq then out[i] = -3
  else
    if ARGV[a + 3] == '1' then redis.call('HSET', task, 'seq', seq, 'shown', 1)
    else redis.call('HSET', task, 'seq', seq) end
    redis.call('XADD', log, seq .. '-0', 'e', ARGV[a + 4])
    redis.call('PUBLISH', ARGV[1], ARGV[a + 5] .. ARGV[a + 4] .. ARGV[a + 6])
    out[i] = 1
  end
end
return out
""")

# KEYS task log done open active tokens queue workers
# ARGV 1 condition 2 gen 3 seq 4 status 5 outcome 6 message 7 prefix 8 suffix 9 channel 10 ends channel 11 member
#      12 ttl s 13 tokens 14 limit ms of the condition 15 store (1: a worker is to write the conversation)
# condition: 'own' the running producer, 'queued' nobody has it, 'no_worker' queued for too long, 'dead' its worker died
# returns 1 ended, 0 it had ended before, -1 unknown, -2 the condition does not hold
END: Final = Script("""
local s = redis.call('HMGET', KEYS[1], 'gen', 'seq', 'status', 'worker', 'queued_at', 'entry')
if not s[1] then return -1 end
local seq = tonumber(ARGV[3])
if s[1] == ARGV[2] and s[3] == ARGV[4] and tonumber(s[2]) == seq then return 0 end
if s[3] ~= 'queued' and s[3] ~= 'running' then return -2 end
if s[1] ~= ARGV[2] or tonumber(s[2]) + 1 ~= seq then return -2 end
local c = ARGV[1]
if c == 'own' and s[3] ~= 'running' then return -2 end
if c == 'queued' and s[3] ~= 'queued' then return -2 end
if c == 'no_worker' and not (s[3] == 'queued' and now() - tonumber(s[5]) >= tonumber(ARGV[14])) then return -2 end
if c == 'dead' and not (s[3] == 'running' and dead(KEYS[8], s[4], ARGV[14])) then return -2 end
redis.call('HSET', KEYS[1], 'status', ARGV[4], 'seq', seq, 'outcome', ARGV[5], 'ended_at', now())
redis.call('HDEL', KEYS[1], 'request')
redis.call('XADD', KEYS[2], seq .. '-0', 'e', ARGV[6])
redis.call('XADD', KEYS[3], '*', 'status', ARGV[4])
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], ARGV[12]) end
redis.call('ZREM', KEYS[4], ARGV[11])
redis.call('ZREM', KEYS[5], ARGV[11])
if tonumber(ARGV[13]) > 0 then
  redis.call('INCRBY', KEYS[6], ARGV[13])
  redis.call('EXPIRE', KEYS[6], 172800)
end
if s[3] == 'queued' and s[6] then redis.call('XDEL', KEYS[7], s[6]) end
if ARGV[15] == '1' then redis.call('XADD', KEYS[7], '*', 'task', ARGV[11], 'store', 1) end
redis.call('PUBLISH', ARGV[9], ARGV[7] .. ARGV[6] .. ARGV[8])
redis.call('PUBLISH', ARGV[10], ARGV[11])
return 1
""")

# KEYS task log queue workers
# ARGV 1 gen 2 seq 3 message 4 prefix 5 suffix 6 channel 7 member 8 dead after ms ('' : the worker itself lets go)
# returns 1 queued again, 0 it was before, -1 unknown, -2 not allowed
RESTART: Final = Script("""
local s = redis.call('HMGET', KEYS[1], 'gen', 'seq', 'status', 'worker', 'shown')
if not s[1] then return -1 end
if tonumber(s[1]) == tonumber(ARGV[1]) + 1 then return 0 end
if s[1] ~= ARGV[1] or s[3] ~= 'running' or s[5] == '1' then return -2 end
if tonumber(s[2]) + 1 ~= tonumber(ARGV[2]) then return -2 end
if ARGV[8] ~= '' and not dead(KEYS[4], s[4], ARGV[8]) then return -2 end
local gen = tonumber(ARGV[1]) + 1
redis.call('HSET', KEYS[1], 'gen', gen, 'seq', ARGV[2], 'status', 'queued', 'worker', '', 'queued_at', now())
redis.call('XADD', KEYS[2], ARGV[2] .. '-0', 'e', ARGV[3])
redis.call('HSET', KEYS[1], 'entry', redis.call('XADD', KEYS[3], '*', 'task', ARGV[7], 'gen', gen))
redis.call('PUBLISH', ARGV[6], ARGV[4] .. ARGV[3] .. ARGV[5])
return 1
""")

# KEYS task   ARGV 1 by 2 control channel 3 message
# returns the status, or nothing when unknown
CANCEL: Final = Script("""
local status = redis.call('HGET', KEYS[1], 'status')
if status == 'queued' or status == 'running' then
  redis.call('HSETNX', KEYS[1], 'cancel', ARGV[1])
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return status
""")

# KEYS task log   ARGV 1 gen 2 snapshot 3 seq of the last event that it stands for
# returns the number of events that were folded into it
COMPACT: Final = Script("""
local s = redis.call('HMGET', KEYS[1], 'gen')
if s[1] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'snapshot', ARGV[2], 'snapshot_seq', ARGV[3])
return redis.call('XTRIM', KEYS[2], 'MINID', '=', (tonumber(ARGV[3]) + 1) .. '-0')
""")

# KEYS workers info task…   ARGV 1 worker 2 info 3 gone after ms, then per task its gen
# returns per task: '' all is well, 'lost' it is not ours any more, or who cancelled it
BEAT: Final = Script("""
local t = now()
redis.call('ZADD', KEYS[1], t, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', t - tonumber(ARGV[3]))
for _, w in ipairs(old) do
  redis.call('ZREM', KEYS[1], w)
  redis.call('HDEL', KEYS[2], w)
end
local out = {}
for i = 3, #KEYS do
  local s = redis.call('HMGET', KEYS[i], 'gen', 'worker', 'cancel')
  if s[1] ~= ARGV[i + 1] or s[2] ~= ARGV[1] then out[i - 2] = 'lost'
  else out[i - 2] = s[3] and ('by:' .. s[3]) or '' end
end
return out
""")

ALL: Final = (START, READ, CLAIM, EMIT, END, RESTART, CANCEL, COMPACT, BEAT)
