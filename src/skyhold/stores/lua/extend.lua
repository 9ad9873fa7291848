-- Extend the TTL of the order's locks; locks of other orders, and missing locks, stay as they are.
-- KEYS: the locks. ARGV: the order's id, the time to live in milliseconds. Returns the number of the order's locks.
local own = 0
for _, lock in ipairs(KEYS) do
    if redis.call('GET', lock) == ARGV[1] then
        redis.call('PEXPIRE', lock, ARGV[2], 'GT')
        own = own + 1
    end
end
return own
