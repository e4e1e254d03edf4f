--[[
  Removes a job that does not run, with everything of it in the store.

  KEYS[1]   the job's hash
  KEYS[2]   the queue's active list
  KEYS[3]   the queue's event stream
  KEYS[4]   the owner's index
  KEYS[5]   the owner's jobs that have not ended
  KEYS[6]   the jobs whose end is to be reported
  KEYS[7]   how many bytes the jobs of each owner take in the store
  KEYS[8]   the queue's waiting list
  KEYS[9]   the queue's paused list
  KEYS[10+] the queue's sets: prioritized, delayed, completed, failed
  ARGV[1]   job id
  ARGV[2]   owner
  ARGV[3]   the job's name in the other sets: queue:id
  Returns   1 removed, -1 no such job, -2 it runs
]]
local rcall = redis.call
local job = rcall('HMGET', KEYS[1], 'timestamp', 'cb:size')
if not job[1] then return -1 end
if rcall('EXISTS', KEYS[1] .. ':lock') == 1 or rcall('LPOS', KEYS[2], ARGV[1]) then return -2 end
rcall('LREM', KEYS[8], 0, ARGV[1])
rcall('LREM', KEYS[9], 0, ARGV[1])
for place = 10, #KEYS do rcall('ZREM', KEYS[place], ARGV[1]) end
rcall('DEL', KEYS[1])
for _, part in ipairs({'logs', 'dependencies', 'processed', 'failed', 'unsuccessful'}) do
  rcall('DEL', KEYS[1] .. ':' .. part)
end
rcall('ZREM', KEYS[4], ARGV[1])
rcall('ZREM', KEYS[5], ARGV[3])
rcall('ZREM', KEYS[6], (string.gsub(ARGV[3], ':', ' ', 1)))
if job[2] and rcall('HINCRBY', KEYS[7], ARGV[2], -tonumber(job[2])) <= 0 then rcall('HDEL', KEYS[7], ARGV[2]) end
rcall('XADD', KEYS[3], 'MAXLEN', '~', 10000, '*', 'event', 'removed', 'jobId', ARGV[1])
return 1
