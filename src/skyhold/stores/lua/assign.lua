-- Assign the locks to the order to which PostgreSQL gave the seats, away from the orders whose locks were wrong.
-- KEYS: the locks. ARGV: the order's id, the time to live in milliseconds, the orders that had the locks before.
-- A lock that a third order has acquired meanwhile stays: this call may be late. Returns the number of assigned locks.
local given = 0
for _, lock in ipairs(KEYS) do
    local owner = redis.call('GET', lock)
    local is_free = not owner or owner == ARGV[1]
    for other = 3, #ARGV do
        is_free = is_free or owner == ARGV[other]
    end
    if is_free then
        redis.call('SET', lock, ARGV[1], 'PX', ARGV[2])
        given = given + 1
    end
end
return given
