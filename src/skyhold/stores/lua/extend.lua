-- Give the order's locks a longer life; locks of others, and locks that are gone, stay as they are.
-- KEYS: the locks. ARGV: the order's id, the time to live in milliseconds. Returns how many were the order's.
local own = 0
for _, lock in ipairs(KEYS) do
    if redis.call('GET', lock) == ARGV[1] then
        redis.call('PEXPIRE', lock, ARGV[2], 'GT')
        own = own + 1
    end
end
return own
