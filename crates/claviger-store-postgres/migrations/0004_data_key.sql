-- The key that seals an owner's provider keys, itself sealed by the master key. It comes with the owner's first key and
-- goes only with the owner: without it the owner's sealed secrets stay sealed in every backup made afterwards.
--
-- sealed: sealed bytes. created_at: milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE data_key (
    owner_kind TEXT COLLATE "C" NOT NULL,
    owner_id   TEXT COLLATE "C" NOT NULL,
    sealed     BYTEA NOT NULL CHECK (octet_length(sealed) BETWEEN 1 AND 1024),
    created_at BIGINT NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    PRIMARY KEY (owner_kind, owner_id),
    FOREIGN KEY (owner_kind, owner_id) REFERENCES owner (owner_kind, owner_id) ON DELETE CASCADE
);
