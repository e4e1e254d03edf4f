--[[
  Since when the job has waited that waits longest, of those that are next in a queue.

  KEYS[1]  the queue's prioritized set
  KEYS[2]  the queue's waiting list
  ARGV[1]  prefix of the queue's keys
  ARGV[2]  how many of each to look at
  Returns  ms since 1970, or nil where none waits

  A delayed job waits from the moment on that it was to start, one that is tried again from the start of its last
  attempt on; when a retry by hand was asked for is written nowhere, so such a job is passed over.
]]
local rcall = redis.call
local most = tonumber(ARGV[2])
local oldest
local function look(ids)
  for _, id in ipairs(ids) do
    local job = rcall('HMGET', ARGV[1] .. id, 'timestamp', 'opts', 'ats', 'processedOn')
    local since
    if (job[3] or '0') ~= '0' then
      since = tonumber(job[4])
    elseif job[1] then
      local readable, opts = pcall(cjson.decode, job[2] or '{}')
      since = tonumber(job[1]) + (readable and tonumber(opts['delay']) or 0)
    end
    if since and (not oldest or since < oldest) then oldest = since end
  end
end
look(rcall('ZRANGE', KEYS[1], 0, most - 1))
look(rcall('LRANGE', KEYS[2], -most, -1))
return oldest and string.format('%.0f', oldest)
