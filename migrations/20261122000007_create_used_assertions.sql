-- Client assertions that were taken (RFC 7523, section 3), so that none is taken twice; a row may
-- go once the assertion has ended.
CREATE TABLE used_assertions (
    client_id  TEXT   NOT NULL REFERENCES clients (id),
    -- SHA-256 of its `jti`, in base64url.
    jti_hash   TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, jti_hash)
);
CREATE INDEX used_assertions_by_end ON used_assertions (expires_at);
