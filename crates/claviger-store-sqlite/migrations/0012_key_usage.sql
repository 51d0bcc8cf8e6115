-- How the requests of a key ended, hour by hour. The rows go with their key.
--
-- hour: when the hour began, in milliseconds since 1970-01-01T00:00:00Z. Counts: requests of that hour; written some
-- time after the requests, and added to until then.

CREATE TABLE key_usage (
    owner_kind      TEXT NOT NULL,
    owner_id        TEXT NOT NULL,
    key_id          TEXT NOT NULL,
    hour            INTEGER NOT NULL CHECK (hour BETWEEN 0 AND 253402300799999 AND hour % 3600000 = 0),
    requests        INTEGER NOT NULL CHECK (requests >= 0),
    ok              INTEGER NOT NULL CHECK (ok >= 0),
    rate_limited    INTEGER NOT NULL CHECK (rate_limited >= 0),
    rejected        INTEGER NOT NULL CHECK (rejected >= 0),
    caller_errors   INTEGER NOT NULL CHECK (caller_errors >= 0),
    provider_errors INTEGER NOT NULL CHECK (provider_errors >= 0),
    -- By key and not by hour first, so that a key's rows lie together: it takes them along, and an owner has few keys.
    PRIMARY KEY (owner_kind, owner_id, key_id, hour),
    FOREIGN KEY (owner_kind, owner_id, key_id) REFERENCES provider_key (owner_kind, owner_id, key_id)
        ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Finds what is old enough to be forgotten, of all owners.
CREATE INDEX key_usage_hour ON key_usage (hour);
