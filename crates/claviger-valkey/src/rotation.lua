-- Takes a pool's next turn: the rule of `turn_after` in claviger-core, which passes over the keys that rest.
--
-- KEYS[1]   the pool: a hash, whose fields are described in lib.rs
-- ARGV[1]   for how long the pool is kept from now on, in milliseconds
-- ARGV[2]   for how long a trial keeps others off its key, in milliseconds
-- ARGV[3]   the model that the turn is for, or nothing
-- ARGV[4..] the positions of the usable keys, in creation order, at least one
--
-- Answers the position whose turn it is, or nothing where all rest; 1 if it is a trial, or else 0; and then, in threes,
-- the positions that rest, for how many milliseconds yet, and 1 if it is for the model alone, or else 0.

local KEPT, TRIAL, MODEL, FIRST = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], 4

-- Only the fields that matter, so that a turn costs the same whatever else is in the pool.
local fields = { 'last' }
for i = FIRST, #ARGV do
  fields[#fields + 1] = 'rest:' .. ARGV[i]
  if MODEL ~= '' then
    fields[#fields + 1] = 'rest:' .. ARGV[i] .. '/' .. MODEL
  end
end
local values = redis.call('HMGET', KEYS[1], unpack(fields))

-- Asked for only where something rests, which is seldom.
local now
-- How long it is until a deadline, and 0 after it. Nil where there is none, or none that we could have written.
local function left(deadline, longest)
  if not deadline or #deadline > 15 or not string.find(deadline, '^%d+$') then
    return nil
  end
  if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  local left = tonumber(deadline) - now
  if left > longest then
    return nil
  end
  return math.max(left, 0)
end

local last = tonumber(values[1] or '') or 0
local answer = { '', 0 }
-- The fields that note the trials of the keys whose rest is over, by position.
local trials = {}
local first, after

-- Whether a key is passed over. It is noted in the answer, or how it is tried.
local function rests(position, whole, model)
  whole, model = left(whole, KEPT), left(model, KEPT)
  if not whole and not model then
    return false
  end
  local rest = math.max(whole or 0, model or 0)
  if rest == 0 then
    local notes, tried = {}, false
    if whole then
      notes[#notes + 1] = 'trial:' .. position
    end
    if model then
      notes[#notes + 1] = 'trial:' .. position .. '/' .. MODEL
    end
    for _, deadline in ipairs(redis.call('HMGET', KEYS[1], unpack(notes))) do
      tried = tried or (left(deadline, TRIAL) or 0) > 0
    end
    if not tried then
      trials[position] = notes
      return false
    end
  end
  answer[#answer + 1] = position
  answer[#answer + 1] = rest
  answer[#answer + 1] = (model and model > (whole or -1)) and 1 or 0
  return true
end

local step = MODEL == '' and 1 or 2
for i = FIRST, #ARGV do
  local position = ARGV[i]
  local at = 2 + (i - FIRST) * step
  local whole, model = values[at], step == 2 and values[at + 1]
  if not (whole or model) or not rests(position, whole, model) then
    first = first or position
    if not after and tonumber(position) > last then
      after = position
    end
  end
end

local turn = after or first
if turn then
  answer[1] = turn
  redis.call('HSET', KEYS[1], 'last', turn)
  for _, trial in ipairs(trials[turn] or {}) do
    answer[2] = 1
    redis.call('HSET', KEYS[1], trial, string.format('%.0f', now + TRIAL))
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return answer
