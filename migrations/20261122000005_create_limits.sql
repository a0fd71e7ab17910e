-- How much a tenant, a client or a key may use, of one model or of all; NULL amounts are unlimited.
CREATE TABLE limits (
    tenant_id                  TEXT NOT NULL REFERENCES tenants (id),
    -- A client or API key; '': all of the tenant's together.
    subject                    TEXT NOT NULL,
    -- A model; '': all together.
    model_id                   TEXT NOT NULL,
    concurrent_requests        BIGINT,
    requests_per_minute        BIGINT,
    tokens_per_minute          BIGINT,
    budget_micro_usd_per_day   BIGINT,
    budget_micro_usd_per_month BIGINT,
    PRIMARY KEY (tenant_id, subject, model_id)
);
