-- What lets somebody into the portal: links, each of which opens one session and is gone then, and sessions. Both go with
-- their workspace, and are forgotten some time after they expired.
--
-- pass_id: the public id; whoever shows a pass names the workspace besides, so that it is found without a directory.
-- hash: 32 bytes, of the whole text. actor: who acts in the session, in the caller's words. providers: the providers
-- that are shown, with a space between them; empty for all. return_url: where the portal leads back to. Dates:
-- milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE portal_pass (
    owner_kind TEXT COLLATE "C" NOT NULL DEFAULT 'workspace' CHECK (owner_kind = 'workspace'),
    owner_id   TEXT COLLATE "C" NOT NULL,
    pass_id    TEXT COLLATE "C" NOT NULL CHECK (char_length(pass_id) = 16),
    kind       TEXT COLLATE "C" NOT NULL CHECK (kind IN ('link', 'session')),
    hash       BYTEA NOT NULL CHECK (octet_length(hash) = 32),
    role       TEXT COLLATE "C" NOT NULL CHECK (role IN ('admin', 'member')),
    actor      TEXT CHECK (char_length(actor) BETWEEN 1 AND 256),
    providers  TEXT NOT NULL CHECK (char_length(providers) <= 16384),
    mode       TEXT COLLATE "C" NOT NULL CHECK (mode IN ('multi', 'single')),
    return_url TEXT CHECK (char_length(return_url) BETWEEN 1 AND 2048),
    created_at BIGINT NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    expires_at BIGINT NOT NULL CHECK (expires_at BETWEEN 0 AND 253402300799999),
    PRIMARY KEY (owner_kind, owner_id, pass_id),
    FOREIGN KEY (owner_kind, owner_id) REFERENCES owner (owner_kind, owner_id) ON DELETE CASCADE
);

-- Finds what is old enough to be forgotten, of all owners.
CREATE INDEX portal_pass_expires_at ON portal_pass (expires_at);
