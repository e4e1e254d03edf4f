--[[
  One job as it stands now: state and fields in one atomic step, so that "completed" never comes without its result.

  KEYS     the job's hash in each queue, tried in turn
  ARGV[1]  job id
  ARGV[2]  "1" to read the arguments too
  ARGV[3]  whose the job must be, or "" for anybody's; another owner's is as one that does not exist, and takes as long
  Returns  {place of the queue from 1, state word of BullMQ, field values in the order of JobFields in jobs/codec.py},
           or nil where no queue has the job.

  The names of a queue's lists are made from the hash's own name; on a cluster the prefix holds them in one slot.
  Finished jobs are found by their end time, running ones by their lock: neither needs a search through a list.
]]
local rcall = redis.call
local id = ARGV[1]
local whose = ARGV[3] or ''

local function state_of(prefix, key, finished)
  if finished then
    if rcall('ZSCORE', prefix .. 'completed', id) then return 'completed' end
    if rcall('ZSCORE', prefix .. 'failed', id) then return 'failed' end
  end
  if rcall('EXISTS', key .. ':lock') == 1 then return 'active' end
  if rcall('ZSCORE', prefix .. 'delayed', id) then return 'delayed' end
  if rcall('ZSCORE', prefix .. 'prioritized', id) then return 'waiting' end
  if rcall('LPOS', prefix .. 'active', id) then return 'active' end
  if rcall('ZSCORE', prefix .. 'completed', id) then return 'completed' end
  if rcall('ZSCORE', prefix .. 'failed', id) then return 'failed' end
  -- In a list: waiting, or paused by an older BullMQ; or it waits for children.
  return 'waiting'
end

for place, key in ipairs(KEYS) do
  if rcall('EXISTS', key) == 1 then
    if whose ~= '' and (rcall('HGET', key, 'cb:owner') or 'local') ~= whose then return nil end
    local fields = rcall('HMGET', key, 'timestamp', 'name', 'progress', 'returnvalue', 'failedReason', 'processedOn',
      'finishedOn', 'atm', 'ats', 'stc', 'opts', 'defa', 'cb:owner', 'cb:failure', 'cb:artifacts', 'cb:cancel',
      'cb:deadline', 'cb:args', 'cb:returned', 'cb:read', 'cb:gone', ARGV[2] == '1' and 'data' or 'cb:none')
    if fields[1] then
      local prefix = string.sub(key, 1, #key - #id)
      return {place, state_of(prefix, key, fields[7]), fields}
    end
  end
end
return nil
