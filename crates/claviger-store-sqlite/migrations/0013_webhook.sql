-- Where workspaces want to be told of events. The ten slots of a workspace hold their number: an eleventh has no slot to
-- be in. A webhook's secret is sealed by the workspace's data key, so it refers to that, and both go with the workspace.
--
-- url: 1 to 2048 characters. sealed: sealed bytes of the secret that events are signed with. events: the events it
-- wants, with a space between them; empty for all. created_at: milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE webhook (
    owner_kind TEXT NOT NULL DEFAULT 'workspace' CHECK (owner_kind = 'workspace'),
    owner_id   TEXT NOT NULL,
    webhook_id TEXT NOT NULL CHECK (length(webhook_id) = 29),
    slot       INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 9),
    url        TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    sealed     BLOB NOT NULL CHECK (length(sealed) BETWEEN 1 AND 1024),
    events     TEXT NOT NULL CHECK (length(events) <= 2080),
    created_by TEXT CHECK (length(created_by) <= 256),
    created_at INTEGER NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    PRIMARY KEY (owner_kind, owner_id, webhook_id),
    UNIQUE (owner_kind, owner_id, slot),
    FOREIGN KEY (owner_kind, owner_id) REFERENCES data_key (owner_kind, owner_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What is on its way to webhooks. A row is written in the transaction of what it tells of, and goes when the webhook has
-- it or is given up.
--
-- event_id: the same for all webhooks that are told of an event. payload: JSON, without secrets. attempts: how often it
-- was claimed. next_at: when it is tried next; who claims it moves this to the claim's end, so that it is tried again
-- where nobody says how the attempt ended. Dates: milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE webhook_delivery (
    owner_kind TEXT NOT NULL DEFAULT 'workspace' CHECK (owner_kind = 'workspace'),
    owner_id   TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    event_id   TEXT NOT NULL CHECK (length(event_id) = 30),
    event      TEXT NOT NULL CHECK (length(event) BETWEEN 1 AND 64 AND instr(event, ' ') = 0),
    payload    TEXT NOT NULL CHECK (length(payload) BETWEEN 1 AND 65536),
    attempts   INTEGER NOT NULL CHECK (attempts BETWEEN 0 AND 4294967295),
    next_at    INTEGER NOT NULL CHECK (next_at BETWEEN 0 AND 253402300799999),
    created_at INTEGER NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999),
    PRIMARY KEY (owner_kind, owner_id, webhook_id, event_id),
    FOREIGN KEY (owner_kind, owner_id, webhook_id) REFERENCES webhook (owner_kind, owner_id, webhook_id)
        ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What is due, of all owners.
CREATE INDEX webhook_delivery_next_at ON webhook_delivery (next_at);
