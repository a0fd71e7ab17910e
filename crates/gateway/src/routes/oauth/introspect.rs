//! `POST /oauth/introspect`: what a token is good for (RFC 7662).

use axum::Json;
use axum::extract::State;
use fathom_api::oauth::Introspection;

use super::form::Form;
use super::refusal::Refusal;
use crate::Gateway;

/// Describes a token. One that is unknown, over or not the asking client's is `active: false`.
pub async fn answer(
    State(gateway): State<Gateway>,
    mut form: Form,
) -> Result<Json<Introspection>, Refusal> {
    let token = form.token()?;
    let basic = form.is_basic();
    let client = form.client()?;
    let found = gateway.call(gateway.identity.introspect(client, token));
    let found = found
        .await
        .map_err(|error| Refusal::from_auth(error, basic))?;
    let Some(found) = found else {
        return Ok(Json(Introspection::default()));
    };
    // Issuer and audience are in access tokens alone, and all of these have the same.
    let set = gateway.identities.key_set();
    let set = set.filter(|_| found.token_id.is_some());
    Ok(Json(Introspection {
        active: true,
        scope: Some(found.scopes.to_string()),
        client_id: Some(found.subject.clone()),
        sub: Some(found.subject),
        token_type: Some("Bearer".to_owned()),
        exp: found.expires_at,
        iat: found.issued_at,
        iss: set.as_ref().map(|set| set.issuer.clone()),
        aud: set.as_ref().map(|set| set.audience.clone()),
        jti: found.token_id,
    }))
}
