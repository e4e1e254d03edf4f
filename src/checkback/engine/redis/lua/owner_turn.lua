--[[
  Sets the next waiting job of an owner who runs nothing in a queue aside, for BullMQ's own script to take: it is
  called with this list in place of the waiting one, within the same MULTI.

  KEYS[1]  the queue's active list
  KEYS[2]  the queue's waiting list
  KEYS[3]  the queue's prioritized set
  KEYS[4]  the queue's delayed set
  KEYS[5]  the queue's metadata
  KEYS[6]  where the job is set aside: a list that is empty outside of the MULTI
  ARGV[1]  prefix of the queue's keys
  ARGV[2]  how many waiting jobs of each set to look at
  ARGV[3]  the time, in ms since 1970
  Returns  1 set aside, 0 there is no such job

  Owners take turns, so the first job of one who runs nothing is near the front. A job that was set apart (it waits for
  others, cb:apart) does not count as running, in the attempt that the mark names.
]]
local rcall = redis.call
local most = tonumber(ARGV[2])
while rcall('LLEN', KEYS[6]) > 0 do rcall('LMOVE', KEYS[6], KEYS[2], 'LEFT', 'RIGHT') end
if rcall('HEXISTS', KEYS[5], 'paused') == 1 then return 0 end

local running = {}
for _, id in ipairs(rcall('LRANGE', KEYS[1], 0, -1)) do
  local job = rcall('HMGET', ARGV[1] .. id, 'cb:owner', 'cb:apart', 'ats')
  if not job[2] or job[2] ~= job[3] then running[job[1] or 'local'] = true end
end
local function find(ids, first, last, step)
  for place = first, last, step do
    local id = ids[place]
    if string.sub(id, 1, 2) ~= '0:' then
      local owner = rcall('HGET', ARGV[1] .. id, 'cb:owner') or 'local'
      if not running[owner] then return id end
    end
  end
end

-- BullMQ takes from the list's right end.
local waiting = rcall('LRANGE', KEYS[2], -most, -1)
local id = find(waiting, #waiting, 1, -1)
if id then
  rcall('LREM', KEYS[2], -1, id)
else
  local prioritized = rcall('ZRANGE', KEYS[3], 0, most - 1)
  id = find(prioritized, 1, #prioritized, 1)
  if id then rcall('ZREM', KEYS[3], id) end
end
if not id then
  -- BullMQ makes delayed jobs wait whose time has come, but only when a worker takes any job.
  local due = rcall('ZRANGEBYSCORE', KEYS[4], 0, (tonumber(ARGV[3]) + 1) * 0x1000 - 1, 'LIMIT', 0, most)
  id = find(due, 1, #due, 1)
  if not id then return 0 end
  rcall('ZREM', KEYS[4], id)
  rcall('HSET', ARGV[1] .. id, 'delay', 0)
end
rcall('RPUSH', KEYS[6], id)
return 1
