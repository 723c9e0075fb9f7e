-- Puts a part of a large state aside; the key expires by itself should the writer die.
-- KEYS  1 staging  2 fence
-- ARGV  1 epoch  2 token nonce  3 time to live, ms  4.. field, value …
local refused = fenced(KEYS[2], ARGV[1], ARGV[2])
if refused then return refused end
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('HLEN', KEYS[1])
