-- A pool: the keys of one owner for one provider. The row outlives its keys, because positions are never used again.
-- Every key that is there becomes the first of a pool.
--
-- generation: how often the pool's keys were changed. next_position: the place in creation order, from 1, that the next
-- key gets.

CREATE TABLE pool (
    owner_kind    TEXT COLLATE "C" NOT NULL,
    owner_id      TEXT COLLATE "C" NOT NULL,
    provider_id   TEXT COLLATE "C" NOT NULL CHECK (char_length(provider_id) BETWEEN 1 AND 64),
    generation    BIGINT NOT NULL CHECK (generation >= 0),
    next_position BIGINT NOT NULL CHECK (next_position >= 1),
    PRIMARY KEY (owner_kind, owner_id, provider_id),
    FOREIGN KEY (owner_kind, owner_id) REFERENCES owner (owner_kind, owner_id) ON DELETE CASCADE
);

INSERT INTO pool (owner_kind, owner_id, provider_id, generation, next_position)
SELECT owner_kind, owner_id, provider_id, 0, 2 FROM provider_key;
