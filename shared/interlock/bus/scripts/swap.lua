-- Makes a staged state the present one, in one step, and logs one entry that tells every reader to read it anew.
-- KEYS  1 state  2 log  3 fence  4 staging
-- ARGV  1 epoch  2 token nonce  3 nonce gone by  4 new nonce  5 new generation ('' = go on)  6 complete
--       7 origin  8 schema  9 head  10 age to keep, ms  11 bytes to keep  12 '1' to confirm (it always does)  13 fields that must have been staged
-- Answers {generation, seq, nonce}. Errors: FENCED <epoch>, DIVERGED <key>, STAGING <have> of <want>.
local refused = fenced(KEYS[3], ARGV[1], ARGV[2])
if refused then return refused end
local have = redis.call('HMGET', KEYS[1], '@gen', '@seq', '@nonce', '@complete', '@off', '@from')
if (have[3] or '') ~= ARGV[3] then return redis.error_reply('DIVERGED ' .. KEYS[1]) end
local staged = redis.call('HLEN', KEYS[4])
if staged ~= tonumber(ARGV[13]) then
  return redis.error_reply('STAGING ' .. staged .. ' of ' .. ARGV[13] .. ' fields')
end
local gen, seq = have[1], (tonumber(have[2] or '0') or 0) + 1
if ARGV[5] ~= '' then gen, seq = ARGV[5], 1 end
if not gen then return redis.error_reply('DIVERGED ' .. KEYS[1]) end
local complete = have[4] or ''
if ARGV[6] ~= '' then complete = ARGV[6] end
local fields = {
  'v', ARGV[8], 'kind', 'resync', 'gen', gen, 'seq', string.format('%d', seq), 'nonce', ARGV[4], 'prev', ARGV[3],
  'complete', complete, 'head', ARGV[9], 'epoch', ARGV[1],
}
local id, off = append(KEYS[2], fields, string.len(ARGV[9]), tonumber(have[5] or ''), tonumber(ARGV[10]),
  tonumber(ARGV[11]))
local origin = ARGV[7]
if origin == '' then origin = have[6] or '' end
redis.call('HSET', KEYS[4], '@gen', gen, '@seq', string.format('%d', seq), '@nonce', ARGV[4], '@log', id,
  '@off', string.format('%d', off), '@epoch', ARGV[1])
if complete ~= '' then redis.call('HSET', KEYS[4], '@complete', complete) end
if origin ~= '' then redis.call('HSET', KEYS[4], '@from', origin) end
redis.call('PERSIST', KEYS[4])
redis.call('RENAME', KEYS[4], KEYS[1])
return {gen, string.format('%d', seq), ARGV[4]}
