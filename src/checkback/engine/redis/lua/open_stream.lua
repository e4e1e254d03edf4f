--[[
  Counts event streams, long waits and subscriptions of one owner, for a while: their server renews them.

  KEYS[1]  the owner's open streams, by until when they are believed to be open
  ARGV[1]  for how long, in ms
  ARGV[2]  how many the owner may have, or 0 for any number
  ARGV[3...]  the ids of the streams
  Returns  1 counted, 0 the owner has too many
]]
local rcall = redis.call
local time = rcall('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local limit = tonumber(ARGV[2])
if limit > 0 then
  rcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
  if rcall('ZCARD', KEYS[1]) + #ARGV - 2 > limit then return 0 end
end
for at = 3, #ARGV do
  rcall('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[at])
end
rcall('PEXPIRE', KEYS[1], ARGV[1])
return 1
