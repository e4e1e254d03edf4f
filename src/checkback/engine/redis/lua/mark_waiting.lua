--[[
  Marks a running attempt as one that waits for others, so that its owner does not count as running it.

  KEYS[1]  the job's hash
  ARGV[1]  lock token of the attempt
  Returns  1 marked, -1 no such job, -2 another attempt holds the lock
]]
local rcall = redis.call
local started = rcall('HGET', KEYS[1], 'ats')
if not started then return -1 end
if rcall('GET', KEYS[1] .. ':lock') ~= ARGV[1] then return -2 end
rcall('HSET', KEYS[1], 'cb:apart', started)
return 1
