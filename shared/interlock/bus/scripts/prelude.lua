-- What the scripts share. KEYS and ARGV are documented at the top of each script.

-- Refuses a smaller token than the partition has seen, and keeps a larger one. Answers an error reply or nil.
local function fenced(key, epoch, nonce)
  local seen = redis.call('HMGET', key, 'epoch', 'nonce')
  local top = (tonumber(seen[1] or '0') or 0)
  local mine = tonumber(epoch)
  if mine < top or (mine == top and seen[2] and seen[2] ~= nonce) then
    return redis.error_reply('FENCED ' .. string.format('%d', top))
  end
  if mine > top then redis.call('HSET', key, 'epoch', epoch, 'nonce', nonce) end
  return nil
end

-- The server's clock in milliseconds.
local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- The bytes logged up to a log's newest entry; 0 for an empty log.
local function logged(log)
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if last then
    for i = 1, #last[2], 2 do if last[2][i] == 'off' then return tonumber(last[2][i + 1]) or 0 end end
  end
  return 0
end

-- Appends `fields` to the log and trims it by age and by bytes. Answers the entry's id and the bytes logged so far.
-- The bytes of an entry are what we put into it; every entry says how many there are up to itself, so that the log's
-- size is the difference of its ends, give or take an entry. `off`: the bytes so far, nil where the state that knew
-- is gone; its log may not be.
local function append(log, fields, size, off, age_ms, most_bytes)
  off = (off or logged(log)) + size
  fields[#fields + 1] = 'off'
  fields[#fields + 1] = string.format('%d', off)
  local id = redis.call('XADD', log, 'MINID', '~', string.format('%d', now() - age_ms), '*', unpack(fields))
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  for i = 1, #first[2], 2 do
    if first[2][i] == 'off' then
      local held = off - (tonumber(first[2][i + 1]) or off) + size
      if held > most_bytes then
        local keep = math.floor(redis.call('XLEN', log) * most_bytes / held)
        redis.call('XTRIM', log, 'MAXLEN', '~', string.format('%d', math.max(keep, 1)))
      end
    end
  end
  return id, off
end
