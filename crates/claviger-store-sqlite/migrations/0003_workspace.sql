-- Workspaces: the tenants of the product that runs Claviger. A workspace's row brings its owner row and takes it along,
-- and with that everything the workspace owns.
--
-- created_at: milliseconds since 1970-01-01T00:00:00Z, up to the year 9999.

CREATE TABLE workspace (
    owner_kind TEXT NOT NULL DEFAULT 'workspace' CHECK (owner_kind = 'workspace'),
    owner_id   TEXT NOT NULL,
    name       TEXT CHECK (length(name) <= 256),
    created_at INTEGER NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    PRIMARY KEY (owner_kind, owner_id),
    FOREIGN KEY (owner_kind, owner_id) REFERENCES owner (owner_kind, owner_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TRIGGER workspace_brings_its_owner AFTER INSERT ON workspace
BEGIN
    INSERT INTO owner (owner_kind, owner_id) VALUES (NEW.owner_kind, NEW.owner_id)
    ON CONFLICT (owner_kind, owner_id) DO NOTHING;
END;

CREATE TRIGGER workspace_takes_its_owner AFTER DELETE ON workspace
BEGIN
    DELETE FROM owner WHERE owner_kind = OLD.owner_kind AND owner_id = OLD.owner_id;
END;
