-- Organizations: parents of workspaces, whose keys they inherit. As with workspaces, the owner row comes first and takes
-- this one along.
--
-- keys_enabled: whether it lends its keys. created_at: milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE organization (
    owner_kind   TEXT COLLATE "C" NOT NULL DEFAULT 'organization' CHECK (owner_kind = 'organization'),
    owner_id     TEXT COLLATE "C" NOT NULL,
    name         TEXT CHECK (char_length(name) <= 256),
    keys_enabled BOOLEAN NOT NULL,
    created_at   BIGINT NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    PRIMARY KEY (owner_kind, owner_id),
    FOREIGN KEY (owner_kind, owner_id) REFERENCES owner (owner_kind, owner_id) ON DELETE CASCADE
);

-- No foreign key, because it would go from one owner to another: whoever stores it looks whether the organization is
-- there and keeps it there until the commit, and whoever deletes an organization clears it.
ALTER TABLE workspace ADD COLUMN organization_id TEXT COLLATE "C"
    CHECK (char_length(organization_id) BETWEEN 1 AND 128);

CREATE INDEX workspace_organization ON workspace (organization_id) WHERE organization_id IS NOT NULL;
