--[[
  Stores what an attempt leaves behind, just before BullMQ's own script moves the job; fenced by its lock.

  KEYS[1]  the job's hash
  KEYS[2]  how many bytes the jobs of each owner take in the store
  ARGV[1]  lock token of the attempt
  ARGV[2]  artifacts as JSON, or "": then those of an earlier attempt, whose worker was lost at its end, go
  ARGV[3]  failure as JSON, or ""
  ARGV[4]  last progress as JSON, or ""
  ARGV[5]  how many lost workers are not to be counted when the job is retried, or ""
  ARGV[6]  how many bytes the result has, which BullMQ's script stores next
  Returns  1 stored, 2 the job is cancelled, -1 no such job, -2 another attempt holds the lock
]]
local rcall = redis.call
local job = rcall('HMGET', KEYS[1], 'timestamp', 'atm', 'cb:cancel', 'defa', 'cb:owner')
if not job[1] then return -1 end
if rcall('GET', KEYS[1] .. ':lock') ~= ARGV[1] then return -2 end
local function length() return rcall('HSTRLEN', KEYS[1], 'cb:artifacts') + rcall('HSTRLEN', KEYS[1], 'cb:failure') end
local before = length()
if ARGV[2] ~= '' then rcall('HSET', KEYS[1], 'cb:artifacts', ARGV[2]) else rcall('HDEL', KEYS[1], 'cb:artifacts') end
if ARGV[3] ~= '' then rcall('HSET', KEYS[1], 'cb:failure', ARGV[3]) end
if ARGV[4] ~= '' then rcall('HSET', KEYS[1], 'progress', ARGV[4]) end
if ARGV[5] ~= '' then rcall('HSET', KEYS[1], 'cb:forgiven', ARGV[5]) end
local size = length() - before + tonumber(ARGV[6])
rcall('HINCRBY', KEYS[1], 'cb:size', size)
rcall('HINCRBY', KEYS[2], job[5] or 'local', size)
-- A marker of an earlier attempt, which another BullMQ client's retry has left.
if job[3] and not job[4] then rcall('HDEL', KEYS[1], 'cb:cancel') end
if job[4] and job[3] == (job[2] or '0') then return 2 end
return 1
