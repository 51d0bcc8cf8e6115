-- embedded: 1 where the portal is shown in a frame of another page.

ALTER TABLE portal_pass ADD COLUMN embedded INTEGER NOT NULL DEFAULT 0 CHECK (embedded IN (0, 1));
