-- Append changes to the stream of events, or none, only to see where it ends.
-- KEYS: the stream, its epoch. ARGV: an epoch in case it has none, how many entries to keep, the changes.
-- Returns {the epoch, the id of the last entry}.
-- The epoch is drawn anew when the stream was lost, so that who reads on knows that something may be missing.
local stream, epoch = KEYS[1], redis.call('GET', KEYS[2])
if not epoch or redis.call('EXISTS', stream) == 0 then
    epoch = ARGV[1]
    redis.call('SET', KEYS[2], epoch)
    redis.call('XADD', stream, '*', 'epoch', epoch)
end
for number = 3, #ARGV do
    redis.call('XADD', stream, 'MAXLEN', '~', ARGV[2], '*', 'epoch', epoch, 'change', ARGV[number])
end
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
if not last then
    last = {redis.call('XADD', stream, '*', 'epoch', epoch)}
end
return {epoch, last[1]}
