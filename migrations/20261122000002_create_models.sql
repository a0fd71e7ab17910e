-- Models that clients can ask for; what serves them is known to the router at run time.
CREATE TABLE models (
    id             TEXT   NOT NULL PRIMARY KEY,
    owned_by       TEXT   NOT NULL,
    -- Tokens of prompt and output together.
    context_length BIGINT NOT NULL CHECK (context_length > 0),
    -- Seconds since the epoch.
    created_at     BIGINT NOT NULL
);

-- The models of the document this project is built from; change or delete them freely.
INSERT INTO models (id, owned_by, context_length, created_at) VALUES
    ('deepseek-chat', 'deepseek', 32768, 1795305600),
    ('deepseek-code', 'deepseek', 16384, 1795305600),
    ('deepseek-math', 'deepseek',  8192, 1795305600);
