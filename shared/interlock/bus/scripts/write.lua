-- Changes a partition's state and logs the change, before and after, in one step.
-- KEYS  1 state  2 log  3 fence
-- ARGV  1 epoch  2 token nonce  3 nonce of the version this writer goes by ('' = the state is missing)
--       4 nonce of the new version  5 new generation ('' = go on with the present one)  6 complete ('1' or '')
--       7 origin ('' = none)  8 schema  9 head  10 age to keep, ms  11 bytes to keep
--       12 '1' to confirm: log an entry even where nothing differs
--       13.. field, value ('' = remove) …
-- Answers {generation, seq, nonce}, or {} where nothing differed. Errors: FENCED <epoch>, DIVERGED <key>.
local refused = fenced(KEYS[3], ARGV[1], ARGV[2])
if refused then return refused end

local have = redis.call('HMGET', KEYS[1], '@gen', '@seq', '@nonce', '@complete', '@off')
if (have[3] or '') ~= ARGV[3] then return redis.error_reply('DIVERGED ' .. KEYS[1]) end
if not have[1] and ARGV[5] == '' then return redis.error_reply('DIVERGED ' .. KEYS[1]) end

local entry, size, n = {}, string.len(ARGV[9]), 0
for i = 13, #ARGV, 2 do
  local field, after = ARGV[i], ARGV[i + 1]
  local before = redis.call('HGET', KEYS[1], field) or ''
  if before ~= after then
    entry[#entry + 1] = 'f' .. n
    entry[#entry + 1] = field
    entry[#entry + 1] = 'b' .. n
    entry[#entry + 1] = before
    entry[#entry + 1] = 'a' .. n
    entry[#entry + 1] = after
    size = size + string.len(field) + string.len(before) + string.len(after)
    n = n + 1
  end
end
local complete = have[4] or ''
if ARGV[6] ~= '' then complete = ARGV[6] end
if n == 0 and ARGV[12] == '' and ARGV[5] == '' and complete == (have[4] or '') then
  if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], '@from', ARGV[7]) end
  return {}
end

local gen, seq = have[1], (tonumber(have[2] or '0') or 0) + 1
if ARGV[5] ~= '' then gen, seq = ARGV[5], 1 end
local fields = {
  'v', ARGV[8], 'kind', 'delta', 'gen', gen, 'seq', string.format('%d', seq), 'nonce', ARGV[4], 'prev', ARGV[3],
  'complete', complete, 'head', ARGV[9], 'epoch', ARGV[1],
}
for i = 1, #entry do fields[#fields + 1] = entry[i] end
local id, off = append(KEYS[2], fields, size, tonumber(have[5] or ''), tonumber(ARGV[10]), tonumber(ARGV[11]))
-- The log first: should it refuse, nothing has been changed.
for i = 1, #entry, 6 do
  local field, after = entry[i + 1], entry[i + 5]
  if after == '' then redis.call('HDEL', KEYS[1], field) else redis.call('HSET', KEYS[1], field, after) end
end
redis.call('HSET', KEYS[1], '@gen', gen, '@seq', string.format('%d', seq), '@nonce', ARGV[4], '@log', id,
  '@off', string.format('%d', off), '@epoch', ARGV[1])
if complete ~= '' then redis.call('HSET', KEYS[1], '@complete', complete) end
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], '@from', ARGV[7]) end
return {gen, string.format('%d', seq), ARGV[4]}
