-- Raises a fence before its owner reads anything: from here on a former owner is refused.
-- KEYS  1 fence
-- ARGV  1 epoch  2 token nonce
local refused = fenced(KEYS[1], ARGV[1], ARGV[2])
if refused then return refused end
return 1
