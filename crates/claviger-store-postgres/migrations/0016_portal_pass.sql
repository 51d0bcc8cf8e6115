-- embedded: whether the portal is shown in a frame of another page.

ALTER TABLE portal_pass ADD COLUMN embedded BOOLEAN NOT NULL DEFAULT FALSE;
