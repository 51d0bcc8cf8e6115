-- Sessions of the operator's console: each belongs to the platform, and is forgotten some time after it expired.
--
-- session_id: the public id. hash: 32 bytes, of the whole text. root: 32 bytes, of the session's id and the root token's
-- hash, so that a session ends when the root token becomes another one. Dates: milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE console_session (
    owner_kind TEXT COLLATE "C" NOT NULL DEFAULT 'platform' CHECK (owner_kind = 'platform'),
    owner_id   TEXT COLLATE "C" NOT NULL DEFAULT '',
    session_id TEXT COLLATE "C" NOT NULL CHECK (char_length(session_id) = 16),
    hash       BYTEA NOT NULL CHECK (octet_length(hash) = 32),
    root       BYTEA NOT NULL CHECK (octet_length(root) = 32),
    created_at BIGINT NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    expires_at BIGINT NOT NULL CHECK (expires_at BETWEEN 0 AND 253402300799999),
    PRIMARY KEY (owner_kind, owner_id, session_id),
    FOREIGN KEY (owner_kind, owner_id) REFERENCES owner (owner_kind, owner_id) ON DELETE CASCADE
);

-- Finds workspaces by how their names begin, whatever the case of ASCII's letters.
CREATE INDEX workspace_name ON workspace (lower(name COLLATE "C"), owner_id);
