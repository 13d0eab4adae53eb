"""The Lua scripts: every change of a task is one of them, so that each is one step for everybody.

Times are Redis's own, in epoch milliseconds. A producer names the generation it works in and the number of its event:
a stale generation changes nothing, and an event that was sent before (its answer was lost with a connection) is
recognised by its number and not sent again. Redis rolls nothing back, so a script begins with the write that Redis may
refuse: for want of memory, or since the log is no stream.

A running task is dead when its worker is, and also when a living worker has stopped beating for it: a worker that lost
sight of a task (Redis was away for too long) does not keep it from being settled.
"""

from __future__ import annotations

from typing import Final

from ai_assistant.streams.script import Script

# KEYS task log queue open active rate tokens totals
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
if concurrent > 0 and redis.call('ZCOUNT', KEYS[5], '(' .. t, '+inf') >= concurrent then
  return {'concurrent', concurrent}
end
local budget = tonumber(ARGV[6])
if budget > 0 then
  local used = tonumber(redis.call('GET', KEYS[7]) or '0')
  if used >= budget then return {'tokens', used} end
end
local rpm, recent = tonumber(ARGV[4]), '(' .. (t - 60000)
if rpm > 0 and redis.call('ZCOUNT', KEYS[6], recent, '+inf') >= rpm then
  local oldest = redis.call('ZRANGEBYSCORE', KEYS[6], recent, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return {'rate', math.max(1, oldest[2] + 60000 - t)}
end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[2], 'status', 'queued', 'gen', 1, 'seq', 1, 'queued_at', t)
redis.call('HSET', KEYS[1], 'ttl', ARGV[7])
for i = 13, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('DEL', KEYS[2])
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', t)
if rpm > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', t - 60000)
  redis.call('ZADD', KEYS[6], t, ARGV[1])
  redis.call('EXPIRE', KEYS[6], 61)
end
redis.call('XADD', KEYS[2], '1-0', 'e', ARGV[8])
redis.call('EXPIRE', KEYS[1], ARGV[7])
redis.call('EXPIRE', KEYS[2], ARGV[7])
redis.call('HSET', KEYS[1], 'entry', redis.call('XADD', KEYS[3], '*', 'task', ARGV[1], 'gen', 1))
redis.call('ZADD', KEYS[4], t, ARGV[1])
redis.call('ZADD', KEYS[5], t + tonumber(ARGV[12]) * 1000, ARGV[1])
redis.call('EXPIRE', KEYS[5], ARGV[12])
count(KEYS[8], 'accepted', 1)
redis.call('PUBLISH', ARGV[11], ARGV[9] .. ARGV[8] .. ARGV[10])
return {'new', 1}
""")

# KEYS task log open totals
# ARGV 1 member 2 fingerprint 3 program 4 ttl s 5 message 6 prefix 7 suffix 8 channel 9... fields of the hash
# returns 1 opened, 0 it was before, -2 the id is another task's. Opens a task that the program itself runs: it was in
# no queue, and counts as shown, since nobody else could start it over
OPEN: Final = Script("""
local known = redis.call('HGET', KEYS[1], 'fingerprint')
if known then return known == ARGV[2] and 0 or -2 end
local t = now()
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[2], 'status', 'running', 'gen', 1, 'seq', 1, 'queued_at', t)
redis.call('HSET', KEYS[1], 'worker', ARGV[3], 'beat', t, 'shown', 1, 'ttl', ARGV[4])
for i = 9, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('DEL', KEYS[2])
redis.call('XADD', KEYS[2], '1-0', 'e', ARGV[5])
for i = 1, 2 do redis.call('EXPIRE', KEYS[i], ARGV[4]) end
redis.call('ZADD', KEYS[3], t, ARGV[1])
count(KEYS[4], 'accepted', 1)
redis.call('PUBLISH', ARGV[8], ARGV[6] .. ARGV[5] .. ARGV[7])
return 1
""")

# KEYS task workers   ARGV 1 no worker after ms 2 dead after ms
# returns {overdue, field, value, field, value …}; overdue is '', 'no_worker' or 'dead'; empty when unknown. The request
# is left out: it may have megabytes, and only the worker that claims the task needs it
READ: Final = Script("""
local all = redis.call('HGETALL', KEYS[1])
if #all == 0 then return {} end
local out = {''}
for i = 1, #all, 2 do
  if all[i] ~= 'request' then
    out[#out + 1] = all[i]
    out[#out + 1] = all[i + 1]
  end
end
local s = redis.call('HMGET', KEYS[1], 'status', 'queued_at', 'worker', 'beat')
if s[1] == 'queued' and now() - tonumber(s[2]) >= tonumber(ARGV[1]) then out[1] = 'no_worker' end
if s[1] == 'running' and dead(KEYS[2], s[3], s[4], ARGV[2]) then out[1] = 'dead' end
return out
""")

# KEYS workers task…   ARGV 1 no worker after ms 2 dead after ms
# returns per task: '' all is well, 'gone' unknown, 'ended', or why it is overdue: 'no_worker' or 'dead'
OVERDUE: Final = Script("""
local out = {}
for i = 2, #KEYS do
  local s = redis.call('HMGET', KEYS[i], 'status', 'queued_at', 'worker', 'beat')
  local state = ''
  if not s[1] then state = 'gone'
  elseif s[1] == 'queued' then
    if now() - tonumber(s[2]) >= tonumber(ARGV[1]) then state = 'no_worker' end
  elseif s[1] == 'running' then
    if dead(KEYS[1], s[3], s[4], ARGV[2]) then state = 'dead' end
  else state = 'ended' end
  out[i - 1] = state
end
return out
""")

# KEYS task log   ARGV 1 after seq 2 limit
# returns {snapshot or '', its seq, {id, {field, value} …}}: in one step, for a log may be folded at any moment
EVENTS: Final = Script("""
local s = redis.call('HMGET', KEYS[1], 'snapshot_seq')
local after, limit, snapshot, at = tonumber(ARGV[1]), tonumber(ARGV[2]), '', 0
if s[1] and tonumber(s[1]) > after then
  snapshot, at = redis.call('HGET', KEYS[1], 'snapshot'), tonumber(s[1])
  after, limit = at, limit - 1
end
local rows = {}
if limit > 0 then
  rows = redis.call('XRANGE', KEYS[2], string.format('(%.0f-0', after), '+', 'COUNT', limit)
end
return {snapshot, at, rows}
""")

# KEYS task queue log workers   ARGV 1 gen 2 worker 3 entry 4 group
# returns the fields of the task, or an empty list when it is not to be run. It is a heartbeat too: a Redis that came
# back empty knows no worker, and any reader would take the task away before its worker's next one
CLAIM: Final = Script("""
redis.call('XACK', KEYS[2], ARGV[4], ARGV[3])
redis.call('XDEL', KEYS[2], ARGV[3])
local s = redis.call('HMGET', KEYS[1], 'gen', 'status', 'worker', 'ttl')
if s[1] ~= ARGV[1] then return {} end
if s[2] == 'queued' then
  redis.call('HSET', KEYS[1], 'status', 'running', 'worker', ARGV[2], 'beat', now())
  redis.call('ZADD', KEYS[4], now(), ARGV[2])
  for _, key in ipairs({KEYS[1], KEYS[3]}) do redis.call('EXPIRE', key, s[4]) end
elseif not (s[2] == 'running' and s[3] == ARGV[2]) then
  return {}
end
return redis.call('HGETALL', KEYS[1])
""")

# KEYS task queue   ARGV 1 gen 2 member 3 entry 4 group
# returns 1 when the entry is in the queue again, for another worker
PUT_BACK: Final = Script("""
redis.call('XACK', KEYS[2], ARGV[4], ARGV[3])
redis.call('XDEL', KEYS[2], ARGV[3])
local s = redis.call('HMGET', KEYS[1], 'gen', 'status')
if s[1] ~= ARGV[1] or s[2] ~= 'queued' then return 0 end
redis.call('HSET', KEYS[1], 'entry', redis.call('XADD', KEYS[2], '*', 'task', ARGV[2], 'gen', ARGV[1]))
return 1
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
  elseif s[1] ~= ARGV[a + 1] then out[i] = -2
  elseif tonumber(s[2]) >= seq then out[i] = 0
  elseif s[3] ~= 'running' then out[i] = -2
  elseif tonumber(s[2]) + 1 ~= seq then out[i] = -3
  else
    redis.call('XADD', log, seq .. '-0', 'e', ARGV[a + 4])
    if ARGV[a + 3] == '1' then redis.call('HSET', task, 'seq', seq, 'shown', 1)
    else redis.call('HSET', task, 'seq', seq) end
    redis.call('PUBLISH', ARGV[1], ARGV[a + 5] .. ARGV[a + 4] .. ARGV[a + 6])
    out[i] = 1
  end
end
return out
""")

# KEYS task   ARGV 1 gen
# returns 1 the running producer of that generation may go on, -1 unknown, -2 stale or ended
OWN: Final = Script("""
local s = redis.call('HMGET', KEYS[1], 'gen', 'status')
if not s[1] then return -1 end
return (s[1] == ARGV[1] and s[2] == 'running') and 1 or -2
""")

# KEYS task log done open active tokens queue workers unsaved totals
# ARGV 1 condition 2 gen 3 seq 4 status 5 outcome 6 message 7 prefix 8 suffix 9 channel 10 ends channel 11 member
#      12 group 13 tokens 14 limit ms of the condition 15 unsaved: 1 a worker is to write the conversation's answer,
#      2 the turn too, for which the request is kept 16 field that counts such ends
# condition: 'own' the running producer, 'queued' nobody has it, 'no_worker' queued for too long, 'dead' its worker died
# returns 1 ended, 0 it had ended before, -1 unknown, -2 the condition does not hold
END: Final = Script("""
local s = redis.call('HMGET', KEYS[1], 'gen', 'seq', 'status', 'worker', 'queued_at', 'entry', 'beat', 'ttl')
if not s[1] then return -1 end
local seq = tonumber(ARGV[3])
if s[1] == ARGV[2] and s[3] == ARGV[4] and tonumber(s[2]) == seq then return 0 end
if s[3] ~= 'queued' and s[3] ~= 'running' then return -2 end
if s[1] ~= ARGV[2] or tonumber(s[2]) + 1 ~= seq then return -2 end
local c = ARGV[1]
if c == 'own' and s[3] ~= 'running' then return -2 end
if c == 'queued' and s[3] ~= 'queued' then return -2 end
if c == 'no_worker' and not (s[3] == 'queued' and now() - tonumber(s[5]) >= tonumber(ARGV[14])) then return -2 end
if c == 'dead' and not (s[3] == 'running' and dead(KEYS[8], s[4], s[7], ARGV[14])) then return -2 end
redis.call('XADD', KEYS[2], seq .. '-0', 'e', ARGV[6])
redis.call('RPUSH', KEYS[3], ARGV[4])
redis.call('HSET', KEYS[1], 'status', ARGV[4], 'seq', seq, 'outcome', ARGV[5], 'ended_at', now())
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], s[8]) end
redis.call('ZREM', KEYS[4], ARGV[11])
redis.call('ZREM', KEYS[5], ARGV[11])
if tonumber(ARGV[13]) > 0 then
  redis.call('INCRBY', KEYS[6], ARGV[13])
  redis.call('EXPIRE', KEYS[6], 172800)
end
if s[3] == 'queued' and s[6] then
  redis.call('XACK', KEYS[7], ARGV[12], s[6])
  redis.call('XDEL', KEYS[7], s[6])
end
if ARGV[15] ~= '0' then redis.call('ZADD', KEYS[9], now(), ARGV[11]) end
if ARGV[15] ~= '2' then redis.call('HDEL', KEYS[1], 'request') end
count(KEYS[10], ARGV[16], 1)
redis.call('PUBLISH', ARGV[9], ARGV[7] .. ARGV[6] .. ARGV[8])
redis.call('PUBLISH', ARGV[10], ARGV[11])
return 1
""")

# KEYS unsaved   ARGV 1 count 2 again after ms
# returns up to `count` tasks whose conversation is to be written; nobody else is given them for `again after`
TAKE_UNSAVED: Final = Script("""
local t = now()
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', t, 'LIMIT', 0, ARGV[1])
for _, member in ipairs(found) do redis.call('ZADD', KEYS[1], t + tonumber(ARGV[2]), member) end
return found
""")

# KEYS unsaved task   ARGV 1 member
SAVED: Final = Script("""
redis.call('HDEL', KEYS[2], 'request')
return redis.call('ZREM', KEYS[1], ARGV[1])
""")

# KEYS task log queue workers
# ARGV 1 gen 2 seq 3 message 4 prefix 5 suffix 6 channel 7 member 8 dead after ms ('' : the worker itself lets go)
# returns 1 queued again, 0 it was before, -1 unknown, -2 not allowed
RESTART: Final = Script("""
local s = redis.call('HMGET', KEYS[1], 'gen', 'seq', 'status', 'worker', 'shown', 'beat', 'ttl')
if not s[1] then return -1 end
if tonumber(s[1]) == tonumber(ARGV[1]) + 1 then return 0 end
if s[1] ~= ARGV[1] or s[3] ~= 'running' or s[5] == '1' then return -2 end
if tonumber(s[2]) + 1 ~= tonumber(ARGV[2]) then return -2 end
if ARGV[8] ~= '' and not dead(KEYS[4], s[4], s[6], ARGV[8]) then return -2 end
local gen = tonumber(ARGV[1]) + 1
redis.call('XADD', KEYS[2], ARGV[2] .. '-0', 'e', ARGV[3])
redis.call('HSET', KEYS[1], 'gen', gen, 'seq', ARGV[2], 'status', 'queued', 'worker', '', 'queued_at', now())
redis.call('HSET', KEYS[1], 'entry', redis.call('XADD', KEYS[3], '*', 'task', ARGV[7], 'gen', gen))
for i = 1, 2 do redis.call('EXPIRE', KEYS[i], s[7]) end
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

# KEYS workers info (task log)…   ARGV 1 worker 2 info 3 gone after ms, then per task its gen
# returns per task: '' all is well, 'lost' it is not ours any more, 'gone' unknown, or who cancelled it
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
for i = 3, #KEYS, 2 do
  local n = (i - 1) / 2
  local s = redis.call('HMGET', KEYS[i], 'gen', 'worker', 'status', 'cancel', 'ttl')
  if not s[1] then out[n] = 'gone'
  elseif s[1] ~= ARGV[n + 3] or s[2] ~= ARGV[1] or s[3] ~= 'running' then out[n] = 'lost'
  else
    redis.call('HSET', KEYS[i], 'beat', t)
    redis.call('EXPIRE', KEYS[i], s[5])
    redis.call('EXPIRE', KEYS[i + 1], s[5])
    out[n] = s[4] and ('by:' .. s[4]) or ''
  end
end
return out
""")

# KEYS totals   ARGV field, number to add, field, number …
COUNT: Final = Script("""
for i = 1, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
return redis.call('EXPIRE', KEYS[1], 604800)
""")

ALL: Final = (
    START,
    OPEN,
    READ,
    OVERDUE,
    EVENTS,
    CLAIM,
    PUT_BACK,
    EMIT,
    OWN,
    END,
    TAKE_UNSAVED,
    SAVED,
    RESTART,
    CANCEL,
    COMPACT,
    BEAT,
    COUNT,
)
