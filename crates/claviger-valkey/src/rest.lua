-- Notes that a key rests, or forgets all that was noted of it.
--
-- KEYS[1] the pool: a hash, whose fields are described in lib.rs
-- ARGV[1] for how long the pool is kept from now on, in milliseconds
-- ARGV[2] for how many models a key may rest at once
-- ARGV[3] the key's position
-- ARGV[4] the model that it rests for, or nothing where it rests as a whole
-- ARGV[5] for how many milliseconds it rests; nothing where all of it is forgotten

local KEPT, MODELS, POSITION, MODEL, REMAINING = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
local WHOLE = MODEL == ''
local FIELD = 'rest:' .. POSITION
if not WHOLE then
  FIELD = FIELD .. '/' .. MODEL
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline = now + (REMAINING or 0)

local gone = {}
-- The key's other rests for models.
local models = {}
local pool = redis.call('HGETALL', KEYS[1])
for i = 1, #pool, 2 do
  local field, value = pool[i], pool[i + 1]
  -- The position is digits alone, so that no model's name can be taken for a part of it.
  local kind, position, model = string.match(field, '^(%a+):(%d+)(.*)$')
  local mine = position == POSITION
  -- What is no deadline that we could have written is one that is long over.
  local until_then = 0
  if #value <= 15 and string.find(value, '^%d+$') and tonumber(value) <= now + KEPT then
    until_then = tonumber(value)
  end
  if kind == 'trial' then
    local tried = model == '' or WHOLE or model == '/' .. MODEL
    if until_then <= now or (mine and (not REMAINING or tried)) then
      gone[#gone + 1] = field
    end
  elseif kind == 'rest' then
    if mine and not REMAINING then
      gone[#gone + 1] = field
    elseif field == FIELD then
      deadline = math.max(deadline, until_then)
    -- Nobody asked for it all the time that a pool is kept: its key is gone, or its model.
    elseif until_then + KEPT < now then
      gone[#gone + 1] = field
    elseif mine and model ~= '' then
      models[#models + 1] = { field = field, deadline = until_then }
    end
  end
end

if REMAINING then
  if not WHOLE then
    table.sort(models, function(a, b)
      return a.deadline < b.deadline or (a.deadline == b.deadline and a.field < b.field)
    end)
    -- Those that end soonest make room.
    for i = 1, #models - MODELS + 1 do
      gone[#gone + 1] = models[i].field
    end
  end
  redis.call('HSET', KEYS[1], FIELD, string.format('%.0f', deadline))
  redis.call('PEXPIRE', KEYS[1], KEPT)
end
for _, field in ipairs(gone) do
  redis.call('HDEL', KEYS[1], field)
end
