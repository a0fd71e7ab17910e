//! `POST /oauth/revoke`: the end of a token (RFC 7009).

use axum::extract::State;

use super::form::Form;
use super::refusal::Refusal;
use crate::Gateway;

/// Ends a token. One that nobody knows has ended, so it is a success too (section 2.2).
pub async fn end(State(gateway): State<Gateway>, mut form: Form) -> Result<(), Refusal> {
    let token = form.token()?;
    let basic = form.is_basic();
    let client = form.client()?;
    let ended = gateway.call(gateway.identity.revoke_token(client, token));
    ended
        .await
        .map_err(|error| Refusal::from_auth(error, basic))
}
