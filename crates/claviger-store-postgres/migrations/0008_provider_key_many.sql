-- Ten keys a pool in the place of one. The ten slots of a pool hold its size: an eleventh key has no slot to be in.
-- Slots are taken again, positions are not; the order of rotation is that of positions. A key that is there keeps its
-- id, secret and dates, and gets the first slot and position: the defaults are for these rows, and go at once.
--
-- name: 1 to 120 characters. last_used_at: milliseconds since 1970-01-01T00:00:00Z; written some time after the use,
-- and never moves back.

ALTER TABLE provider_key
    ADD COLUMN slot         SMALLINT NOT NULL DEFAULT 0 CHECK (slot BETWEEN 0 AND 9),
    ADD COLUMN position     BIGINT NOT NULL DEFAULT 1 CHECK (position >= 1),
    ADD COLUMN name         TEXT CHECK (char_length(name) BETWEEN 1 AND 120),
    ADD COLUMN enabled      BOOLEAN NOT NULL DEFAULT true,
    ADD COLUMN unreadable   BOOLEAN NOT NULL DEFAULT false,
    ADD COLUMN last_used_at BIGINT CHECK (last_used_at BETWEEN 0 AND 253402300799999);

ALTER TABLE provider_key
    ALTER COLUMN slot DROP DEFAULT,
    ALTER COLUMN position DROP DEFAULT,
    ALTER COLUMN enabled DROP DEFAULT,
    ALTER COLUMN unreadable DROP DEFAULT;

-- The new primary key keeps a pool's keys in the order of rotation, as they are read.
ALTER TABLE provider_key
    DROP CONSTRAINT provider_key_pkey,
    ADD CONSTRAINT provider_key_pkey PRIMARY KEY (owner_kind, owner_id, provider_id, position),
    ADD CONSTRAINT provider_key_slot UNIQUE (owner_kind, owner_id, provider_id, slot),
    ADD CONSTRAINT provider_key_fingerprint UNIQUE (owner_kind, owner_id, provider_id, fingerprint),
    DROP CONSTRAINT provider_key_owner,
    ADD CONSTRAINT provider_key_pool FOREIGN KEY (owner_kind, owner_id, provider_id)
        REFERENCES pool (owner_kind, owner_id, provider_id) ON DELETE CASCADE;
