--[[
  Removes up to ARGV[4] jobs of one finished set whose time is over, with their logs and their places in the indexes.

  KEYS[1]  the finished set (completed or failed)
  KEYS[2]  the queue's event stream
  KEYS[3]  how many bytes the jobs of each owner take in the store
  ARGV[1]  prefix of the queue's keys
  ARGV[2]  oldest end time that is kept, in ms
  ARGV[3]  prefix of the owners' indexes
  ARGV[4]  how many at most
  ARGV[5]  end time before which a cancelled job goes, in ms (cancelled jobs may lie in either set)
  Returns  the ids that were removed
]]
local rcall = redis.call
local removed = {}
for _, id in ipairs(rcall('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, tonumber(ARGV[4]))) do
  local key = ARGV[1] .. id
  local job = rcall('HMGET', key, 'cb:owner', 'cb:cancel', 'defa', 'cb:size')
  if not (job[2] and job[3]) or tonumber(rcall('ZSCORE', KEYS[1], id)) <= tonumber(ARGV[5]) then
    rcall('ZREM', KEYS[1], id)
    rcall('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed',
      key .. ':unsuccessful')
    rcall('ZREM', ARGV[3] .. (job[1] or 'local'), id)
    if job[4] and rcall('HINCRBY', KEYS[3], job[1] or 'local', -tonumber(job[4])) <= 0 then
      rcall('HDEL', KEYS[3], job[1] or 'local')
    end
    rcall('XADD', KEYS[2], 'MAXLEN', '~', 10000, '*', 'event', 'removed', 'jobId', id)
    removed[#removed + 1] = id
  end
end
return removed
