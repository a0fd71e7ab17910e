-- The model that answers when no worker of this one can.
ALTER TABLE models ADD COLUMN fallback TEXT;
-- Whether a second worker is asked when the first is slow to begin.
ALTER TABLE models ADD COLUMN hedging BIGINT NOT NULL DEFAULT 0 CHECK (hedging IN (0, 1));
-- Number of the version that answers; NULL: the model has none and is served under its own name.
ALTER TABLE models ADD COLUMN stable BIGINT;
-- Numbers of the versions that a rollback reaches, space-separated, the next one first.
ALTER TABLE models ADD COLUMN previous TEXT NOT NULL DEFAULT '';
-- Number of the version that is tried out; NULL: none is, and the next three are NULL too.
ALTER TABLE models ADD COLUMN canary BIGINT;
-- Users of 100 that it answers.
ALTER TABLE models ADD COLUMN canary_percent BIGINT CHECK (canary_percent BETWEEN 1 AND 99);
-- What ends it, as JSON.
ALTER TABLE models ADD COLUMN canary_guard TEXT;
-- When it began.
ALTER TABLE models ADD COLUMN canary_since BIGINT;
-- Id of the last change; 0: it is as it was made here.
ALTER TABLE models ADD COLUMN last_change BIGINT NOT NULL DEFAULT 0;

-- What can answer under a model's name. Rows are added and never changed.
CREATE TABLE model_versions (
    model_id   TEXT   NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    -- From 1, without gaps.
    number     BIGINT NOT NULL CHECK (number > 0),
    -- The name that workers announce.
    target     TEXT   NOT NULL,
    -- Sampling where a request does not say, as JSON.
    parameters TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    note       TEXT   NOT NULL,
    PRIMARY KEY (model_id, number)
);

-- Every change to models, one row each. Rows are added and never changed, and outlive the model.
CREATE TABLE model_changes (
    -- From 1, without gaps, in the order of commits: the version of the whole configuration.
    id         BIGINT NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    -- `<tenant>/<client or key>`, `operator:<user>`, or `fathom-router`.
    actor      TEXT   NOT NULL,
    -- For example `deploy`.
    action     TEXT   NOT NULL,
    model_id   TEXT   NOT NULL,
    -- The model's state before and after, as JSON.
    from_state TEXT   NOT NULL,
    to_state   TEXT   NOT NULL,
    why        TEXT   NOT NULL
);
CREATE INDEX model_changes_by_model ON model_changes (model_id, id);

-- The last change: one row, which every change locks first, so that changes have one order.
CREATE TABLE model_changes_head (
    id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    position BIGINT NOT NULL
);
INSERT INTO model_changes_head (id, position) VALUES (1, 0);
