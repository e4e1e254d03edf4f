--[[
  Notes that somebody was given the result of a job, as long as the job is there.

  KEYS[1]  the job's hash
  Returns  1 noted, -1 no such job
]]
local rcall = redis.call
local finished = rcall('HGET', KEYS[1], 'finishedOn')
if not finished then return -1 end
-- The time of this end: after a retry the next result is unread again.
rcall('HSET', KEYS[1], 'cb:read', finished)
return 1
