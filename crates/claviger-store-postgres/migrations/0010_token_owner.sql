-- Whose a token is: the directory by which a token that is shown is found, and the only table that does not begin with
-- an owner. Its rows come and go together with those of `token`. It has no foreign key, because that would go from one
-- place of a distributed table to another.

CREATE TABLE token_owner (
    token_id   TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (char_length(token_id) = 16),
    owner_kind TEXT COLLATE "C" NOT NULL,
    owner_id   TEXT COLLATE "C" NOT NULL
);

INSERT INTO token_owner (token_id, owner_kind, owner_id) SELECT token_id, owner_kind, owner_id FROM token;

ALTER TABLE token DROP CONSTRAINT token_id;
