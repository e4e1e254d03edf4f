--[[
  Stores what a running attempt says, if it still is the one that runs: a late writer is refused.

  KEYS[1]  the job's hash
  KEYS[2]  the queue's event stream
  KEYS[3]  the job's log
  ARGV[1]  job id
  ARGV[2]  lock token of the attempt
  ARGV[3]  progress object as JSON, or ""
  ARGV[4]  how many log lines are kept
  ARGV[5+] log lines
  Returns  1 stored, 2 stored and the job is cancelled, -1 no such job, -2 another attempt holds the lock
]]
local rcall = redis.call
local job = rcall('HMGET', KEYS[1], 'timestamp', 'atm', 'cb:cancel', 'defa')
if not job[1] then return -1 end
if rcall('GET', KEYS[1] .. ':lock') ~= ARGV[2] then return -2 end
if ARGV[3] ~= '' then
  rcall('HSET', KEYS[1], 'progress', ARGV[3])
  rcall('XADD', KEYS[2], 'MAXLEN', '~', 10000, '*', 'event', 'progress', 'jobId', ARGV[1], 'data', ARGV[3])
end
if #ARGV > 4 then
  rcall('RPUSH', KEYS[3], unpack(ARGV, 5))
  rcall('LTRIM', KEYS[3], -tonumber(ARGV[4]), -1)
end
if job[4] and job[3] == (job[2] or '0') then return 2 end
return 1
