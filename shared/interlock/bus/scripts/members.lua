-- Says that a worker of a pool lives, forgets those whose time is over, and answers who lives, by the server's clock.
-- KEYS  1 members
-- ARGV  1 worker  2 time to live, ms; 0 for one that leaves
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
local t, ttl = now(), tonumber(ARGV[2])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', t + ttl))
redis.call('PEXPIRE', KEYS[1], ttl * 100 + 1000)
local all, living = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  if (tonumber(all[i + 1]) or 0) > t then
    living[#living + 1] = all[i]
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return living
