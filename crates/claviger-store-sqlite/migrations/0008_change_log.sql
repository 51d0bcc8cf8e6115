-- What changed lately, for other processes on this file: they drop from memory what is named here. Written in the
-- transaction of the change itself. Not a history: old rows go.
--
-- seq: grows without gaps and is never used again, so that a reader notices when it missed rows.

CREATE TABLE change_log (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL CHECK (kind IN ('pool', 'token', 'workspace')),
    owner_kind  TEXT,
    owner_id    TEXT,
    provider_id TEXT,
    token_id    TEXT,
    CHECK ((owner_kind IS NOT NULL) = (kind IN ('pool', 'workspace'))),
    CHECK ((owner_id IS NOT NULL) = (kind IN ('pool', 'workspace'))),
    CHECK ((provider_id IS NOT NULL) = (kind = 'pool')),
    CHECK ((token_id IS NOT NULL) = (kind = 'token'))
) STRICT;

-- Keeps the last 10,000 changes: days of them, where a reader is behind by a fraction of a second. Once in a hundred
-- rows is often enough, and costs the others nothing.
CREATE TRIGGER change_log_is_short AFTER INSERT ON change_log WHEN NEW.seq % 100 = 0
BEGIN
    DELETE FROM change_log WHERE seq <= NEW.seq - 10000;
END;
