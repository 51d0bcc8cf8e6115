-- How keys fare: what ails a key beyond the life of a process, whose limits it shares, and how its requests ended. Keys
-- that are there are well, and their counts begin at zero.
--
-- ailment: what ails the key, NULL for nothing. ailment_status: the status of the answer that told so, 0 for unknown.
-- ailment_since and ailment_until: since when, and when it is tried again. ailment_strikes: how often in a row. All five
-- are there or none. probe_claimed_until: until when a node probes the key, NULL for no node. domain: the account whose
-- limits the key shares, in the provider's words, 1 to 256 characters. Dates: milliseconds since 1970-01-01T00:00:00Z.
-- Counts: requests since the key was added; written some time after the requests.

ALTER TABLE provider_key ADD COLUMN ailment TEXT CHECK (ailment IN ('exhausted', 'rejected'));
ALTER TABLE provider_key ADD COLUMN ailment_status INTEGER
    CHECK (ailment_status BETWEEN 0 AND 999)
    CHECK ((ailment_status IS NULL) = (ailment IS NULL));
ALTER TABLE provider_key ADD COLUMN ailment_since INTEGER
    CHECK (ailment_since BETWEEN 0 AND 253402300799999)
    CHECK ((ailment_since IS NULL) = (ailment IS NULL));
ALTER TABLE provider_key ADD COLUMN ailment_until INTEGER
    CHECK (ailment_until BETWEEN 0 AND 253402300799999)
    CHECK ((ailment_until IS NULL) = (ailment IS NULL));
ALTER TABLE provider_key ADD COLUMN ailment_strikes INTEGER
    CHECK (ailment_strikes BETWEEN 0 AND 4294967295)
    CHECK ((ailment_strikes IS NULL) = (ailment IS NULL));
ALTER TABLE provider_key ADD COLUMN probe_claimed_until INTEGER
    CHECK (probe_claimed_until BETWEEN 0 AND 253402300799999);
ALTER TABLE provider_key ADD COLUMN domain TEXT CHECK (length(domain) BETWEEN 1 AND 256);
ALTER TABLE provider_key ADD COLUMN requests INTEGER NOT NULL DEFAULT 0 CHECK (requests >= 0);
ALTER TABLE provider_key ADD COLUMN ok INTEGER NOT NULL DEFAULT 0 CHECK (ok >= 0);
ALTER TABLE provider_key ADD COLUMN rate_limited INTEGER NOT NULL DEFAULT 0 CHECK (rate_limited >= 0);
ALTER TABLE provider_key ADD COLUMN rejected INTEGER NOT NULL DEFAULT 0 CHECK (rejected >= 0);
ALTER TABLE provider_key ADD COLUMN caller_errors INTEGER NOT NULL DEFAULT 0 CHECK (caller_errors >= 0);
ALTER TABLE provider_key ADD COLUMN provider_errors INTEGER NOT NULL DEFAULT 0 CHECK (provider_errors >= 0);

-- The few keys that wait for a probe, of all owners, by when their rest is over.
CREATE INDEX provider_key_to_probe ON provider_key (ailment_until) WHERE ailment = 'rejected';
