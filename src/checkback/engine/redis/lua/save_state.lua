--[[
  Stores what a running attempt wants a later one to know, if it still is the one that runs.

  KEYS[1]  the job's hash
  KEYS[2]  how many bytes the jobs of each owner take in the store
  ARGV[1]  lock token of the attempt
  ARGV[2]  the value, as JSON
  Returns  1 stored, -1 no such job, -2 another attempt holds the lock
]]
local rcall = redis.call
if rcall('EXISTS', KEYS[1]) == 0 then return -1 end
if rcall('GET', KEYS[1] .. ':lock') ~= ARGV[1] then return -2 end
local size = #ARGV[2] - rcall('HSTRLEN', KEYS[1], 'cb:saved')
rcall('HSET', KEYS[1], 'cb:saved', ARGV[2])
rcall('HINCRBY', KEYS[1], 'cb:size', size)
rcall('HINCRBY', KEYS[2], rcall('HGET', KEYS[1], 'cb:owner') or 'local', size)
return 1
