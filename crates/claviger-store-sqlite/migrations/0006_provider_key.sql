-- Provider keys, sealed. The ten slots of a pool hold its size: an eleventh key has no slot to be in. Slots are taken
-- again, positions are not; the order of rotation is that of positions.
--
-- sealed: sealed bytes of a secret of 1 to 4096 characters. fingerprint: 32 bytes, equal for equal secrets of a pool.
-- masked: what a person may see of the secret. name: 1 to 120 characters. Dates: milliseconds since
-- 1970-01-01T00:00:00Z. last_used_at is written some time after the use, and never moves back.

CREATE TABLE provider_key (
    owner_kind   TEXT NOT NULL,
    owner_id     TEXT NOT NULL,
    provider_id  TEXT NOT NULL,
    key_id       TEXT NOT NULL CHECK (length(key_id) = 30),
    slot         INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 9),
    position     INTEGER NOT NULL CHECK (position >= 1),
    name         TEXT CHECK (length(name) BETWEEN 1 AND 120),
    masked       TEXT NOT NULL CHECK (length(masked) BETWEEN 1 AND 64),
    sealed       BLOB NOT NULL CHECK (length(sealed) BETWEEN 1 AND 8192),
    fingerprint  BLOB NOT NULL CHECK (length(fingerprint) = 32),
    enabled      INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    unreadable   INTEGER NOT NULL CHECK (unreadable IN (0, 1)),
    created_by   TEXT CHECK (length(created_by) <= 256),
    created_at   INTEGER NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    updated_at   INTEGER NOT NULL CHECK (updated_at BETWEEN 0 AND 253402300799999),
    last_used_at INTEGER CHECK (last_used_at BETWEEN 0 AND 253402300799999),
    -- Keeps a pool's keys side by side in the order of rotation, as they are read.
    PRIMARY KEY (owner_kind, owner_id, provider_id, position),
    UNIQUE (owner_kind, owner_id, key_id),
    UNIQUE (owner_kind, owner_id, provider_id, slot),
    UNIQUE (owner_kind, owner_id, provider_id, fingerprint),
    FOREIGN KEY (owner_kind, owner_id, provider_id) REFERENCES pool (owner_kind, owner_id, provider_id)
        ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
