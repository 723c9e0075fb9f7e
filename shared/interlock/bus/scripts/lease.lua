-- Takes or renews a lease, by the server's clock alone.
-- KEYS  1 lease
-- ARGV  1 owner  2 time to live, ms  3 nonce for a new term  4 epoch that must be exceeded, if need be by a new term
--       5 epoch of the caller's last term, which a new one exceeds
-- Answers {1, epoch, nonce} when held, {0, owner, ms left} when another holds it.
-- An epoch is never below the server's clock in ms, so that it grows even across a restored dump or a flush.
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
local have = redis.call('HMGET', KEYS[1], 'owner', 'until', 'epoch', 'nonce')
local t, epoch, till = now(), tonumber(have[3] or '0') or 0, tonumber(have[2] or '0') or 0
local valid = till > t and have[4]
local ttl = tonumber(ARGV[2])
if valid and have[1] ~= ARGV[1] then
  return {0, have[1], till - t}
end
local nonce = have[4]
if not valid or epoch <= tonumber(ARGV[4]) then
  epoch, nonce = math.max(epoch + 1, t, tonumber(ARGV[4]) + 1, tonumber(ARGV[5]) + 1), ARGV[3]
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', string.format('%d', t + ttl),
  'epoch', string.format('%d', epoch), 'nonce', nonce)
redis.call('PEXPIRE', KEYS[1], ttl * 100)
return {1, epoch, nonce}
