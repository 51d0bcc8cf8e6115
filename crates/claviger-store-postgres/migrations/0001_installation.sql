-- What exists once for the whole installation: the canary by which a master key is proven, and the hash of the root
-- token that was made at the first start. The row is made here, so that storing is an update that can only fill a gap.
--
-- canary: sealed bytes. root_token_hash: 32 bytes.

CREATE TABLE installation (
    id              SMALLINT NOT NULL PRIMARY KEY CHECK (id = 1),
    canary          BYTEA CHECK (octet_length(canary) BETWEEN 1 AND 1024),
    root_token_hash BYTEA CHECK (octet_length(root_token_hash) = 32)
);

INSERT INTO installation (id) VALUES (1);
