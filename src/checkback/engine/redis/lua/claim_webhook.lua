--[[
  Claims the telling of a job's end for one worker, and one of the few places that its owner has for that.

  KEYS[1]  the claim
  KEYS[2]  the owner's jobs whose callback is being sent, by until when that is believed
  ARGV[1]  job id
  ARGV[2]  for how long, in ms
  ARGV[3]  how many of one owner at once
  Returns  1 claimed, 0 another worker has it, -1 the owner has no place free
]]
local rcall = redis.call
if rcall('EXISTS', KEYS[1]) == 1 then return 0 end
local time = rcall('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
rcall('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if rcall('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then return -1 end
rcall('ZADD', KEYS[2], now + tonumber(ARGV[2]), ARGV[1])
rcall('PEXPIRE', KEYS[2], ARGV[2])
rcall('SET', KEYS[1], '1', 'PX', ARGV[2])
return 1
