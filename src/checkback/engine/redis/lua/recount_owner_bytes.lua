--[[
  Corrects how many bytes an owner's jobs take in the store, unless that has changed since it was read.

  KEYS[1]  how many bytes the jobs of each owner take in the store
  ARGV[1]  owner
  ARGV[2]  what was read
  ARGV[3]  what it should be
  Returns  1 corrected, 0 it has changed
]]
local rcall = redis.call
if rcall('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if tonumber(ARGV[3]) > 0 then rcall('HSET', KEYS[1], ARGV[1], ARGV[3]) else rcall('HDEL', KEYS[1], ARGV[1]) end
return 1
