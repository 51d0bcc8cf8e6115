-- Tokens that callers show, without their secrets. A token of one workspace belongs to that workspace and goes with it;
-- a service token belongs to the platform. The public id is looked up alone, so it is unique among all owners.
--
-- hash: 32 bytes, of the whole token. Dates: milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE token (
    owner_kind TEXT NOT NULL,
    owner_id   TEXT NOT NULL,
    token_id   TEXT NOT NULL CHECK (length(token_id) = 16),
    hash       BLOB NOT NULL CHECK (length(hash) = 32),
    name       TEXT NOT NULL CHECK (length(name) <= 256),
    role       TEXT NOT NULL CHECK (role IN ('service', 'admin', 'member', 'runtime')),
    reveal     INTEGER NOT NULL CHECK (reveal IN (0, 1)),
    expires_at INTEGER CHECK (expires_at BETWEEN 0 AND 253402300799999),
    created_at INTEGER NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    PRIMARY KEY (owner_kind, owner_id, token_id),
    UNIQUE (token_id),
    CHECK (owner_kind = CASE role WHEN 'service' THEN 'platform' ELSE 'workspace' END),
    FOREIGN KEY (owner_kind, owner_id) REFERENCES owner (owner_kind, owner_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
