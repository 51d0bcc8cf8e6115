-- Provider keys, sealed: one for each owner and provider. (0008 makes it ten.)
--
-- sealed: sealed bytes of a secret of 1 to 4096 characters. fingerprint: 32 bytes, equal for equal secrets of one owner
-- and provider. masked: what a person may see of the secret. Dates: milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE provider_key (
    owner_kind  TEXT COLLATE "C" NOT NULL,
    owner_id    TEXT COLLATE "C" NOT NULL,
    provider_id TEXT COLLATE "C" NOT NULL CHECK (char_length(provider_id) BETWEEN 1 AND 64),
    key_id      TEXT COLLATE "C" NOT NULL CHECK (char_length(key_id) = 30),
    masked      TEXT NOT NULL CHECK (char_length(masked) BETWEEN 1 AND 64),
    sealed      BYTEA NOT NULL CHECK (octet_length(sealed) BETWEEN 1 AND 8192),
    fingerprint BYTEA NOT NULL CHECK (octet_length(fingerprint) = 32),
    created_by  TEXT CHECK (char_length(created_by) <= 256),
    created_at  BIGINT NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    updated_at  BIGINT NOT NULL CHECK (updated_at BETWEEN 0 AND 253402300799999),
    CONSTRAINT provider_key_pkey PRIMARY KEY (owner_kind, owner_id, provider_id),
    CONSTRAINT provider_key_id UNIQUE (owner_kind, owner_id, key_id),
    CONSTRAINT provider_key_owner FOREIGN KEY (owner_kind, owner_id) REFERENCES owner (owner_kind, owner_id)
        ON DELETE CASCADE
);
