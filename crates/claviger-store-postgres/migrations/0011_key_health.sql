-- How keys fare: what ails a key beyond the life of a process, whose limits it shares, and how its requests ended. Keys
-- that are there are well, and their counts begin at zero.
--
-- ailment: what ails the key, NULL for nothing. ailment_status: the status of the answer that told so, 0 for unknown.
-- ailment_since and ailment_until: since when, and when it is tried again. ailment_strikes: how often in a row. All five
-- are there or none. probe_claimed_until: until when a node probes the key, NULL for no node. domain: the account whose
-- limits the key shares, in the provider's words, 1 to 256 characters. Dates: milliseconds since 1970-01-01T00:00:00Z.
-- Counts: requests since the key was added; written some time after the requests. Their defaults stay, for nodes of an
-- older version that add keys meanwhile.

ALTER TABLE provider_key
    ADD COLUMN ailment             TEXT COLLATE "C" CHECK (ailment IN ('exhausted', 'rejected')),
    ADD COLUMN ailment_status      SMALLINT CHECK (ailment_status BETWEEN 0 AND 999),
    ADD COLUMN ailment_since       BIGINT CHECK (ailment_since BETWEEN 0 AND 253402300799999),
    ADD COLUMN ailment_until       BIGINT CHECK (ailment_until BETWEEN 0 AND 253402300799999),
    ADD COLUMN ailment_strikes     BIGINT CHECK (ailment_strikes BETWEEN 0 AND 4294967295),
    ADD COLUMN probe_claimed_until BIGINT CHECK (probe_claimed_until BETWEEN 0 AND 253402300799999),
    ADD COLUMN domain              TEXT CHECK (char_length(domain) BETWEEN 1 AND 256),
    ADD COLUMN requests            BIGINT NOT NULL DEFAULT 0 CHECK (requests >= 0),
    ADD COLUMN ok                  BIGINT NOT NULL DEFAULT 0 CHECK (ok >= 0),
    ADD COLUMN rate_limited        BIGINT NOT NULL DEFAULT 0 CHECK (rate_limited >= 0),
    ADD COLUMN rejected            BIGINT NOT NULL DEFAULT 0 CHECK (rejected >= 0),
    ADD COLUMN caller_errors       BIGINT NOT NULL DEFAULT 0 CHECK (caller_errors >= 0),
    ADD COLUMN provider_errors     BIGINT NOT NULL DEFAULT 0 CHECK (provider_errors >= 0),
    ADD CONSTRAINT provider_key_ailment
        CHECK (num_nulls(ailment, ailment_status, ailment_since, ailment_until, ailment_strikes) IN (0, 5));

-- The few keys that wait for a probe, of all owners, by when their rest is over.
CREATE INDEX provider_key_to_probe ON provider_key (ailment_until) WHERE ailment = 'rejected';
