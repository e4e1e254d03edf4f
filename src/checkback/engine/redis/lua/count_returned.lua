--[[
  Counts attempts that were taken and not begun: a job that waits for its place, or goes back to its queue.

  KEYS[1]  the job's hash
  ARGV[1]  1, or -1 when it begins after all
  Returns  1, -1 no such job
]]
local rcall = redis.call
if rcall('EXISTS', KEYS[1]) == 0 then return -1 end
rcall('HINCRBY', KEYS[1], 'cb:returned', ARGV[1])
return 1
