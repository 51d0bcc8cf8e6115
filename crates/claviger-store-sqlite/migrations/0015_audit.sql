-- The audit trail: for each owner a chain of entries, from 1 on without a gap, and its head. Neither refers to the owner,
-- which they outlive. Entries are never changed; only a copy of a whole deployment takes any away.
--
-- at: milliseconds since 1970-01-01T00:00:00Z. actor: who, in the caller's words. details: a JSON object, kept to the
-- byte. hash: 32 bytes, SHA-256 over the entry and the hash before it.

CREATE TABLE audit_entry (
    owner_kind  TEXT NOT NULL CHECK (owner_kind IN ('workspace', 'organization', 'platform')),
    owner_id    TEXT NOT NULL,
    sequence    INTEGER NOT NULL CHECK (sequence > 0),
    at          INTEGER NOT NULL CHECK (at BETWEEN 0 AND 253402300799999),
    actor       TEXT NOT NULL,
    action      TEXT NOT NULL,
    target      TEXT NOT NULL,
    provider_id TEXT,
    details     TEXT NOT NULL,
    hash        BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (owner_kind, owner_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_head (
    owner_kind TEXT NOT NULL CHECK (owner_kind IN ('workspace', 'organization', 'platform')),
    owner_id   TEXT NOT NULL,
    sequence   INTEGER NOT NULL CHECK (sequence > 0),
    hash       BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (owner_kind, owner_id)
) STRICT, WITHOUT ROWID;
