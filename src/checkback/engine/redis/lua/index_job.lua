--[[
  Writes our fields for a job that BullMQ's own script has just added, or put back, in the same MULTI: fields,
  places in our indexes, and the job's turn.

  KEYS[1]  the job's hash
  KEYS[2]  the queue's prioritized set
  KEYS[3]  the queue's turns
  KEYS[4]  the owner's index
  KEYS[5]  the owner's jobs that have not ended
  KEYS[6]  the jobs whose end is to be reported
  KEYS[7]  how many bytes the jobs of each owner take in the store
  ARGV[1]  job id
  ARGV[2]  owner
  ARGV[3]  when the job was made, in ms
  ARGV[4]  the job's name in the other sets: queue:id
  ARGV[5]  "1" to count the job among the owner's
  ARGV[6]  when to look whether its end can be reported, or ""
  ARGV[7]  "1" for a job that was there before and runs again
  ARGV[8]  how many bytes the job takes in the store
  ARGV[9+] fields and values
  Returns  1 kept, 0 it was there already, -1 it was refused by admit.lua and is gone

  Turns. The owners of a queue take turns, however many jobs each has waiting (start-time fair queueing). A job's turn
  is BullMQ's priority: the smallest goes first. An owner's next job gets the turn after the owner's last one, but none
  that is over: the turn that the queue is at is one before the first waiting job's. So a flood goes behind the first
  job of anybody else, and is itself never left behind for good. When nothing waits, all begin again at FIRST.
]]
local rcall = redis.call
local FIRST, LAST = 10, 2097151
if rcall('HEXISTS', KEYS[1], 'cb:refused') == 1 then
  rcall('DEL', KEYS[1])
  return -1
end
if ARGV[7] == '1' then
  if rcall('HEXISTS', KEYS[1], 'timestamp') == 0 then return 0 end
else
  if rcall('HSETNX', KEYS[1], 'cb:owner', ARGV[2]) == 0 then return 0 end
  for field = 9, #ARGV, 2 do rcall('HSETNX', KEYS[1], ARGV[field], ARGV[field + 1]) end
  rcall('HSET', KEYS[1], 'cb:size', ARGV[8])
  rcall('HINCRBY', KEYS[7], ARGV[2], ARGV[8])
  if ARGV[6] ~= '' then
    rcall('ZADD', KEYS[6], 'NX', ARGV[6], (string.gsub(ARGV[4], ':', ' ', 1)))
  end
end
rcall('ZADD', KEYS[4], 'NX', ARGV[3], ARGV[1])
if ARGV[5] == '1' then rcall('ZADD', KEYS[5], 'NX', ARGV[3], ARGV[4]) end

local head
local first = rcall('ZRANGE', KEYS[2], 0, 1, 'WITHSCORES')
for place = 1, #first, 2 do
  if first[place] ~= ARGV[1] and not head then head = math.floor(tonumber(first[place + 1]) / 0x100000000) end
end
if not head then rcall('DEL', KEYS[3]) end
local known = rcall('HMGET', KEYS[3], 'now', 'last', 'owner:' .. ARGV[2])
local now, last = tonumber(known[1]) or 0, tonumber(known[2]) or FIRST
-- Another client's job may have any priority: it does not move the turn past what was given out here.
now = head and math.max(now, math.min(head - 1, last), 1) or FIRST - 1
local turn = math.min(math.max(head and now or FIRST, (tonumber(known[3]) or 0) + 1), LAST)
rcall('HSET', KEYS[3], 'now', now, 'last', math.max(last, turn), 'owner:' .. ARGV[2], turn)
rcall('HSET', KEYS[1], 'priority', turn)
local score = tonumber(rcall('ZSCORE', KEYS[2], ARGV[1]))
if score then rcall('ZADD', KEYS[2], 'XX', turn * 0x100000000 + score % 0x100000000, ARGV[1]) end
return 1
