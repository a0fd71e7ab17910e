ALTER TABLE tenants ADD COLUMN expires_at BIGINT;

-- Models it may know of and ask, space-separated; NULL: all.
ALTER TABLE clients ADD COLUMN models TEXT;
-- How it says who it is at the token endpoint: client_secret, client_secret_jwt, private_key_jwt.
ALTER TABLE clients ADD COLUMN method TEXT NOT NULL DEFAULT 'client_secret';
-- Whether its assertions may name the token endpoint as audience.
ALTER TABLE clients ADD COLUMN token_endpoint_audience BIGINT NOT NULL DEFAULT 0;
-- Public keys of private_key_jwt, a JWK set (RFC 7517).
ALTER TABLE clients ADD COLUMN jwks TEXT;

ALTER TABLE api_keys ADD COLUMN models TEXT;

-- Of the keys of one algorithm, the one with the latest `signs_from` that has come signs.
ALTER TABLE signing_keys ADD COLUMN signs_from BIGINT NOT NULL DEFAULT 0;

-- A secret is hashed (argon2id, PHC string), or sealed with master key `key_id` if its client
-- signs with it.
CREATE TABLE client_secrets_2 (
    id         TEXT   NOT NULL PRIMARY KEY,
    client_id  TEXT   NOT NULL REFERENCES clients (id),
    hash       TEXT,
    sealed     TEXT,
    key_id     TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    CHECK ((hash IS NULL) = (sealed IS NOT NULL)),
    CHECK ((sealed IS NULL) = (key_id IS NULL))
);
INSERT INTO client_secrets_2 (id, client_id, sealed, key_id, created_at, expires_at)
    SELECT id, client_id, sealed, key_id, created_at, expires_at FROM client_secrets;
DROP TABLE client_secrets;
ALTER TABLE client_secrets_2 RENAME TO client_secrets;
CREATE INDEX client_secrets_by_client ON client_secrets (client_id, created_at);
CREATE INDEX client_secrets_by_key ON client_secrets (key_id);
