-- Run every call that locks, events and counters use, once, and delete the keys again, even if a call is refused.
-- KEYS: a key for the calls of locks, one for the calls of streams, then the name of a lock and, if requests are
-- counted, that of a counter: the last two do not exist and are used without creating them.
-- ARGV: a number, the time to live in milliseconds. Returns the first refusal as an error, else 1.
local refusal
local function try(...)
    local reply = redis.pcall(...)
    if type(reply) == 'table' and reply.err and not refusal then
        refusal = reply
    end
end
try('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX')
try('GET', KEYS[1])
try('PEXPIRE', KEYS[1], ARGV[2], 'GT')
try('EXISTS', KEYS[2])
try('XADD', KEYS[2], 'MAXLEN', '~', 1, '*', 'probe', ARGV[1])
try('PEXPIRE', KEYS[2], ARGV[2])
try('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
try('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
try('XREAD', 'COUNT', 1, 'STREAMS', KEYS[2], '0-0')
try('PTTL', KEYS[1])
try('SCAN', '0', 'COUNT', 1)
if KEYS[4] then
    try('INCRBY', KEYS[1], 1)
    try('EXPIRE', KEYS[1], 1)
    try('TTL', KEYS[1])
end
for number = 3, #KEYS do
    try('GET', KEYS[number])
    try('PEXPIRE', KEYS[number], ARGV[2], 'GT')
end
try('DEL', KEYS[1], KEYS[2])
return refusal or 1
