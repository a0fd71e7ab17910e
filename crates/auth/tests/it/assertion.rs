use fathom_proto::ErrorCode;
use fathom_proto::identity::ClientAuthentication;
use futures::future::join_all;
use jsonwebtoken::Algorithm;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::harness::{Database, Home, now, on_both_databases};
use crate::oauth::{Signer, assert_refused, by_assertion, by_secret, issue};

on_both_databases!(
    a_client_gets_a_token_for_what_it_signed,
    an_assertion_for_another_audience_is_refused,
    an_assertion_is_taken_once,
    of_many_copies_at_once_one_is_taken,
    two_clients_may_use_one_name,
    an_assertion_that_is_large_or_lives_long_is_refused,
    a_client_that_signs_too_many_must_wait,
    an_assertion_that_the_client_did_not_make_is_refused,
    an_assertion_is_no_bearer_and_no_secret,
    a_client_that_is_switched_off_cannot_assert
);

const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::EdDSA,
    Algorithm::ES256,
    Algorithm::RS256,
    Algorithm::PS256,
];

async fn attempt(home: &Home, assertion: &str) -> Result<(), fathom_proto::Error> {
    issue(&home.auth, by_assertion(assertion)).await.map(drop)
}

async fn a_client_gets_a_token_for_what_it_signed(database: Database) {
    let home = Home::on(database).await;
    let mut signers = vec![Signer::with_secret(&home).await];
    for algorithm in ALGORITHMS {
        signers.push(Signer::with_key(&home, algorithm).await);
    }
    for signer in &signers {
        let token = issue(&home.auth, by_assertion(&signer.assertion(&home, "1"))).await;
        let token = token.unwrap();
        let principal = home.authenticate(token.expose_secret()).await.unwrap();
        assert_eq!(principal.subject, signer.id);
        let named = |id: &str, jti| ClientAuthentication {
            client_id: Some(id.to_owned()),
            ..by_assertion(&signer.assertion(&home, jti))
        };
        issue(&home.auth, named(&signer.id, "2")).await.unwrap();
        assert_refused(
            issue(&home.auth, named("other", "3")).await,
            "another client is named beside it",
        );
    }
}

/// SEC-5: an assertion is for us, by the one name that we have.
async fn an_assertion_for_another_audience_is_refused(database: Database) {
    let home = Home::on(database).await;
    let signer = Signer::with_key(&home, Algorithm::EdDSA).await;
    let issuer = home.config.issuer.as_str();
    let endpoint = format!("{issuer}/oauth/token");
    let with = |aud: Value, jti: &str| {
        let mut claims = signer.claims(&home, jti);
        claims["aud"] = aud;
        signer.sign(&claims)
    };
    let wrong = [
        json!([issuer]),
        json!([issuer, "https://elsewhere.example"]),
        json!([endpoint]),
        json!([]),
        json!(null),
        json!(""),
        json!(format!("{issuer}/")),
        json!(issuer.to_uppercase()),
        json!("https://other.example"),
        json!(format!("{issuer}.evil.example")),
        json!(format!("{issuer}/oauth/token/")),
        json!(format!("{issuer}/oauth/introspect")),
        json!(home.config.audience),
    ];
    for aud in wrong.iter().chain([&json!(endpoint)]) {
        assert_refused(
            attempt(&home, &with(aud.clone(), "1")).await,
            &aud.to_string(),
        );
    }
    sqlx::query("UPDATE clients SET token_endpoint_audience = 1 WHERE id = $1")
        .bind(&signer.id)
        .execute(&home.pool)
        .await
        .unwrap();
    for aud in &wrong {
        assert_refused(
            attempt(&home, &with(aud.clone(), "2")).await,
            &aud.to_string(),
        );
    }
    attempt(&home, &with(json!(endpoint), "3")).await.unwrap();
    attempt(&home, &with(json!(issuer), "4")).await.unwrap();

    // The same libraries let an assertion live for an hour, and not longer.
    let living = |seconds: i64, jti| {
        let mut claims = signer.claims(&home, jti);
        claims["exp"] = json!(now() + seconds);
        signer.sign(&claims)
    };
    attempt(&home, &living(60 * 60, "5")).await.unwrap();
    assert_refused(attempt(&home, &living(62 * 60, "6")).await, "for long");
}

/// SEC-6: an assertion is taken once.
async fn an_assertion_is_taken_once(database: Database) {
    let mut home = Home::on(database).await;
    for signer in [
        Signer::with_secret(&home).await,
        Signer::with_key(&home, Algorithm::EdDSA).await,
    ] {
        let assertion = signer.assertion(&home, "once");
        attempt(&home, &assertion).await.unwrap();
        assert_refused(attempt(&home, &assertion).await, "a second time");
        let again = signer.assertion(&home, "once");
        assert_refused(attempt(&home, &again).await, "its name a second time");
        home.restart().await;
        assert_refused(attempt(&home, &assertion).await, "after a restart");
    }
}

/// SEC-6: of many copies at once, at two processes, one is taken.
async fn of_many_copies_at_once_one_is_taken(database: Database) {
    let home = Home::on(database).await;
    let second = home.second().await;
    let signer = Signer::with_key(&home, Algorithm::EdDSA).await;
    let assertion = signer.assertion(&home, "copied");
    let copies = (0..100).map(|n| {
        let auth = if n % 2 == 0 { &home.auth } else { &second };
        issue(auth, by_assertion(&assertion))
    });
    let results = join_all(copies).await;
    let taken = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(taken, 1);
    for error in results.into_iter().filter_map(Result::err) {
        assert_eq!(error.code, ErrorCode::Unauthenticated, "{error:?}");
    }
}

/// SEC-7: clients choose names without asking each other.
async fn two_clients_may_use_one_name(database: Database) {
    let home = Home::on(database).await;
    for _ in 0..2 {
        let signer = Signer::with_key(&home, Algorithm::EdDSA).await;
        attempt(&home, &signer.assertion(&home, "same"))
            .await
            .unwrap();
    }
}

/// SEC-8: what is remembered has bounds in size, in time and in number.
async fn an_assertion_that_is_large_or_lives_long_is_refused(database: Database) {
    let home = Home::on(database).await;
    let signer = Signer::with_key(&home, Algorithm::EdDSA).await;
    let with = |member: &str, value: Value| {
        let mut claims = signer.claims(&home, "1");
        claims[member] = value;
        signer.sign(&claims)
    };
    let now = now();
    for (member, value) in [
        ("exp", json!(now + 10 * 365 * 86_400)),
        ("exp", json!(now + 3_600)),
        ("exp", json!(now + 5 * 60 + 90)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(now - 61)),
        ("exp", json!(-1)),
        ("exp", json!("soon")),
        ("exp", json!(null)),
        ("iat", json!(now + 90)),
        ("iat", json!(-1)),
        ("nbf", json!(now + 90)),
        ("jti", json!("")),
        ("jti", json!(7)),
        ("jti", json!(null)),
        ("jti", json!("j".repeat(257))),
        ("jti", json!("j".repeat(64 * 1024))),
        ("iss", json!("other")),
        ("sub", json!("other")),
        ("sub", json!(null)),
    ] {
        let shown: String = value.to_string().chars().take(40).collect();
        assert_refused(
            attempt(&home, &with(member, value)).await,
            &format!("{member} {shown}"),
        );
    }
    let rows = "SELECT COUNT(*) FROM used_assertions";
    assert_eq!(
        home.count(rows).await,
        0,
        "what is refused is not remembered"
    );
    attempt(&home, &with("jti", json!("j".repeat(256))))
        .await
        .unwrap();
    attempt(&home, &with("exp", json!(now + 5 * 60)))
        .await
        .unwrap();
}

/// SEC-8: a client cannot fill the table.
async fn a_client_that_signs_too_many_must_wait(database: Database) {
    let home = Home::on(database).await;
    let (signer, other) = (
        Signer::with_key(&home, Algorithm::EdDSA).await,
        Signer::with_key(&home, Algorithm::EdDSA).await,
    );
    sqlx::query(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
         INSERT INTO used_assertions (client_id, jti_hash, expires_at) \
         SELECT $1, CAST(i AS TEXT), $2 FROM n",
    )
    .bind(&signer.id)
    .bind(now() + 60)
    .execute(&home.pool)
    .await
    .unwrap();
    let error = attempt(&home, &signer.assertion(&home, "more"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::RateLimited);
    assert!(error.retry_after.is_some());
    attempt(&home, &other.assertion(&home, "more"))
        .await
        .unwrap();
    sqlx::query("UPDATE used_assertions SET expires_at = $1")
        .bind(now() - 1)
        .execute(&home.pool)
        .await
        .unwrap();
    attempt(&home, &signer.assertion(&home, "more"))
        .await
        .unwrap();
}

/// Part of SEC-1 to SEC-4 for assertions: what is signed otherwise than the client does.
async fn an_assertion_that_the_client_did_not_make_is_refused(database: Database) {
    let home = Home::on(database).await;
    let keyed = Signer::with_key(&home, Algorithm::EdDSA).await;
    let curved = Signer::with_key(&home, Algorithm::ES256).await;
    let secret = Signer::with_secret(&home).await;
    let plain = home.client(false).await;
    let bearer = home.client(true).await;
    let claims = |signer: &Signer| signer.claims(&home, "1").to_string();
    let head = |header: Value| header.to_string();
    let public = keyed.jwk().to_string();
    let access_token = issue(&home.auth, by_secret(&plain, None)).await.unwrap();
    let of = |client: &crate::harness::ClientCredentials| {
        let mut claims = keyed.claims(&home, "1");
        claims["iss"] = client.id.as_str().into();
        claims["sub"] = client.id.as_str().into();
        let header = head(json!({ "alg": "HS256" }));
        let secret = client.secret.expose_secret().as_bytes();
        crate::harness::hs256(&header, &claims.to_string(), secret)
    };
    for (why, assertion) in [
        ("rubbish", "rubbish".to_owned()),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("an access token", access_token.expose_secret().to_owned()),
        ("another's key", curved.sign(&keyed.claims(&home, "1"))),
        ("another's secret", secret.sign(&keyed.claims(&home, "1"))),
        ("a client that sends its secret", of(&plain)),
        (
            "a client whose method is its secret, though it may sign bearers",
            of(&bearer),
        ),
        ("the public key as a secret", {
            let header = head(json!({ "alg": "HS256" }));
            crate::harness::hs256(&header, &claims(&keyed), public.as_bytes())
        }),
        ("alg none", {
            let header = head(json!({ "alg": "none" }));
            format!("{}.", crate::harness::message(&header, &claims(&keyed)))
        }),
        ("typ of an access token", {
            keyed.sign_text(
                &head(json!({ "alg": "EdDSA", "typ": "at+jwt" })),
                &claims(&keyed),
            )
        }),
        ("unknown typ", {
            keyed.sign_text(
                &head(json!({ "alg": "EdDSA", "typ": "dpop+jwt" })),
                &claims(&keyed),
            )
        }),
        (
            "another alg",
            keyed.sign_text(&head(json!({ "alg": "ES256" })), &claims(&keyed)),
        ),
        ("unknown kid", {
            keyed.sign_text(
                &head(json!({ "alg": "EdDSA", "kid": "other" })),
                &claims(&keyed),
            )
        }),
        ("crit", {
            keyed.sign_text(
                &head(json!({ "alg": "EdDSA", "crit": ["exp"] })),
                &claims(&keyed),
            )
        }),
        ("claims twice", {
            let claims = claims(&keyed).replacen('{', r#"{"jti":"0","#, 1);
            keyed.sign_text(&head(json!({ "alg": "EdDSA" })), &claims)
        }),
    ] {
        assert_refused(attempt(&home, &assertion).await, why);
    }
    let rows = "SELECT COUNT(*) FROM used_assertions";
    assert_eq!(
        home.count(rows).await,
        0,
        "what is refused is not remembered"
    );
    for (jti, header) in [
        json!({ "alg": "EdDSA" }),
        json!({ "alg": "EdDSA", "typ": "client-authentication+jwt", "kid": "mine" }),
    ]
    .iter()
    .enumerate()
    {
        let claims = keyed.claims(&home, &jti.to_string()).to_string();
        attempt(&home, &keyed.sign_text(&header.to_string(), &claims))
            .await
            .unwrap();
    }
}

async fn an_assertion_is_no_bearer_and_no_secret(database: Database) {
    let home = Home::on(database).await;
    let (secret, keyed) = (
        Signer::with_secret(&home).await,
        Signer::with_key(&home, Algorithm::EdDSA).await,
    );
    for signer in [&secret, &keyed] {
        home.assert_refused(&signer.assertion(&home, "1"), "an assertion as a bearer")
            .await;
    }
    let header = r#"{"alg":"HS256","typ":"client-authentication+jwt"}"#;
    let client = home.client(true).await;
    let mut claims = secret.claims(&home, "1");
    claims["iss"] = client.id.as_str().into();
    claims["sub"] = client.id.as_str().into();
    let key = client.secret.expose_secret().as_bytes();
    let assertion = crate::harness::hs256(header, &claims.to_string(), key);
    home.assert_refused(&assertion, "an assertion of one that may sign bearers")
        .await;
}

/// Part of SEC-12.
async fn a_client_that_is_switched_off_cannot_assert(database: Database) {
    let home = Home::on(database).await;
    let signer = Signer::with_secret(&home).await;
    for (n, (off, on)) in [
        (
            "UPDATE clients SET disabled_at = 1",
            "UPDATE clients SET disabled_at = NULL",
        ),
        (
            "UPDATE clients SET expires_at = 1",
            "UPDATE clients SET expires_at = NULL",
        ),
        (
            "UPDATE tenants SET disabled_at = 1",
            "UPDATE tenants SET disabled_at = NULL",
        ),
        (
            "UPDATE tenants SET expires_at = 1",
            "UPDATE tenants SET expires_at = NULL",
        ),
        (
            "UPDATE client_secrets SET expires_at = 1",
            "UPDATE client_secrets SET expires_at = NULL",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let assertion = signer.assertion(&home, &n.to_string());
        home.sql(off).await;
        assert_refused(attempt(&home, &assertion).await, off);
        home.sql(on).await;
        attempt(&home, &assertion).await.unwrap();
    }
}
