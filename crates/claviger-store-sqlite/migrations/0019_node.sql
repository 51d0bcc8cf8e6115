-- The nodes that run, each as it said of itself last: so that no master key comes into use that one of them does not
-- have. What was not said for 30 seconds counts no more, and goes when another node says something.
--
-- node_id: random bytes, made at the node's start. name: for people. since, seen_at: when it said so first and last, in
-- milliseconds since 1970-01-01T00:00:00Z, by the database's clock. master_keys: the 8 bytes each by which sealed bytes
-- name a key, one after the other.

CREATE TABLE node (
    node_id     BLOB NOT NULL PRIMARY KEY CHECK (length(node_id) = 16),
    name        TEXT NOT NULL,
    since       INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    master_keys BLOB NOT NULL CHECK (length(master_keys) > 0 AND length(master_keys) % 8 = 0)
) STRICT, WITHOUT ROWID;
