//! Credentials to try the platform with: a tenant `demo`, and a file that a shell can source.

use std::path::Path;

use fathom_proto::administration::{
    ApiKeyPatch, ClientMethod, ClientPatch, NewApiKey, NewClient, NewTenant,
};
use fathom_proto::id::TenantId;
use fathom_proto::identity::{ClientAuthentication, ClientProof, Scope, Scopes, TokenRequest};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{Actor, Auth, Error, private_file};

const TENANT: &str = "demo";
/// Name of the client and of the key that call models.
const NAME: &str = "demo";
const ADMIN_NAME: &str = "demo-admin";

const BASE_URL: &str = "FATHOM_BASE_URL";
const CLIENT_ID: &str = "FATHOM_CLIENT_ID";
const CLIENT_SECRET: &str = "FATHOM_CLIENT_SECRET";
const API_KEY: &str = "FATHOM_API_KEY";
const ADMIN_KEY: &str = "FATHOM_ADMIN_KEY";

/// What the file holds, one `NAME=value` line each.
#[derive(Clone, Debug)]
pub struct DemoCredentials {
    /// `FATHOM_BASE_URL`: address of the gateway.
    pub base_url: String,
    /// `FATHOM_CLIENT_ID`: a client that asks and lists models and may sign its own bearers.
    pub client_id: String,
    /// `FATHOM_CLIENT_SECRET`: its secret.
    pub client_secret: SecretString,
    /// `FATHOM_API_KEY`: an API key that asks and lists models.
    pub api_key: SecretString,
    /// `FATHOM_ADMIN_KEY`: an API key with every scope.
    pub admin_key: SecretString,
}

/// Keeps the file at `path` in step with the database: credentials that work are kept, else all
/// are made anew and the former ones of the same names disabled. The base URL is the configured
/// one. The file has mode 0600.
///
/// # Errors
/// A file that is unreadable or exposed, or a database that fails.
pub async fn ensure_demo(auth: &Auth, path: &Path) -> Result<DemoCredentials, Error> {
    let found = private_file::read(path).await?;
    let base_url = &auth.inner.config.public_url;
    let kept = found
        .as_ref()
        .and_then(|text| parse(text.expose_secret(), base_url));
    let credentials = match kept {
        Some(credentials) if work(auth, &credentials).await? => credentials,
        _ => mint(auth).await?,
    };
    let text = render(&credentials);
    if found.is_none_or(|found| found.expose_secret() != text.expose_secret()) {
        private_file::replace(path, &text).await?;
    }
    Ok(credentials)
}

/// Whether all of the credentials are accepted.
async fn work(auth: &Auth, credentials: &DemoCredentials) -> Result<bool, Error> {
    let request = TokenRequest {
        client: ClientAuthentication {
            client_id: Some(credentials.client_id.clone()),
            proof: ClientProof::Secret(credentials.client_secret.clone()),
            address: None,
        },
        scopes: None,
    };
    Ok(accepted(auth.grant(&request).await)?
        && accepted(auth.identify(credentials.api_key.expose_secret()).await.1)?
        && accepted(auth.identify(credentials.admin_key.expose_secret()).await.1)?)
}

fn accepted<T>(result: Result<T, Error>) -> Result<bool, Error> {
    match result {
        Ok(_) => Ok(true),
        Err(Error::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes new credentials. The former ones go first, so that a stop in between leaves no live
/// credential that nobody knows.
async fn mint(auth: &Auth) -> Result<DemoCredentials, Error> {
    let tenant = NewTenant {
        id: TenantId::from(TENANT),
        name: "Demo".to_owned(),
        expires_at: None,
    };
    match auth.create_tenant(&Actor::System, tenant).await {
        Ok(_) | Err(Error::TenantExists(_)) => {}
        Err(error) => return Err(error),
    }
    disable_former(auth).await?;

    let (tenant, name) = (TenantId::from(TENANT), NAME.to_owned());
    let scopes = Scopes::from_iter([Scope::Inference, Scope::ModelsRead]);
    let client = NewClient {
        tenant: tenant.clone(),
        name: name.clone(),
        scopes,
        models: None,
        method: ClientMethod::ClientSecret,
        self_signed_bearer: true,
        token_endpoint_audience: false,
        jwks: None,
        expires_at: None,
    };
    let key = NewApiKey {
        tenant,
        name,
        scopes,
        models: None,
        expires_at: None,
    };
    let admin_key = NewApiKey {
        name: ADMIN_NAME.to_owned(),
        scopes: Scopes::from_iter(Scope::ALL),
        ..key.clone()
    };
    let client = auth.create_client(&Actor::System, client).await?;
    let key = auth.create_key(&Actor::System, key).await?;
    let admin_key = auth.create_key(&Actor::System, admin_key).await?;
    Ok(DemoCredentials {
        base_url: auth.inner.config.public_url.clone(),
        client_id: client.made.id,
        client_secret: client.secret.unwrap_or_default(),
        api_key: key.secret.unwrap_or_default(),
        admin_key: admin_key.secret.unwrap_or_default(),
    })
}

/// Switches off the clients and keys that earlier runs made.
async fn disable_former(auth: &Auth) -> Result<(), Error> {
    let store = &auth.inner.store;
    for id in store.live_client_ids(TENANT, NAME).await? {
        let patch = ClientPatch {
            disabled: Some(true),
            ..ClientPatch::default()
        };
        auth.update_client(&Actor::System, &id, patch).await?;
    }
    for name in [NAME, ADMIN_NAME] {
        for id in store.live_key_ids(TENANT, name).await? {
            let patch = ApiKeyPatch {
                disabled: Some(true),
                ..ApiKeyPatch::default()
            };
            auth.update_key(&Actor::System, &id, patch).await?;
        }
    }
    Ok(())
}

/// The credentials in the text of a file; the base URL in it is not looked at.
fn parse(text: &str, base_url: &str) -> Option<DemoCredentials> {
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(str::to_owned)
    };
    Some(DemoCredentials {
        base_url: base_url.to_owned(),
        client_id: value(CLIENT_ID)?,
        client_secret: value(CLIENT_SECRET)?.into(),
        api_key: value(API_KEY)?.into(),
        admin_key: value(ADMIN_KEY)?.into(),
    })
}

fn render(credentials: &DemoCredentials) -> SecretString {
    let lines = [
        (BASE_URL, quoted(&credentials.base_url)),
        (CLIENT_ID, credentials.client_id.clone()),
        (
            CLIENT_SECRET,
            credentials.client_secret.expose_secret().to_owned(),
        ),
        (API_KEY, credentials.api_key.expose_secret().to_owned()),
        (ADMIN_KEY, credentials.admin_key.expose_secret().to_owned()),
    ];
    lines
        .map(|(name, value)| format!("{name}={value}\n"))
        .concat()
        .into()
}

/// The value as one word of a shell. Plain where it can be: not every reader of such files knows
/// quotes. Ids and secrets never need them.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_word_to_a_shell() {
        assert_eq!(quoted("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(quoted("http://a/?b=c&d;$(e)"), "'http://a/?b=c&d;$(e)'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let credentials = DemoCredentials {
            base_url: "http://127.0.0.1:8080".to_owned(),
            client_id: "id".to_owned(),
            client_secret: "secret".into(),
            api_key: "sk-1".into(),
            admin_key: "sk-2".into(),
        };
        let text = render(&credentials);
        let read = parse(text.expose_secret(), &credentials.base_url).unwrap();
        assert_eq!(render(&read).expose_secret(), text.expose_secret());
        let cut = text.expose_secret().replace(API_KEY, "OTHER");
        assert!(parse(&cut, "").is_none());
    }
}
