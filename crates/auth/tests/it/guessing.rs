//! SEC-9 and SEC-10: what guesses cost, whom they slow down, and what their time tells.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fathom_auth::metrics::SECRET_HASHES;
use fathom_proto::ErrorCode;
use jsonwebtoken::Algorithm;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;

use crate::harness::{ClientCredentials, Home};
use crate::oauth::{Signer, assert_refused, by_secret, issue};

const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
const ELSEWHERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1)));

/// Counts slow hashes.
#[derive(Clone, Default)]
struct Hashes(Arc<AtomicU64>);

impl Hashes {
    /// How many there were since the last call.
    fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Recorder for Hashes {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name() == SECRET_HASHES {
            Counter::from_arc(self.0.clone())
        } else {
            Counter::noop()
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

fn with_secret(id: &str, secret: &str) -> ClientCredentials {
    ClientCredentials {
        id: id.to_owned(),
        secret: secret.into(),
    }
}

/// Guesses of every kind: each client with what is told of it to whom.
async fn guesses(home: &Home) -> Vec<(&'static str, ClientCredentials)> {
    let (hashed, many, sealed) = (
        home.client(false).await,
        home.client(false).await,
        home.client(true).await,
    );
    sqlx::query(
        "INSERT INTO client_secrets (id, client_id, hash, created_at) \
         SELECT n.id, $1, hash, created_at FROM client_secrets s, \
             (SELECT '1' AS id UNION SELECT '2' UNION SELECT '3') n WHERE s.client_id = $1",
    )
    .bind(&many.id)
    .execute(&home.pool)
    .await
    .unwrap();
    let keyed = Signer::with_key(home, Algorithm::EdDSA).await;
    let secret = hashed.secret.expose_secret().to_owned();
    let cut = |secret: &str| format!("{}x", &secret[..secret.len() - 1]);
    vec![
        ("an unknown client", with_secret(&"0".repeat(32), &secret)),
        ("no client at all", with_secret("", &secret)),
        ("the right prefix", with_secret(&hashed.id, &cut(&secret))),
        ("no prefix", with_secret(&hashed.id, "wrong")),
        ("nothing", with_secret(&hashed.id, "")),
        (
            "many secrets",
            with_secret(&many.id, &cut(many.secret.expose_secret())),
        ),
        (
            "a sealed secret",
            with_secret(&sealed.id, &cut(sealed.secret.expose_secret())),
        ),
        (
            "a client of another method",
            with_secret(&keyed.id, &secret),
        ),
        ("another client's secret", with_secret(&many.id, &secret)),
    ]
}

/// SEC-10: one hash an attempt, whoever is asked for.
#[tokio::test]
async fn every_guess_costs_one_hash() {
    let home = Home::new().await;
    let guesses = guesses(&home).await;
    let (hashed, sealed) = (home.client(false).await, home.client(true).await);
    let hashes = Hashes::default();
    let _recording = metrics::set_default_local_recorder(&hashes);
    for (why, guess) in &guesses {
        assert_refused(home.token(guess).await, why);
        assert_eq!(hashes.take(), 1, "{why}");
    }
    for client in [&hashed, &sealed] {
        home.token(client).await.unwrap();
        assert_eq!(hashes.take(), 1);
        home.token(client).await.unwrap();
        assert_eq!(hashes.take(), 0, "it was right a moment ago");
    }
    let huge = with_secret(&hashed.id, &"a".repeat(100_000));
    assert_refused(home.token(&huge).await, "a huge secret");
    assert_eq!(hashes.take(), 0, "which no client has");
}

/// SEC-10: the time of a refusal does not tell who exists.
#[tokio::test]
async fn the_time_of_a_refusal_is_the_same_for_all() {
    const SAMPLES: usize = 25;
    let home = Home::new().await;
    let guesses = guesses(&home).await;
    let mut times = vec![Vec::new(); guesses.len()];
    // In turns, so that whatever else the machine does falls on all alike.
    for _ in 0..SAMPLES {
        for ((why, guess), times) in guesses.iter().zip(&mut times) {
            let begun = Instant::now();
            assert_refused(home.token(guess).await, why);
            times.push(begun.elapsed());
        }
    }
    // The sample of each that was disturbed least.
    let times: Vec<_> = times
        .iter()
        .map(|times| times.iter().min().unwrap())
        .collect();
    let (least, most) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    assert!(*most < *least * 3 / 2, "{times:?}");
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// SEC-9: who guesses must wait, and its owner, elsewhere, need not.
#[tokio::test]
async fn guesses_at_one_client_are_slowed_where_they_come_from() {
    let home = Home::new().await;
    let (client, known) = (home.client(false).await, home.client(false).await);
    issue(&home.auth, by_secret(&known, HERE)).await.unwrap();
    guess_until_slowed(&home, &known.id).await;
    issue(&home.auth, by_secret(&known, HERE)).await.unwrap();

    let mut tries = 0;
    loop {
        guess_until_slowed(&home, &client.id).await;
        // On a machine that stands still for a second, the delay may be over by now.
        match issue(&home.auth, by_secret(&client, HERE)).await {
            Err(error) => break assert_eq!(error.code, ErrorCode::RateLimited),
            Ok(_) => tries += 1,
        }
        assert!(
            tries < 5,
            "a good secret, hence a guess too, was let in at once"
        );
    }
    issue(&home.auth, by_secret(&client, ELSEWHERE))
        .await
        .unwrap();
}

async fn guess_until_slowed(home: &Home, client: &str) {
    let guess = with_secret(client, "wrong");
    let mut guesses = 0;
    loop {
        let error = issue(&home.auth, by_secret(&guess, HERE))
            .await
            .unwrap_err();
        if error.code == ErrorCode::RateLimited {
            assert!(error.retry_after.unwrap() <= Duration::from_secs(60));
            assert!(!error.message.contains(client));
            return;
        }
        assert_eq!(error.code, ErrorCode::Unauthenticated);
        guesses += 1;
        assert!(guesses < 50, "none was slowed");
    }
}

/// SEC-9: so are guesses at many clients from one place.
#[tokio::test]
async fn guesses_at_many_clients_are_slowed_where_they_come_from() {
    let home = Home::new().await;
    let client = home.client(false).await;
    let mut refused = 0;
    loop {
        let guess = with_secret(&format!("{refused}"), "wrong");
        let error = issue(&home.auth, by_secret(&guess, HERE))
            .await
            .unwrap_err();
        if error.code == ErrorCode::RateLimited {
            break;
        }
        refused += 1;
        assert!(refused < 200);
    }
    issue(&home.auth, by_secret(&client, ELSEWHERE))
        .await
        .unwrap();
}

/// SEC-9: assertions are slowed too, and a flood of them does not keep others away.
#[tokio::test]
async fn bad_assertions_are_slowed_where_they_come_from() {
    let home = Home::new().await;
    let (signer, other) = (
        Signer::with_key(&home, Algorithm::EdDSA).await,
        Signer::with_key(&home, Algorithm::EdDSA).await,
    );
    let from = |assertion: &str, address| fathom_proto::identity::ClientAuthentication {
        address,
        ..crate::oauth::by_assertion(assertion)
    };
    let bad = other.sign(&signer.claims(&home, "1"));
    let mut codes = Vec::new();
    for _ in 0..20 {
        let error = issue(&home.auth, from(&bad, HERE)).await.unwrap_err();
        codes.push(error.code);
    }
    assert_eq!(codes.first(), Some(&ErrorCode::Unauthenticated));
    assert_eq!(codes.last(), Some(&ErrorCode::RateLimited));
    issue(&home.auth, from(&signer.assertion(&home, "2"), ELSEWHERE))
        .await
        .unwrap();
}

/// SEC-9: a flood of guesses from many places takes the processors that it is given and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_guesses_slows_nobody_who_is_known() {
    const ROUNDS: usize = 5;
    let home = Home::new().await;
    let (target, third) = (home.client(false).await, home.client(false).await);
    for client in [&target, &third] {
        issue(&home.auth, by_secret(client, ELSEWHERE))
            .await
            .unwrap();
    }
    let (mut calm, mut flooded) = (Duration::MAX, Duration::MAX);
    let addresses = Arc::new(AtomicU32::new(0x0a00_0000));
    for _ in 0..ROUNDS {
        calm = calm.min(token_time(&home, &third).await);
        let stop = Arc::new(AtomicBool::new(false));
        let mut flood = JoinSet::new();
        for _ in 0..32 {
            let (auth, stop, addresses) = (home.auth.clone(), stop.clone(), addresses.clone());
            let guess = with_secret(&target.id, "wrong");
            flood.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let address = addresses.fetch_add(1, Ordering::Relaxed).to_be_bytes();
                    let error = issue(&auth, by_secret(&guess, Some(address.into()))).await;
                    assert!(error.is_err());
                }
            });
        }
        flooded = flooded.min(token_time(&home, &third).await);
        issue(&home.auth, by_secret(&target, ELSEWHERE))
            .await
            .unwrap();
        stop.store(true, Ordering::Relaxed);
        while let Some(result) = flood.join_next().await {
            result.unwrap();
        }
    }
    assert!(
        flooded < calm * 2,
        "{flooded:?} in a flood, {calm:?} without"
    );
}

/// The median time of a token.
async fn token_time(home: &Home, client: &ClientCredentials) -> Duration {
    let mut times = Vec::new();
    for _ in 0..31 {
        let begun = Instant::now();
        issue(&home.auth, by_secret(client, ELSEWHERE))
            .await
            .unwrap();
        times.push(begun.elapsed());
    }
    median(&mut times)
}

/// Secrets of the version before: any text, sealed, whatever the client does with it.
#[tokio::test]
async fn a_sealed_secret_of_any_form_goes_on_working() {
    let home = Home::new().await;
    for signs in [true, false] {
        let client = home.client(true).await;
        let other = home.client(true).await;
        sqlx::query("UPDATE clients SET self_signed_bearer = $1")
            .bind(i64::from(signs))
            .execute(&home.pool)
            .await
            .unwrap();
        // A secret whose id is not the row's, as one without an id is.
        sqlx::query("UPDATE client_secrets SET client_id = $1 WHERE client_id = $2")
            .bind(&client.id)
            .bind(&other.id)
            .execute(&home.pool)
            .await
            .unwrap();
        for secret in [&client.secret, &other.secret] {
            let client = with_secret(&client.id, secret.expose_secret());
            home.token(&client).await.unwrap();
        }
    }
}

/// Part of SEC-12: while a secret is replaced both hold, and one that has ended does not, however
/// recently it was right.
#[tokio::test]
async fn any_live_secret_is_taken_and_no_other() {
    let home = Home::new().await;
    let (client, other) = (home.client(false).await, home.client(false).await);
    home.token(&client).await.unwrap();
    sqlx::query("UPDATE client_secrets SET client_id = $1 WHERE client_id = $2")
        .bind(&other.id)
        .bind(&client.id)
        .execute(&home.pool)
        .await
        .unwrap();
    assert_refused(home.token(&client).await, "it has no secret any more");
    let moved = with_secret(&other.id, client.secret.expose_secret());
    assert_refused(home.token(&moved).await, "a hash is of its client alone");
    home.token(&other).await.unwrap();
    home.sql("UPDATE client_secrets SET expires_at = 1").await;
    assert_refused(home.token(&other).await, "an ended secret");
}
