--[[
  Notes in a running job's hash that it starts another one, its part, before that one is added.

  KEYS[1]  the job's hash
  ARGV[1]  lock token of the attempt
  ARGV[2]  id of the part
  Returns  1 noted, 2 the job is cancelled and may start nothing more, -1 no such job, -2 another attempt holds the lock
]]
local rcall = redis.call
local job = rcall('HMGET', KEYS[1], 'timestamp', 'atm', 'cb:cancel', 'defa', 'cb:parts')
if not job[1] then return -1 end
if rcall('GET', KEYS[1] .. ':lock') ~= ARGV[1] then return -2 end
if job[4] and job[3] == (job[2] or '0') then return 2 end
local parts = job[5] or ''
if not string.find(parts, ARGV[2], 1, true) then rcall('HSET', KEYS[1], 'cb:parts', parts .. ARGV[2] .. ' ') end
return 1
