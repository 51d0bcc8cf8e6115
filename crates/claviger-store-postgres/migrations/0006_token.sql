-- Tokens that callers show, without their secrets. A token of one workspace belongs to that workspace and goes with it;
-- a service token belongs to the platform. The public id is looked up alone, so it is unique among all owners. (0010
-- moves that into a table of its own.)
--
-- hash: 32 bytes, of the whole token. Dates: milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE token (
    owner_kind TEXT COLLATE "C" NOT NULL,
    owner_id   TEXT COLLATE "C" NOT NULL,
    token_id   TEXT COLLATE "C" NOT NULL CHECK (char_length(token_id) = 16),
    hash       BYTEA NOT NULL CHECK (octet_length(hash) = 32),
    name       TEXT NOT NULL CHECK (char_length(name) <= 256),
    role       TEXT NOT NULL CHECK (role IN ('service', 'admin', 'member', 'runtime')),
    reveal     BOOLEAN NOT NULL,
    expires_at BIGINT CHECK (expires_at BETWEEN 0 AND 253402300799999),
    created_at BIGINT NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    PRIMARY KEY (owner_kind, owner_id, token_id),
    CONSTRAINT token_id UNIQUE (token_id),
    CHECK (owner_kind = CASE role WHEN 'service' THEN 'platform' ELSE 'workspace' END),
    FOREIGN KEY (owner_kind, owner_id) REFERENCES owner (owner_kind, owner_id) ON DELETE CASCADE
);
