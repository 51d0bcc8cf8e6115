-- An organization's workspaces are taken out of it in portions, in the order of their ids.

DROP INDEX workspace_organization;

CREATE INDEX workspace_organization ON workspace (organization_id, owner_id) WHERE organization_id IS NOT NULL;
