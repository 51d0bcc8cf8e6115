-- A pool: the keys of one owner for one provider. The row outlives its keys, because positions are never used again.
--
-- generation: how often the pool's keys were changed. next_position: the place in creation order, from 1, that the next
-- key gets.

CREATE TABLE pool (
    owner_kind    TEXT NOT NULL,
    owner_id      TEXT NOT NULL,
    provider_id   TEXT NOT NULL CHECK (length(provider_id) BETWEEN 1 AND 64),
    generation    INTEGER NOT NULL CHECK (generation >= 0),
    next_position INTEGER NOT NULL CHECK (next_position >= 1),
    PRIMARY KEY (owner_kind, owner_id, provider_id),
    FOREIGN KEY (owner_kind, owner_id) REFERENCES owner (owner_kind, owner_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TRIGGER pool_never_goes_back BEFORE UPDATE ON pool
WHEN NEW.next_position < OLD.next_position OR NEW.generation < OLD.generation
BEGIN
    SELECT RAISE(ABORT, 'a position is never used again');
END;
