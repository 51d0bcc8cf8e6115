-- Which master key each data key is sealed under: bytes 3 to 10 of its sealed form name it, so no column can ever say
-- something else. A rotation finds here what is left to do, and a start whether a master key is missing, without
-- reading all owners.

CREATE INDEX data_key_master_key ON data_key (substr(sealed, 3, 8), owner_kind, owner_id);

-- The master keys that were in use before the one of today, each by the canary that it sealed. By them a start tells a
-- master key that was withdrawn too early from a damaged row, which names one that never was.
--
-- master_key_id: the 8 bytes by which sealed bytes name the key. canary: sealed bytes.

CREATE TABLE former_master_key (
    master_key_id BLOB NOT NULL PRIMARY KEY CHECK (length(master_key_id) = 8),
    canary        BLOB NOT NULL CHECK (length(canary) BETWEEN 1 AND 1024)
) STRICT, WITHOUT ROWID;
