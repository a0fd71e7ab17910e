-- Every change to identities, one row each; rows are added and never changed. `mac` is the
-- HMAC-SHA-256, under audit key `key_id`, of the row and of the `mac` before it.
CREATE TABLE audit_log (
    -- From 1, without gaps, in the order of commits.
    position  BIGINT NOT NULL PRIMARY KEY,
    at        BIGINT NOT NULL,
    -- `key:<id>`, `client:<id>`, `operator:<user>` or `system`.
    actor     TEXT   NOT NULL,
    -- For example `key.create`.
    action    TEXT   NOT NULL,
    tenant_id TEXT,
    -- Id of what was changed.
    target    TEXT   NOT NULL,
    -- The change as JSON, without any secret.
    details   TEXT   NOT NULL,
    key_id    TEXT   NOT NULL,
    mac       TEXT   NOT NULL
);

-- The end of the log: one row, which every change locks first, so that changes have one order.
CREATE TABLE audit_head (
    id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    position BIGINT NOT NULL,
    mac      TEXT   NOT NULL
);
INSERT INTO audit_head (id, position, mac) VALUES (1, 0, '');
