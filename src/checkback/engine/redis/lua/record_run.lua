--[[
  Remembers how long a run of a kind took, the newest first.

  KEYS[1]  the hash of all kinds' runs
  ARGV[1]  kind
  ARGV[2]  the run as JSON: its milliseconds, and pairs of a phase and the milliseconds after the start
  ARGV[3]  how many are remembered
]]
local rcall = redis.call
-- Each run is a separate line, so that nothing has to be decoded here.
local kept = rcall('HGET', KEYS[1], ARGV[1]) or ''
local lines, count = {ARGV[2]}, 1
for line in string.gmatch(kept, '[^\n]+') do
  if count == tonumber(ARGV[3]) then break end
  count = count + 1
  lines[count] = line
end
rcall('HSET', KEYS[1], ARGV[1], table.concat(lines, '\n'))
return count
