-- Do once what the scripts of locks and events do, and take it back, whichever of it is refused.
-- KEYS: a lock's and a stream's stand-in. ARGV: a value, the time to live in milliseconds.
-- Returns the first refusal as an error, else 1.
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
try('DEL', KEYS[1], KEYS[2])
return refusal or 1
