-- Access tokens that were ended before their time; a row may go once the token would have ended.
CREATE TABLE revoked_tokens (
    -- `jti` of the token.
    id         TEXT   NOT NULL PRIMARY KEY,
    client_id  TEXT   NOT NULL REFERENCES clients (id),
    expires_at BIGINT NOT NULL
);
CREATE INDEX revoked_tokens_by_end ON revoked_tokens (expires_at);
