-- Append changes to the stream of events; without changes, only return its end.
-- KEYS: the stream, its epoch. ARGV: an epoch in case it has none, the number of entries to keep, the changes.
-- Returns {the epoch, the id of the last entry}.
-- The epoch is replaced when the stream was lost, so that a reader detects that entries may be missing.
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
