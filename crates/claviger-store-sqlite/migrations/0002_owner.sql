-- Whoever may own keys. Everything that belongs to an owner refers to this table and goes with its row, so that nothing
-- can belong to an owner that does not exist. Each kind of owner with properties of its own has a table beside this one.
--
-- owner_id: the caller's own id, 1 to 128 characters; empty for the platform, of which there is one.

CREATE TABLE owner (
    owner_kind TEXT NOT NULL CHECK (owner_kind IN ('workspace', 'organization', 'platform')),
    owner_id   TEXT NOT NULL CHECK (length(owner_id) <= 128),
    PRIMARY KEY (owner_kind, owner_id),
    CHECK ((owner_kind = 'platform') = (owner_id = ''))
) STRICT, WITHOUT ROWID;

INSERT INTO owner (owner_kind, owner_id) VALUES ('platform', '');

CREATE TRIGGER owner_platform_stays BEFORE DELETE ON owner WHEN OLD.owner_kind = 'platform'
BEGIN
    SELECT RAISE(ABORT, 'the platform always exists');
END;

-- Sealed bytes are bound to their owner's id: under another one they would not open.
CREATE TRIGGER owner_keeps_its_id BEFORE UPDATE ON owner
BEGIN
    SELECT RAISE(ABORT, 'an owner keeps its id');
END;
