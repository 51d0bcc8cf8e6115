-- Workspaces: the tenants of the product that runs Claviger. A workspace's owner row is made just before this one, and
-- takes it along when it goes.
--
-- created_at: milliseconds since 1970-01-01T00:00:00Z, up to the year 9999.

CREATE TABLE workspace (
    owner_kind TEXT COLLATE "C" NOT NULL DEFAULT 'workspace' CHECK (owner_kind = 'workspace'),
    owner_id   TEXT COLLATE "C" NOT NULL,
    name       TEXT CHECK (char_length(name) <= 256),
    created_at BIGINT NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    PRIMARY KEY (owner_kind, owner_id),
    FOREIGN KEY (owner_kind, owner_id) REFERENCES owner (owner_kind, owner_id) ON DELETE CASCADE
);
