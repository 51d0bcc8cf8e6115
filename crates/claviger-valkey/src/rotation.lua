-- Takes a pool's next turn: the rule of `turn_after` in claviger-core.
--
-- KEYS[1]   the pool: a hash with `last`, the position that was served last, and `rest:<position>`, until when the key
--           at that position rests, in milliseconds since 1970
-- ARGV[1]   for how long the pool is kept from now on, in milliseconds
-- ARGV[2..] the positions of the usable keys, in creation order, at least one
--
-- Answers the position whose turn it is, and then, in pairs, the positions that rest and until when.

local pool = redis.call('HGETALL', KEYS[1])
local last = 0
local answer = { '' }
for i = 1, #pool, 2 do
  local field = pool[i]
  if field == 'last' then
    last = tonumber(pool[i + 1]) or 0
  elseif string.sub(field, 1, 5) == 'rest:' then
    answer[#answer + 1] = string.sub(field, 6)
    answer[#answer + 1] = pool[i + 1]
  end
end

local turn = ARGV[2]
for i = 2, #ARGV do
  if tonumber(ARGV[i]) > last then
    turn = ARGV[i]
    break
  end
end

redis.call('HSET', KEYS[1], 'last', turn)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
answer[1] = turn
return answer
