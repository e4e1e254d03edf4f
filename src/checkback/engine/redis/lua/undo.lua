--[[
  Removes a job's hash that has our fields only: what is left of an add whose first half was refused.

  KEYS[1]  the job's hash
]]
if redis.call('HEXISTS', KEYS[1], 'timestamp') == 0 then redis.call('DEL', KEYS[1]) end
return 1
