-- Two more kinds of change: 'organization', and 'everything', for what cannot be named in a few rows. SQLite cannot
-- alter a CHECK, so the table is made anew.
--
-- Processes of an older version may be reading it meanwhile. Rows and numbers stay, so they miss nothing; and where
-- they come upon a kind that they do not know, their watch ends with an error, upon which they keep nothing in memory
-- and begin anew.
--
-- seq: grows without gaps and is never used again, so that a reader notices when it missed rows.

CREATE TABLE change_log_next (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL CHECK (kind IN ('pool', 'token', 'workspace', 'organization', 'everything')),
    owner_kind  TEXT,
    owner_id    TEXT,
    provider_id TEXT,
    token_id    TEXT,
    CHECK ((owner_kind IS NOT NULL) = (kind IN ('pool', 'workspace', 'organization'))),
    CHECK ((owner_id IS NOT NULL) = (kind IN ('pool', 'workspace', 'organization'))),
    CHECK ((provider_id IS NOT NULL) = (kind = 'pool')),
    CHECK ((token_id IS NOT NULL) = (kind = 'token'))
) STRICT;

INSERT INTO change_log_next (seq, kind, owner_kind, owner_id, provider_id, token_id)
SELECT seq, kind, owner_kind, owner_id, provider_id, token_id FROM change_log;

-- The last number that was given out goes along, also where its row is gone: AUTOINCREMENT keeps it here, by the
-- table's name. Dropping a table drops its number, and renaming one renames it.
DELETE FROM sqlite_sequence WHERE name = 'change_log_next';
UPDATE sqlite_sequence SET name = 'change_log_next' WHERE name = 'change_log';

DROP TABLE change_log;
ALTER TABLE change_log_next RENAME TO change_log;

-- Keeps the last 10,000 changes: days of them, where a reader is behind by a fraction of a second. Once in a hundred
-- rows is often enough, and costs the others nothing.
CREATE TRIGGER change_log_is_short AFTER INSERT ON change_log WHEN NEW.seq % 100 = 0
BEGIN
    DELETE FROM change_log WHERE seq <= NEW.seq - 10000;
END;
