--[[
  Marks a job as cancelled, so that every answer says so from now on.

  KEYS[1]  the job's hash
  KEYS[2]  the queue's event stream
  ARGV[1]  job id
  ARGV[2]  the reason, which BullMQ's workers store as the failure of a job that has it as its deferred failure
  Returns  1 marked, 0 marked before, -1 no such job, -2 it has ended

  The marker holds the number of ended attempts, and speaks of an attempt only while the job has a deferred failure:
  a later retry has another number, or at least no deferred failure, so it is not born cancelled.
  The deferred failure makes any BullMQ worker fail the job instead of running it. Our own workers hear the event.
]]
local rcall = redis.call
local job = rcall('HMGET', KEYS[1], 'timestamp', 'finishedOn', 'atm', 'cb:cancel', 'defa')
if not job[1] then return -1 end
if job[2] then return -2 end
local made = job[3] or '0'
if job[4] == made and job[5] then return 0 end
rcall('HSET', KEYS[1], 'cb:cancel', made, 'defa', ARGV[2])
rcall('XADD', KEYS[2], '*', 'event', 'cb:cancel', 'jobId', ARGV[1])
return 1
