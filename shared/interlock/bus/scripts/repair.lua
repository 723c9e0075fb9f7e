-- Takes away what is not of our making: a key of another type than ours. Its owner then writes the whole state anew.
-- KEYS  1 state  2 log  3 fence
local types = {'hash', 'stream', 'hash'}
local gone = 0
for i = 1, 3 do
  local kind = redis.call('TYPE', KEYS[i])['ok']
  if kind ~= 'none' and kind ~= types[i] then gone = gone + redis.call('DEL', KEYS[i]) end
end
return gone
