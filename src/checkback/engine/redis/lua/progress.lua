--[[
  Stores what a running attempt says, if it still is the one that runs: a late writer is refused.

  KEYS[1]  the job's hash
  KEYS[2]  the queue's event stream
  KEYS[3]  the job's log
  KEYS[4]  how many bytes the jobs of each owner take in the store
  ARGV[1]  job id
  ARGV[2]  lock token of the attempt
  ARGV[3]  progress object as JSON, or ""
  ARGV[4]  how many log lines are kept
  ARGV[5]  how many bytes the jobs of one owner may take; 0: any number. Past it no line is kept
  ARGV[6+] log lines
  Returns  1 stored, 2 stored and the job is cancelled, -1 no such job, -2 another attempt holds the lock
]]
local rcall = redis.call
local LINE_BYTES = 16
local job = rcall('HMGET', KEYS[1], 'timestamp', 'atm', 'cb:cancel', 'defa', 'cb:owner')
if not job[1] then return -1 end
if rcall('GET', KEYS[1] .. ':lock') ~= ARGV[2] then return -2 end
if ARGV[3] ~= '' then
  rcall('HSET', KEYS[1], 'progress', ARGV[3])
  rcall('XADD', KEYS[2], 'MAXLEN', '~', 10000, '*', 'event', 'progress', 'jobId', ARGV[1], 'data', ARGV[3])
end
local owner, share = job[5] or 'local', tonumber(ARGV[5])
local is_full = share > 0 and owner ~= 'local' and (tonumber(rcall('HGET', KEYS[4], owner)) or 0) > share
if #ARGV > 5 and not is_full then
  local size = 0
  for line = 6, #ARGV do size = size + #ARGV[line] + LINE_BYTES end
  local excess = rcall('RPUSH', KEYS[3], unpack(ARGV, 6)) - tonumber(ARGV[4])
  if excess > 0 then
    for _, line in ipairs(rcall('LPOP', KEYS[3], excess)) do size = size - #line - LINE_BYTES end
  end
  rcall('HINCRBY', KEYS[1], 'cb:size', size)
  rcall('HINCRBY', KEYS[4], owner, size)
end
if job[4] and job[3] == (job[2] or '0') then return 2 end
return 1
