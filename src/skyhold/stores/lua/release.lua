-- Delete the order's locks; locks of other orders stay. KEYS: the locks. ARGV: the order's id. Returns the number
-- of deleted locks.
local gone = 0
for _, lock in ipairs(KEYS) do
    if redis.call('GET', lock) == ARGV[1] then
        gone = gone + redis.call('DEL', lock)
    end
end
return gone
