--[[
  Removes the arguments of an owner's jobs that failed or were cancelled, the oldest first, until enough is free.

  KEYS[1]   the owner's index
  KEYS[2]   how many bytes the jobs of each owner take in the store
  ARGV[1]   owner
  ARGV[2]   how many bytes to free
  ARGV[3]   from which time on to look, in ms since 1970
  ARGV[4]   how many jobs to look at
  ARGV[5+]  prefixes of the queues' keys
  Returns   {how many bytes were freed, when the last job that was looked at was made, or nil at the end}
]]
local rcall = redis.call
local goal, most = tonumber(ARGV[2]), tonumber(ARGV[4])
local freed = 0
local looked = rcall('ZRANGEBYSCORE', KEYS[1], ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', 0, most)
for place = 1, #looked, 2 do
  for queue = 5, #ARGV do
    local key = ARGV[queue] .. looked[place]
    local job = rcall('HMGET', key, 'finishedOn', 'failedReason', 'defa', 'cb:gone')
    if ((job[1] and job[2]) or job[3]) and not job[4] then
      local size = rcall('HSTRLEN', key, 'data') - 2
      if size > 0 then
        rcall('HSET', key, 'data', '{}', 'cb:gone', 1)
        rcall('HINCRBY', key, 'cb:size', -size)
        rcall('HINCRBY', KEYS[2], ARGV[1], -size)
        freed = freed + size
      end
    end
  end
  if freed >= goal then return {freed, looked[place + 1]} end
end
if #looked < 2 * most then return {freed} end
return {freed, looked[#looked]}
