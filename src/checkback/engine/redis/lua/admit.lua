--[[
  Decides whether a new job may come in; the first command of the MULTI that adds it.

  KEYS[1]  the job's hash
  KEYS[2]  the queue's waiting list
  KEYS[3]  the queue's prioritized set
  KEYS[4]  the queue's delayed set
  KEYS[5]  the owner's jobs that have not ended
  KEYS[6]  set while the disk budget is used up
  KEYS[7]  set while the owner's part of the disk is
  KEYS[8]  how many bytes the jobs of each owner take in the store
  ARGV[1]  how many jobs the owner may have that have not ended; 0: any number
  ARGV[2]  how many jobs may wait in the queue; 0: any number
  ARGV[3]  "1" only to ask: for a job that exists and is to run again
  ARGV[4]  "1" where the owner's part of the disk does not matter
  ARGV[5]  owner
  ARGV[6]  how many bytes the owner's jobs may take in the store; 0: any number
  ARGV[7]  how many this job adds
  Returns  1 come in, 0 it is there already, -1 too many of this owner, -2 the queue is full, -3 the disk is,
           -4 the owner's part of the disk is, -5 the owner's part of the store is

  A MULTI cannot stop halfway. A job that is refused gets a hash with nothing but cb:refused, so that BullMQ's own
  script takes it for one that is there and adds nothing; index_job.lua removes that hash, at the end of the same MULTI.
]]
local rcall = redis.call
if ARGV[3] ~= '1' and rcall('EXISTS', KEYS[1]) == 1 then return 0 end
local owners, queues = tonumber(ARGV[1]), tonumber(ARGV[2])
local verdict = 1
if rcall('EXISTS', KEYS[6]) == 1 then
  verdict = -3
elseif queues > 0 and rcall('LLEN', KEYS[2]) + rcall('ZCARD', KEYS[3]) + rcall('ZCARD', KEYS[4]) >= queues then
  verdict = -2
elseif ARGV[4] ~= '1' and rcall('EXISTS', KEYS[7]) == 1 then
  verdict = -4
elseif owners > 0 and rcall('ZCARD', KEYS[5]) >= owners then
  verdict = -1
elseif tonumber(ARGV[6]) > 0
  and (tonumber(rcall('HGET', KEYS[8], ARGV[5])) or 0) + tonumber(ARGV[7]) > tonumber(ARGV[6]) then
  verdict = -5
end
if verdict < 0 and ARGV[3] ~= '1' then rcall('HSET', KEYS[1], 'cb:refused', 1) end
return verdict
