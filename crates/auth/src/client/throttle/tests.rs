//! SEC-9, counted in paused time.

use tokio::time::advance;

use super::*;

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// Makes attempts as fast as they are let, each of which fails, and counts them.
async fn guesses(attempts: &Attempts<'_>, duration: Duration) -> u32 {
    let end = Instant::now() + duration;
    let mut count = 0;
    while Instant::now() < end {
        match attempts.check().await {
            Ok(()) => {
                count += 1;
                attempts.count().await;
            }
            Err(Error::Throttled { retry_after }) => {
                assert!(!retry_after.is_zero() && retry_after <= MAX_DELAY);
                advance(retry_after).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    count
}

#[tokio::test(start_paused = true)]
async fn an_address_gets_few_guesses_at_a_client() {
    let throttle = Throttle::new();
    let attempts = throttle.attempts("c", address("192.0.2.1"));
    let first = guesses(&attempts, Duration::from_secs(1)).await;
    assert_eq!(first, FREE_OF_CLIENT + 1);
    let in_an_hour = guesses(&attempts, Duration::from_secs(60 * 60)).await;
    assert!((50..=70).contains(&in_an_hour), "{in_an_hour}");
}

#[tokio::test(start_paused = true)]
async fn an_address_gets_few_guesses_at_all_clients_together() {
    let throttle = Throttle::new();
    let mut let_through = 0;
    for client in 0..10_000 {
        let attempts = throttle.attempts(&client.to_string(), address("192.0.2.1"));
        if attempts.check().await.is_ok() {
            let_through += 1;
            attempts.count().await;
        }
    }
    assert_eq!(let_through, FREE_OF_ADDRESS + 1);
}

/// No lockout: whatever comes from elsewhere, the owner is let in at once.
#[tokio::test(start_paused = true)]
async fn failures_never_count_against_another_address() {
    let throttle = Throttle::new();
    for n in 0..10_000_u32 {
        let attacker = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let attempts = throttle.attempts("c", Some(attacker));
        attempts.check().await.unwrap();
        attempts.count().await;
    }
    let owner = throttle.attempts("c", address("192.0.2.1"));
    owner.check().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_delay_grows_and_ends() {
    let throttle = Throttle::new();
    let attempts = throttle.attempts("c", address("192.0.2.1"));
    let mut waits = Vec::new();
    for _ in 0..FREE_OF_CLIENT + 9 {
        if let Err(Error::Throttled { retry_after }) = attempts.check().await {
            waits.push(retry_after.as_secs());
            advance(retry_after).await;
            attempts.check().await.unwrap();
        }
        attempts.count().await;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    advance(MEMORY).await;
    attempts.count().await;
    attempts.check().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_proves_itself_is_forgiven_and_its_address_is_not() {
    let throttle = Throttle::new();
    let here = address("192.0.2.1");
    let attempts = throttle.attempts("c", here);
    for _ in 0..FREE_OF_CLIENT {
        attempts.count().await;
    }
    attempts.count().await;
    attempts.forgive().await;
    attempts.check().await.unwrap();

    for n in 0..=FREE_OF_ADDRESS - FREE_OF_CLIENT {
        throttle.attempts(&n.to_string(), here).count().await;
    }
    assert!(throttle.attempts("new", here).check().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_address_is_its_network_and_a_mapped_one_is_ipv4() {
    for (one, other, same) in [
        ("2001:db8::1", "2001:db8::ffff:1", true),
        ("2001:db8:0:0:1::", "2001:db8:0:1::", false),
        ("::ffff:192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
    ] {
        let networks = [one, other].map(|text| network(text.parse().unwrap()));
        assert_eq!(networks[0] == networks[1], same, "{one} {other}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_address_nothing_is_counted() {
    let throttle = Throttle::new();
    let attempts = throttle.attempts("c", None);
    assert!(guesses_at_once(&attempts, 1_000).await);
}

async fn guesses_at_once(attempts: &Attempts<'_>, count: u32) -> bool {
    for _ in 0..count {
        attempts.count().await;
    }
    attempts.check().await.is_ok()
}

/// Part of SEC-8 for this map: an attacker with many addresses does not choose its size.
#[tokio::test]
async fn the_maps_are_bounded() {
    let throttle = Throttle::new();
    for n in 0..u32::try_from(MAX_ENTRIES).unwrap() + 5_000 {
        let attacker = IpAddr::from(n.to_be_bytes());
        throttle.attempts("c", Some(attacker)).count().await;
    }
    throttle.clients.run_pending_tasks().await;
    throttle.addresses.run_pending_tasks().await;
    assert!(throttle.clients.entry_count() <= MAX_ENTRIES);
    assert!(throttle.addresses.entry_count() <= MAX_ENTRIES);
}
