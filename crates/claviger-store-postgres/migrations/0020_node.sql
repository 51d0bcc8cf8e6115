-- The nodes that run, each as it said of itself last: so that no master key comes into use that one of them does not
-- have. What was not said for 30 seconds counts no more, and goes when another node says something.
--
-- node_id: random bytes, made at the node's start. name: for people. since, seen_at: when it said so first and last, in
-- milliseconds since 1970-01-01T00:00:00Z, by the database's clock. master_keys: the 8 bytes each by which sealed bytes
-- name a key, one after the other.

CREATE TABLE node (
    node_id     BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(node_id) = 16),
    name        TEXT COLLATE "C" NOT NULL,
    since       BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    master_keys BYTEA NOT NULL CHECK (octet_length(master_keys) > 0 AND octet_length(master_keys) % 8 = 0)
);
