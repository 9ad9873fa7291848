-- Lock all the seats for one order, or none of them.
-- KEYS: the locks. ARGV: the order's id, the time to live in milliseconds.
-- Returns {1, the locks that did not exist before...} or {0, the other orders that have one of them...}.
-- A lock that the order already has is never shortened: the order may be paying.
local fresh, others = {1}, {0}
for _, lock in ipairs(KEYS) do
    local owner = redis.call('GET', lock)
    if not owner then
        fresh[#fresh + 1] = lock
    elseif owner ~= ARGV[1] then
        others[#others + 1] = owner
    end
end
if #others > 1 then
    return others
end
for _, lock in ipairs(KEYS) do
    if not redis.call('SET', lock, ARGV[1], 'PX', ARGV[2], 'NX') then
        redis.call('PEXPIRE', lock, ARGV[2], 'GT')
    end
end
return fresh
