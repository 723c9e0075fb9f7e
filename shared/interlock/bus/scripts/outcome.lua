-- Keeps a proxy's outcome until its heartbeat is over, and logs it where it says something new.
-- KEYS  1 outcomes  2 log
-- ARGV  1 proxy  2 time to live, ms  3 frame  4 '1' to log it  5 age to keep, ms  6 bytes to keep  7 ms after which
--       the outcome of a proxy that is silent is forgotten
local t = now()
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d:', t + tonumber(ARGV[2])) .. ARGV[3])
if ARGV[4] == '1' then
  append(KEYS[2], {'proxy', ARGV[1], 'd', ARGV[3]}, string.len(ARGV[3]), nil, tonumber(ARGV[5]), tonumber(ARGV[6]))
end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local expires = tonumber(string.match(all[i + 1], '^(%d+):') or '0') or 0
  if expires + tonumber(ARGV[7]) < t then redis.call('HDEL', KEYS[1], all[i]) end
end
return 1
