--[[
  Clears what kept a job from running, before BullMQ's own script puts it back into the queue.

  KEYS[1]  the job's hash
  KEYS[2]  the queue's event stream
  ARGV[1]  job id
  Returns  1, -1 no such job, -2 it is still being stopped, -3 its arguments are gone
]]
local rcall = redis.call
if rcall('EXISTS', KEYS[1]) == 0 then return -1 end
if rcall('EXISTS', KEYS[1] .. ':lock') == 1 then return -2 end
if rcall('HEXISTS', KEYS[1], 'cb:gone') == 1 then return -3 end
rcall('HDEL', KEYS[1], 'cb:cancel', 'cb:failure', 'cb:artifacts', 'defa', 'stc', 'progress')
-- Workers that were lost before it are not counted again: attempts begun that neither ended nor were handed back.
local begun = rcall('HMGET', KEYS[1], 'ats', 'atm', 'cb:returned')
local lost = (tonumber(begun[1]) or 0) - (tonumber(begun[2]) or 0) - (tonumber(begun[3]) or 0)
rcall('HSET', KEYS[1], 'cb:forgiven', math.max(lost, 0))
rcall('XADD', KEYS[2], '*', 'event', 'cb:retry', 'jobId', ARGV[1])
return 1
