--[[
  Clears what kept a job from running, before BullMQ's own script puts it back into the queue.

  KEYS[1]  the job's hash
  KEYS[2]  the queue's event stream
  ARGV[1]  job id
  Returns  1, -1 no such job, -2 it is still being stopped
]]
local rcall = redis.call
if rcall('EXISTS', KEYS[1]) == 0 then return -1 end
if rcall('EXISTS', KEYS[1] .. ':lock') == 1 then return -2 end
rcall('HDEL', KEYS[1], 'cb:cancel', 'cb:failure', 'cb:artifacts', 'defa', 'stc', 'progress')
rcall('XADD', KEYS[2], '*', 'event', 'cb:retry', 'jobId', ARGV[1])
return 1
