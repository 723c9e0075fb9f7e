-- Gives a log's memory back when the server is full. Runs on a full server (it frees before it asks).
-- KEYS  1 log
-- ARGV  1 entries to keep, about
return redis.call('XTRIM', KEYS[1], 'MAXLEN', ARGV[1])
