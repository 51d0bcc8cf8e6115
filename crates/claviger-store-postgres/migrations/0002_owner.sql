-- Whoever may own keys. Everything that belongs to an owner refers to this table and goes with its row, so that nothing
-- can belong to an owner that does not exist. Each kind of owner with properties of its own has a table beside this one.
-- All changes of one owner wait in one line at its row here.
--
-- This and every table of what owners have begin their primary key with these two columns, and name them in every
-- unique constraint and foreign key, so that all can be partitioned or distributed by owner.
--
-- owner_id: the caller's own id, 1 to 128 characters; empty for the platform, of which there is one. Ids are ordered by
-- their bytes, whatever the database's language.

CREATE TABLE owner (
    owner_kind TEXT COLLATE "C" NOT NULL CHECK (owner_kind IN ('workspace', 'organization', 'platform')),
    owner_id   TEXT COLLATE "C" NOT NULL CHECK (char_length(owner_id) <= 128),
    PRIMARY KEY (owner_kind, owner_id),
    CHECK ((owner_kind = 'platform') = (owner_id = ''))
);

INSERT INTO owner (owner_kind, owner_id) VALUES ('platform', '');
