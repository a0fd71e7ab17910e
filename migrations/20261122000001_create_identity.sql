-- One dialect for SQLite and PostgreSQL: ids and names are TEXT, times are BIGINT seconds since the
-- epoch, binary values are base64url TEXT, booleans are BIGINT 0 or 1, scopes are space-separated.

-- Customers of the platform; everything billed or limited belongs to one.
CREATE TABLE tenants (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT
);

-- OAuth2 clients: programs that act for a tenant.
CREATE TABLE clients (
    id                 TEXT   NOT NULL PRIMARY KEY,
    tenant_id          TEXT   NOT NULL REFERENCES tenants (id),
    name               TEXT   NOT NULL,
    scopes             TEXT   NOT NULL CHECK (scopes <> ''),
    self_signed_bearer BIGINT NOT NULL CHECK (self_signed_bearer IN (0, 1)),
    created_at         BIGINT NOT NULL,
    disabled_at        BIGINT,
    expires_at         BIGINT
);
CREATE INDEX clients_by_tenant ON clients (tenant_id, name);

-- Secrets of clients, sealed with master key `key_id`; several live at once while one is replaced.
CREATE TABLE client_secrets (
    id         TEXT   NOT NULL PRIMARY KEY,
    client_id  TEXT   NOT NULL REFERENCES clients (id),
    sealed     TEXT   NOT NULL,
    key_id     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX client_secrets_by_client ON client_secrets (client_id, created_at);
CREATE INDEX client_secrets_by_key ON client_secrets (key_id);

-- API keys: the public id, and the HMAC-SHA-256 of the whole key under pepper `pepper_id`.
CREATE TABLE api_keys (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant_id   TEXT   NOT NULL REFERENCES tenants (id),
    name        TEXT   NOT NULL,
    mac         TEXT   NOT NULL,
    pepper_id   TEXT   NOT NULL,
    scopes      TEXT   NOT NULL CHECK (scopes <> ''),
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT,
    disabled_at BIGINT
);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, name);
CREATE INDEX api_keys_by_pepper ON api_keys (pepper_id);

-- Keys that sign access tokens; the private half is sealed with master key `key_id`.
CREATE TABLE signing_keys (
    kid        TEXT   NOT NULL PRIMARY KEY,
    algorithm  TEXT   NOT NULL,
    public_key TEXT   NOT NULL,
    sealed     TEXT   NOT NULL,
    key_id     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);
