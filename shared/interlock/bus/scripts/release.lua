-- Gives a lease back, if it is still the caller's.
-- KEYS  1 lease
-- ARGV  1 owner
if redis.call('HGET', KEYS[1], 'owner') == ARGV[1] then return redis.call('HSET', KEYS[1], 'until', '0') end
return 0
