use std::sync::Arc;

use fake::{Fake, api_key, client, entry, limit, secret, signing_keys, tenant};
use serde_json::{Value, json};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};

use super::*;
use crate::administration::{
    Administration, ApiKeyPatch, AuditPage, ClientMethod, ClientPatch, NewApiKey, NewClient,
    NewClientSecret, NewTenant, Page, TenantPatch,
};
use crate::identity::{LimitTarget, Scope, Scopes};

mod fake;

/// Runs `test` with a client of `fake` over a real socket.
async fn over_grpc(fake: &Arc<Fake>, test: impl AsyncFnOnce(AdministrationClient, Caller)) {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}", incoming.local_addr().unwrap());
    let server = Server::builder()
        .add_service(AdministrationServer::new(fake.clone()))
        .serve_with_incoming(incoming);
    let channel: Channel = Endpoint::from_shared(address).unwrap().connect_lazy();
    let client = AdministrationClient::new(channel);
    tokio::select! {
        result = server => panic!("the server ended: {result:?}"),
        () = test(client, Caller("sk-of-the-caller".into())) => {}
    }
}

fn scopes() -> Scopes {
    [Scope::Inference, Scope::Admin].into_iter().collect()
}

fn page() -> Page {
    Page {
        after: Some("acme".into()),
        limit: Some(7),
    }
}

#[tokio::test]
async fn questions_and_answers_survive_the_wire() {
    let fake = Arc::new(Fake::default());
    over_grpc(&fake, async |port, caller| {
        let caller = &caller;
        let of = || Some("acme".into());

        let new = NewTenant {
            id: "acme".into(),
            name: "Acme".into(),
            expires_at: Some(9),
        };
        let sent = json!(new);
        assert_eq!(port.create_tenant(caller, new).await.unwrap(), tenant());
        assert_eq!(fake.heard(), ("create_tenant", sent));
        assert_eq!(port.tenants(caller, page()).await.unwrap(), [tenant()]);
        assert_eq!(fake.heard(), ("tenants", json!(page())));
        assert_eq!(port.tenant(caller, "acme").await.unwrap(), tenant());
        assert_eq!(fake.heard(), ("tenant", json!("acme")));

        let new = NewClient {
            tenant: "acme".into(),
            name: "App".into(),
            scopes: scopes(),
            models: Some(vec!["deepseek-chat".into()]),
            method: ClientMethod::PrivateKeyJwt,
            self_signed_bearer: true,
            token_endpoint_audience: true,
            jwks: Some(json!({"keys": []})),
            expires_at: Some(9),
        };
        let sent = json!(new);
        let made = port.create_client(caller, new).await.unwrap();
        assert_eq!(made.made, client());
        assert!(made.secret.is_none());
        assert_eq!(fake.heard(), ("create_client", sent));
        assert_eq!(
            port.clients(caller, of(), page()).await.unwrap(),
            [client()]
        );
        assert_eq!(fake.heard(), ("clients", json!(["acme", page()])));
        assert_eq!(port.client(caller, "c-1").await.unwrap(), client());
        assert_eq!(fake.heard(), ("client", json!("c-1")));
        let new = NewClientSecret {
            expires_at: Some(9),
        };
        let made = port.add_client_secret(caller, "c-1", new).await.unwrap();
        assert_eq!(made.made, secret());
        assert_eq!(made.secret.unwrap().expose_secret(), "cs-text");
        assert_eq!(
            fake.heard(),
            ("add_client_secret", json!(["c-1", {"expires_at": 9}]))
        );
        port.remove_client_secret(caller, "c-1", "s-1")
            .await
            .unwrap();
        assert_eq!(
            fake.heard(),
            ("remove_client_secret", json!(["c-1", "s-1"]))
        );

        let new = NewApiKey {
            tenant: "acme".into(),
            name: "App".into(),
            scopes: scopes(),
            models: Some(vec![]),
            expires_at: None,
        };
        let sent = json!(new);
        let made = port.create_key(caller, new).await.unwrap();
        assert_eq!(made.made, api_key());
        assert_eq!(made.secret.unwrap().expose_secret(), "sk-text");
        assert_eq!(fake.heard(), ("create_key", sent));
        assert_eq!(port.keys(caller, None, page()).await.unwrap(), [api_key()]);
        assert_eq!(fake.heard(), ("keys", json!([null, page()])));
        assert_eq!(port.key(caller, "k-1").await.unwrap(), api_key());
        assert_eq!(fake.heard(), ("key", json!("k-1")));

        assert_eq!(port.limits(caller, of()).await.unwrap(), [limit()]);
        assert_eq!(fake.heard(), ("limits", json!("acme")));
        assert_eq!(port.set_limit(caller, limit()).await.unwrap(), limit());
        assert_eq!(fake.heard(), ("set_limit", json!(limit())));
        let target = LimitTarget {
            tenant: "acme".into(),
            subject: None,
            model: Some("deepseek-chat".into()),
        };
        port.remove_limit(caller, target.clone()).await.unwrap();
        assert_eq!(fake.heard(), ("remove_limit", json!(target)));

        assert_eq!(port.signing_keys(caller).await.unwrap(), signing_keys());
        assert_eq!(fake.heard(), ("signing_keys", Value::Null));
        let key = port.rotate_signing_key(caller).await.unwrap();
        assert_eq!(key, signing_keys()[0]);
        assert_eq!(fake.heard(), ("rotate_signing_key", Value::Null));
        let key = port.retire_signing_key(caller, "kid-1").await.unwrap();
        assert_eq!(key, signing_keys()[3]);
        assert_eq!(fake.heard(), ("retire_signing_key", json!("kid-1")));

        let page = AuditPage {
            after: 3,
            limit: Some(2),
        };
        assert_eq!(port.audit(caller, page).await.unwrap(), [entry()]);
        assert_eq!(fake.heard(), ("audit", json!(page)));
    })
    .await;
}

/// A field that is absent stays, one that is null goes, one with a value is set.
#[tokio::test]
async fn changes_tell_absent_from_null() {
    let fake = Arc::new(Fake::default());
    over_grpc(&fake, async |port, caller| {
        for patch in [
            json!({}),
            json!({"expires_at": null}),
            json!({"name": "Acme", "disabled": false, "expires_at": 9}),
        ] {
            let sent: TenantPatch = serde_json::from_value(patch.clone()).unwrap();
            port.update_tenant(&caller, "acme", sent).await.unwrap();
            assert_eq!(fake.heard(), ("update_tenant", json!(["acme", patch])));
        }
        for patch in [
            json!({}),
            json!({"models": null, "expires_at": null}),
            json!({"models": [], "scopes": ["inference"], "disabled": true, "expires_at": 9}),
        ] {
            let sent: ApiKeyPatch = serde_json::from_value(patch.clone()).unwrap();
            port.update_key(&caller, "k-1", sent).await.unwrap();
            assert_eq!(fake.heard(), ("update_key", json!(["k-1", patch])));
        }
        for patch in [
            json!({}),
            json!({"models": null, "expires_at": null}),
            json!({
                "name": "App",
                "models": ["deepseek-chat"],
                "scopes": ["admin"],
                "self_signed_bearer": false,
                "token_endpoint_audience": true,
                "jwks": {"keys": [{"kty": "OKP"}]},
                "disabled": false,
                "expires_at": 9,
            }),
        ] {
            let sent: ClientPatch = serde_json::from_value(patch.clone()).unwrap();
            port.update_client(&caller, "c-1", sent).await.unwrap();
            assert_eq!(fake.heard(), ("update_client", json!(["c-1", patch])));
        }
    })
    .await;
}

#[tokio::test]
async fn errors_and_the_credential_survive_the_wire() {
    let fake = Arc::new(Fake::default());
    over_grpc(&fake, async |port, _| {
        for code in ErrorCode::ALL {
            let refused = Caller(code.row().name.into());
            let error = port.tenant(&refused, "acme").await.unwrap_err();
            assert_eq!(error.code, code);
            assert_eq!(error.param.as_deref(), Some("caller"));
        }
        // What no header can hold never leaves.
        let error = port
            .tenant(&Caller("sk-\n".into()), "acme")
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Unauthenticated);
    })
    .await;
}

#[test]
fn a_call_without_a_credential_is_refused_and_one_with_it_does_not_show_it() {
    let status = opened(Request::new(())).unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    let request = signed(&Caller("sk-canary".into()), ()).unwrap();
    assert!(!format!("{request:?}").contains("canary"));
    let (Caller(bearer), ()) = opened(request).unwrap();
    assert_eq!(bearer.expose_secret(), "sk-canary");
}
