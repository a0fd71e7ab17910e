-- Comparisons of ways to answer for a model; who is in which arm follows from the salt.
CREATE TABLE experiments (
    name               TEXT   NOT NULL PRIMARY KEY,
    model_id           TEXT   NOT NULL,
    state              TEXT   NOT NULL CHECK (state IN ('running', 'stopped')),
    -- Makes the shares of one experiment independent of those of any other.
    salt               TEXT   NOT NULL,
    -- Guard rail: an arm that is worse than the first one by more than this is stopped, in
    -- millionths of the error rate and of a score.
    max_error_increase BIGINT NOT NULL,
    max_score_decrease BIGINT NOT NULL,
    -- Seconds since the epoch.
    created_at         BIGINT NOT NULL
);

-- A request is in one experiment at most.
CREATE UNIQUE INDEX experiments_running ON experiments (model_id) WHERE state = 'running';

-- What an experiment compares, with sums over all routers.
CREATE TABLE experiment_arms (
    experiment             TEXT   NOT NULL REFERENCES experiments (name),
    name                   TEXT   NOT NULL,
    -- From 0, which is the arm that the others are compared with.
    position               BIGINT NOT NULL,
    -- Its share is this part of the sum of all weights.
    weight                 BIGINT NOT NULL CHECK (weight > 0),
    -- Sampling parameters, as a JSON object.
    parameters             TEXT   NOT NULL,
    -- A version of the model; NULL: the one that everybody gets.
    version                BIGINT,
    -- When its requests went over to arm 0, in seconds since the epoch; NULL: they did not.
    stopped_at             BIGINT,
    requests               BIGINT NOT NULL DEFAULT 0,
    errors                 BIGINT NOT NULL DEFAULT 0,
    tokens                 BIGINT NOT NULL DEFAULT 0,
    -- Requests that had a first token, and the times that these took.
    first_tokens           BIGINT NOT NULL DEFAULT 0,
    first_token_ms         BIGINT NOT NULL DEFAULT 0,
    first_token_ms_squared BIGINT NOT NULL DEFAULT 0,
    duration_ms            BIGINT NOT NULL DEFAULT 0,
    -- Requests that were scored; scores and their squares in millionths.
    scores                 BIGINT NOT NULL DEFAULT 0,
    score_sum              BIGINT NOT NULL DEFAULT 0,
    score_squares          BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (experiment, name)
);

-- Requests of late that were in an experiment, so that they can be scored.
CREATE TABLE experiment_requests (
    request_id TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL,
    experiment TEXT   NOT NULL,
    arm        TEXT   NOT NULL,
    -- Seconds since the epoch.
    at         BIGINT NOT NULL,
    -- In millionths; NULL: it was not scored.
    score      BIGINT,
    -- Seconds since the epoch.
    scored_at  BIGINT
);

CREATE INDEX experiment_requests_by_time ON experiment_requests (at);

-- Who changed an experiment, and why.
CREATE TABLE experiment_changes (
    experiment TEXT   NOT NULL REFERENCES experiments (name),
    -- '': all of the experiment.
    arm        TEXT   NOT NULL,
    change     TEXT   NOT NULL CHECK (change IN ('created', 'stopped')),
    -- Seconds since the epoch.
    at         BIGINT NOT NULL,
    who        TEXT   NOT NULL,
    why        TEXT   NOT NULL,
    PRIMARY KEY (experiment, arm, change)
);
