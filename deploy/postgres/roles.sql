-- What the services may do, in a database that another role owns. That role runs this after
-- `fathom migrate`, and again after each later one; the services connect as fathom_app.
--
-- They add to the audit log and read it, and can neither change nor remove a row. Give the role a
-- password or another way to log in: ALTER ROLE fathom_app PASSWORD '…'.

-- The first time it takes a role that may make roles (CREATEROLE); an administrator can make
-- fathom_app beforehand.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'fathom_app') THEN
        CREATE ROLE fathom_app LOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

GRANT USAGE ON SCHEMA public TO fathom_app;

GRANT SELECT ON _sqlx_migrations TO fathom_app;

GRANT SELECT, INSERT, UPDATE ON models TO fathom_app;
GRANT SELECT, INSERT ON model_versions, model_changes TO fathom_app;
GRANT SELECT, UPDATE ON model_changes_head TO fathom_app;

GRANT SELECT, INSERT, UPDATE ON tenants, clients, api_keys, signing_keys TO fathom_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON client_secrets, limits TO fathom_app;
GRANT SELECT, INSERT, DELETE ON revoked_tokens, used_assertions TO fathom_app;

GRANT SELECT, INSERT, UPDATE ON experiments, experiment_arms TO fathom_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON experiment_requests TO fathom_app;
GRANT SELECT, INSERT ON experiment_changes TO fathom_app;

GRANT SELECT, INSERT ON audit_log TO fathom_app;
GRANT SELECT, UPDATE ON audit_head TO fathom_app;
