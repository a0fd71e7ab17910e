use super::*;

#[test]
fn a_secret_leads_to_its_id_and_rubbish_to_none() {
    assert_eq!(id_of("cs-0123-secret-with-hyphens"), "0123");
    for text in [
        "",
        "cs-",
        "cs--x",
        "cs-0123",
        "CS-0123-x",
        "x0123-x",
        "sk-0123-x",
    ] {
        assert_eq!(id_of(text), "", "{text}");
    }
}

/// Part of SEC-22: no other client and secret make the same message.
#[test]
fn a_hash_is_of_the_client_and_its_secret() {
    let messages = [("a", "b"), ("ab", ""), ("", "ab"), ("b", "a")]
        .map(|(client, secret)| message(client, secret).to_vec());
    for (n, one) in messages.iter().enumerate() {
        assert!(messages[n + 1..].iter().all(|other| other != one));
    }
}
