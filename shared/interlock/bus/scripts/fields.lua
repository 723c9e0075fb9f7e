-- Sets fields of a hash that has no log (a region's facts, a cluster's held policies), by its owner only.
-- KEYS  1 hash  2 fence
-- ARGV  1 epoch  2 token nonce  3.. field, value ('' = remove) …
local refused = fenced(KEYS[2], ARGV[1], ARGV[2])
if refused then return refused end
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i]) else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return 1
