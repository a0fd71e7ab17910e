use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use secrecy::ExposeSecret as _;

use crate::harness::{Home, hs256, message, now, self_signed};

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Part of SEC-1, SEC-3 and SEC-4: signed with the client's own secret, under a header that must
/// not be obeyed.
#[tokio::test]
async fn headers_that_are_not_of_a_self_signed_bearer() {
    let home = Home::new().await;
    let client = home.client(true).await;
    let secret = client.secret.expose_secret().as_bytes();
    let iat = now();
    let claims = format!(
        r#"{{"iss":"{}","iat":{iat},"exp":{}}}"#,
        client.id,
        iat + 60
    );
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"nOnE"}"#,
        r#"{"alg":""}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS384"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"PS256"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"EdDSA"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","typ":"AT+JWT"}"#,
        r#"{"alg":"HS256","typ":"application/at+jwt"}"#,
        r#"{"alg":"HS256","typ":"client-authentication+jwt"}"#,
        r#"{"alg":"HS256","typ":"dpop+jwt"}"#,
        r#"{"alg":"HS256","typ":["JWT"]}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":"exp"}"#,
        r#"["alg","HS256"]"#,
        "null",
        "",
        "{",
    ] {
        home.assert_refused(&hs256(header, &claims, secret), header)
            .await;
    }
    let huge = format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "a".repeat(1024 * 1024));
    home.assert_refused(&hs256(&huge, &claims, secret), "a kid of 1 MiB")
        .await;
    home.authenticate(&hs256(HEADER, &claims, secret))
        .await
        .unwrap();
}

/// Part of SEC-4: signed with the client's own secret, with claims that must not be believed.
#[tokio::test]
async fn claims_that_are_not_of_a_self_signed_bearer() {
    let home = Home::new().await;
    let (client, other) = (home.client(true).await, home.client(true).await);
    let secret = client.secret.expose_secret().as_bytes();
    let (id, other, now) = (&client.id, &other.id, now());
    let with = |iat: i64, exp: i64| format!(r#"{{"iss":"{id}","iat":{iat},"exp":{exp}}}"#);
    let exp = |text: &str| format!(r#"{{"iss":"{id}","iat":{now},"exp":{text}}}"#);
    let later = now + 60;
    let and = |text: &str| format!(r#"{{"iss":"{id}","iat":{now},"exp":{later}{text}}}"#);
    let iss = |text: &str| format!(r#"{{"iss":{text},"iat":{now},"exp":{later}}}"#);
    for claims in [
        format!(r#"{{"iss":"{id}","iat":{now}}}"#),
        format!(r#"{{"iss":"{id}","exp":{later}}}"#),
        format!(r#"{{"iat":{now},"exp":{later}}}"#),
        with(now - 3600, now - 61),
        with(now, now),
        with(now, now - 1),
        with(now, now + 3601),
        with(now - 30, now + 3571),
        with(now, now + 10 * 365 * 86_400),
        with(now, i64::MAX),
        with(now + 70, now + 130),
        with(-1, now + 60),
        with(i64::MIN, now + 60),
        with(now, -1),
        exp("null"),
        exp(&format!("\"{later}\"")),
        exp(&format!("{later}.5")),
        exp(&format!("[{later}]")),
        exp("1e400"),
        exp("NaN"),
        exp("99999999999999999999999"),
        exp(&format!("{later},\"exp\":{later}")),
        and(&format!(r#","iat":{now}"#)),
        and(&format!(r#","iss":"{id}""#)),
        and(&format!(r#","nbf":{}"#, now + 120)),
        and(r#","nbf":"0""#),
        and(r#","nbf":-9223372036854775809"#),
        and(&format!(r#","sub":"{other}""#)),
        and(r#","aud":"https://elsewhere.example""#),
        and(r#","aud":["fathom"]"#),
        and(r#","aud":[]"#),
        and(","),
        iss(&format!(r#""{other}""#)),
        iss(&format!(r#""{}""#, id.to_uppercase())),
        iss(&format!(r#""{id} ""#)),
        iss(&format!(r#"["{id}"]"#)),
        iss(r#""""#),
        iss("null"),
        iss(r#""a\u0000b""#),
        iss(r#""' OR '1'='1""#),
        iss(r#""http://127.0.0.1:8080""#),
        iss(r#""http://127.0.0.1:8080/""#),
        iss(&format!(r#""{}""#, "a".repeat(5_000))),
        "[]".to_owned(),
        format!(r#"["{id}",{now},{later},null,null,null]"#),
        String::new(),
    ] {
        home.assert_refused(&hs256(HEADER, &claims, secret), &claims)
            .await;
    }
    home.authenticate(&hs256(HEADER, &and(""), secret))
        .await
        .unwrap();
}

/// Part of SEC-1, SEC-2 and SEC-4: good words, and a signature that does not hold.
#[tokio::test]
async fn signatures_that_do_not_hold() {
    let home = Home::new().await;
    let (client, other, barred) = (
        home.client(true).await,
        home.client(true).await,
        home.client(false).await,
    );
    let iat = now();
    let claims = format!(
        r#"{{"iss":"{}","iat":{iat},"exp":{}}}"#,
        client.id,
        iat + 60
    );
    let good = self_signed(&client, iat, iat + 60);
    let secret = client.secret.expose_secret();
    let (said, signature) = good.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let hmac = |secret: &[u8]| hs256(HEADER, &claims, secret);
    let (public_key,): (String,) = sqlx::query_as("SELECT public_key FROM signing_keys")
        .fetch_one(&home.pool)
        .await
        .unwrap();
    let access_token = home.token(&client).await.unwrap();
    let access_token = access_token.expose_secret();
    let (head, rest) = access_token.split_once('.').unwrap();
    for (why, token) in [
        ("empty signature", format!("{said}.")),
        ("no signature", said.to_owned()),
        (
            "alg none without signature",
            format!("{}.", message(r#"{"alg":"none"}"#, &claims)),
        ),
        ("four parts", format!("{good}.x")),
        ("five parts", format!("{good}..")),
        (
            "half a signature",
            format!("{said}.{}", URL_SAFE_NO_PAD.encode(&bytes[..16])),
        ),
        (
            "signature and more",
            format!(
                "{said}.{}",
                URL_SAFE_NO_PAD.encode([&bytes[..], b"x"].concat())
            ),
        ),
        (
            "zeroes",
            format!("{said}.{}", URL_SAFE_NO_PAD.encode([0; 32])),
        ),
        ("padding", format!("{said}.{}", URL_SAFE.encode(&bytes))),
        (
            "the other alphabet",
            format!("{said}.{}", STANDARD.encode(&bytes)),
        ),
        ("white space within", format!("{said}. {signature}")),
        ("newline after", format!("{good}\n")),
        ("space before", format!(" {good}")),
        ("the word Bearer", format!("Bearer {good}")),
        ("empty secret", hmac(b"")),
        ("client id as secret", hmac(client.id.as_bytes())),
        (
            "secret with newline",
            hmac(format!("{secret}\n").as_bytes()),
        ),
        (
            "secret decoded",
            hmac(&URL_SAFE_NO_PAD.decode(secret).unwrap()),
        ),
        (
            "another client's secret",
            hmac(other.secret.expose_secret().as_bytes()),
        ),
        (
            "public key as secret",
            hmac(&URL_SAFE_NO_PAD.decode(&public_key).unwrap()),
        ),
        ("public key's text as secret", hmac(public_key.as_bytes())),
        (
            "a client without the switch",
            self_signed(&barred, iat, iat + 60),
        ),
        (
            "claims of another client",
            format!(
                "{}.{signature}",
                message(HEADER, &claims.replace(&client.id, &other.id))
            ),
        ),
        (
            "access token under this header",
            format!("{}.{rest}", URL_SAFE_NO_PAD.encode(HEADER)),
        ),
        ("access token resigned as HS256", {
            let said = rest.split_once('.').unwrap().0;
            let said = String::from_utf8(URL_SAFE_NO_PAD.decode(said).unwrap()).unwrap();
            let head = String::from_utf8(URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
            hs256(
                &head.replace("EdDSA", "HS256"),
                &said,
                &URL_SAFE_NO_PAD.decode(&public_key).unwrap(),
            )
        }),
        ("dots alone", "..".to_owned()),
        ("words", "not a token".to_owned()),
    ] {
        home.assert_refused(&token, why).await;
    }
    home.authenticate(&good).await.unwrap();
    home.authenticate(access_token).await.unwrap();
}

/// Part of SEC-4: every bit of a good token counts.
#[tokio::test]
async fn every_flipped_bit_is_refused() {
    let home = Home::new().await;
    let client = home.client(true).await;
    let iat = now();
    let good = self_signed(&client, iat, iat + 600);
    for bit in 0..good.len() * 7 {
        let mut flipped = good.as_bytes().to_vec();
        flipped[bit / 7] ^= 1 << (bit % 7);
        let flipped = String::from_utf8(flipped).unwrap();
        home.assert_refused(&flipped, &format!("bit {bit} flipped"))
            .await;
    }
    home.authenticate(&good).await.unwrap();
}

#[tokio::test]
async fn an_unknown_client_is_refused_like_any_other() {
    let home = Home::new().await;
    let mut client = home.client(true).await;
    client.id = "0".repeat(32);
    let iat = now();
    home.assert_refused(&self_signed(&client, iat, iat + 60), "unknown client")
        .await;
}
