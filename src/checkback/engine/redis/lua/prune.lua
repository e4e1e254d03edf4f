--[[
  Takes the jobs that have ended, were cancelled, or are gone out of an owner's jobs that have not ended.

  KEYS[1]  the owner's jobs that have not ended
  ARGV[1]  prefix of the jobs' hashes: PREFIX:
  ARGV[2]  how many to look at, the oldest first
  Returns  how many were taken out
]]
local rcall = redis.call
local gone = {}
for _, name in ipairs(rcall('ZRANGE', KEYS[1], 0, tonumber(ARGV[2]) - 1)) do
  local job = rcall('HMGET', ARGV[1] .. name, 'timestamp', 'finishedOn', 'defa')
  if not job[1] or job[2] or job[3] then gone[#gone + 1] = name end
end
for first = 1, #gone, 1000 do
  rcall('ZREM', KEYS[1], unpack(gone, first, math.min(first + 999, #gone)))
end
return #gone
