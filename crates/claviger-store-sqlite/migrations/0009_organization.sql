-- Organizations: parents of workspaces, which inherit their keys. Like a workspace's, an organization's row brings its
-- owner row and takes it along, and with that everything the organization owns.
--
-- keys_enabled: whether it lends its keys to its workspaces. created_at: milliseconds since 1970-01-01T00:00:00Z, up to
-- the year 9999.

CREATE TABLE organization (
    owner_kind   TEXT NOT NULL DEFAULT 'organization' CHECK (owner_kind = 'organization'),
    owner_id     TEXT NOT NULL,
    name         TEXT CHECK (length(name) <= 256),
    keys_enabled INTEGER NOT NULL DEFAULT 1 CHECK (keys_enabled IN (0, 1)),
    created_at   INTEGER NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    PRIMARY KEY (owner_kind, owner_id),
    -- What a workspace refers to.
    UNIQUE (owner_id),
    FOREIGN KEY (owner_kind, owner_id) REFERENCES owner (owner_kind, owner_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TRIGGER organization_brings_its_owner AFTER INSERT ON organization
BEGIN
    INSERT INTO owner (owner_kind, owner_id) VALUES (NEW.owner_kind, NEW.owner_id)
    ON CONFLICT (owner_kind, owner_id) DO NOTHING;
END;

CREATE TRIGGER organization_takes_its_owner AFTER DELETE ON organization
BEGIN
    DELETE FROM owner WHERE owner_kind = OLD.owner_kind AND owner_id = OLD.owner_id;
END;

-- The organization that a workspace belongs to exists; one that goes leaves its workspaces, which then belong to none.
ALTER TABLE workspace ADD COLUMN organization_id TEXT REFERENCES organization (owner_id) ON DELETE SET NULL;

-- Finds an organization's workspaces when it goes.
CREATE INDEX workspace_organization ON workspace (organization_id);
