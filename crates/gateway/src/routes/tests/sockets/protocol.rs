//! Clients that break the protocol, or wear it out.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::memory::{UPGRADE, closed_after, connect, frame, handshake, raw};
use super::*;

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// WS-2: none of it is believed, and so nothing of it is allocated.
#[tokio::test(start_paused = true)]
async fn a_frame_that_claims_to_be_huge_is_too_large() {
    let gateway = gateway();
    for length in [1 << 62, (1 << 63) - 1, 1024 * 1024 + 1] {
        let mut header = vec![TEXT, 0xff];
        header.extend(u64::to_be_bytes(length));
        header.extend([0; 4]);
        let code = closed_after(raw(&gateway).await, &header).await;
        assert_eq!(code, 1009, "{length}");
    }
}

/// WS-2
#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_large_is_told_so() {
    let gateway = gateway();
    let large = vec![b'x'; 1024 * 1024 + 1];
    let whole = frame(TEXT, &large);
    assert_eq!(closed_after(raw(&gateway).await, &whole).await, 1009);
    let mut halves = frame(0x01, &large[..600_000]);
    halves.extend(frame(0x80, &large[..600_000]));
    assert_eq!(closed_after(raw(&gateway).await, &halves).await, 1009);
}

/// WS-2
#[tokio::test(start_paused = true)]
async fn a_million_fragments_are_too_large() {
    let mut fragments = frame(0x01, b"x");
    fragments.extend(frame(0x00, b"x").repeat(1_000_000));
    fragments.extend(frame(0x80, b"x"));
    assert_eq!(closed_after(raw(&gateway()).await, &fragments).await, 1009);
}

/// WS-3
#[tokio::test(start_paused = true)]
async fn what_is_no_text_and_what_is_no_frame_are_told_apart() {
    let gateway = gateway();
    let two = |first: Vec<u8>, second: Vec<u8>| [first, second].concat();
    let mut unmasked = frame(TEXT, b"{}");
    unmasked[1] &= 0x7f;
    let long_ping = frame(PING, &[b'x'; 126]);
    for (why, bytes, code) in [
        ("bad UTF-8", frame(TEXT, b"\xff\xfe"), 1007),
        (
            "bad over two fragments",
            two(frame(0x01, b"\xe2\x82"), frame(0x80, b"\x28")),
            1007,
        ),
        (
            "half a character",
            two(frame(0x01, b"a"), frame(0x80, b"\xe2\x82")),
            1007,
        ),
        ("a surrogate", frame(TEXT, b"\xed\xa0\x80"), 1007),
        ("bad reason of a close", frame(0x88, b"\x03\xe8\xff"), 1007),
        ("reserved bit", frame(0xc1, b"{}"), 1002),
        ("reserved opcode", frame(0x83, b"{}"), 1002),
        ("reserved control opcode", frame(0x8b, b""), 1002),
        ("no mask", unmasked, 1002),
        ("fragmented ping", frame(0x09, b""), 1002),
        ("long ping", long_ping, 1002),
        ("continuation of nothing", frame(0x80, b"{}"), 1002),
        (
            "message in a message",
            two(frame(0x01, b"{"), frame(TEXT, b"}")),
            1002,
        ),
        ("close of one byte", frame(0x88, b"\x03"), 1002),
        ("close code that is none", frame(0x88, b"\x03\xed"), 1002),
    ] {
        assert_eq!(
            closed_after(raw(&gateway).await, &bytes).await,
            code,
            "{why}"
        );
    }
}

/// WS-4: the flood ends, and another socket of the same server does not notice.
#[tokio::test(start_paused = true)]
async fn frames_that_carry_nothing_are_capped() {
    for (why, flood) in [
        ("pings", frame(PING, b"")),
        ("pongs", frame(PONG, b"unasked")),
        (
            "empty fragments",
            [frame(0x01, b""), frame(0x00, b"").repeat(999)].concat(),
        ),
    ] {
        let (gateway, mut asked) = fakes::steered();
        let mut other = connect(&gateway, ALL_SCOPES).await;
        say(&mut other, lanes::create("a", chat_body())).await;
        let call = asked.recv().await.unwrap();
        let flood = flood.repeat(1000);
        let flooded = closed_after(raw(&gateway).await, &flood);
        let served = async {
            for event in [
                fakes::started(1),
                fakes::delta("hi", 1),
                fakes::finished(1, 1),
            ] {
                call.tell(event).await;
            }
            while lanes::next(&mut other).await["type"] != "done" {}
        };
        let (code, ()) = tokio::join!(flooded, served);
        assert_eq!(code, 1008, "{why}");
    }
}

/// WS-4: of messages that ask for nothing too.
#[tokio::test(start_paused = true)]
async fn messages_that_ask_for_nothing_are_capped() {
    for (why, first) in [("one lane runs", true), ("none runs", false)] {
        let cancel = json!({"type": "cancel", "stream_id": "nothing"}).to_string();
        let mut flood = Vec::new();
        if first {
            let create = lanes::create("a", chat_body()).to_string();
            flood.extend(frame(TEXT, create.as_bytes()));
        } else {
            let resume = json!({
                "type": "response.resume", "stream_id": "a", "resume_from": {"id": "x"},
            });
            flood.extend(frame(TEXT, resume.to_string().as_bytes()));
        }
        flood.extend(frame(TEXT, cancel.as_bytes()).repeat(2000));
        let code = closed_after(raw(&fakes::hanging()).await, &flood).await;
        assert_eq!(code, 1008, "{why}");
    }
}

/// What a sound client sends at once, and for long, is taken.
#[tokio::test(start_paused = true)]
async fn many_cancels_are_taken_as_long_as_they_are_not_too_many() {
    let (gateway, mut asked) = fakes::steered();
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    for round in 0..50 {
        for id in ["a", "b", "c", "d"] {
            say(&mut socket, lanes::create(id, chat_body())).await;
            asked.recv().await.unwrap();
            for _ in 0..5 {
                say(&mut socket, json!({"type": "cancel", "stream_id": id})).await;
            }
            assert_eq!(lanes::next(&mut socket).await["stream_id"], id, "{round}");
        }
        tokio::time::advance(Duration::from_millis(250)).await;
    }
}

/// WS-4: a client that pings as clients do is answered for as long as it likes.
#[tokio::test(start_paused = true)]
async fn pings_of_a_sound_client_are_answered() {
    let mut socket = connect(&fakes::hanging(), ALL_SCOPES).await;
    say(&mut socket, lanes::create("a", chat_body())).await;
    lanes::next(&mut socket).await;
    for number in 0..1000_u32 {
        let payload = number.to_string().into_bytes();
        socket
            .send(Message::Ping(payload.clone().into()))
            .await
            .unwrap();
        let pong = loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Pong(pong) => break pong,
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(pong, payload);
        tokio::time::advance(Duration::from_millis(20)).await;
    }
}

/// WS-5, in both forms of the socket.
#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_ping_is_gone() {
    let one_shot = json!({"type": "request", "model": "m", "prompt": "hi"});
    for request in [one_shot, lanes::create("a", chat_body())] {
        let (gateway, mut asked) = fakes::steered();
        let mut socket = connect(&gateway, ALL_SCOPES).await;
        let begun = tokio::time::Instant::now();
        say(&mut socket, request).await;
        let call = asked.recv().await.unwrap();
        call.tell(fakes::started(1)).await;
        while !call.is_dropped() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!((60..=61).contains(&begun.elapsed().as_secs()));
        assert_eq!(ending(&mut socket).await.1, 1011);
    }
}

/// WS-5
#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_may_be_silent_for_long() {
    let (gateway, mut asked) = fakes::steered();
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    say(&mut socket, lanes::create("a", chat_body())).await;
    let call = asked.recv().await.unwrap();
    call.tell(fakes::started(1)).await;
    let mut pings = 0;
    while pings < 25 {
        match socket.next().await.unwrap().unwrap() {
            Message::Ping(_) => pings += 1,
            Message::Text(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(!call.is_dropped());
}

/// LIFE-5: a client that reads, however slowly, is slowed and not ended. Its pings wait behind all
/// that it has not read.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_stays() {
    let (gateway, mut asked) = fakes::steered();
    let mut connection = raw(&gateway).await;
    let create = lanes::create("a", chat_body()).to_string();
    let create = frame(TEXT, create.as_bytes());
    connection.write_all(&create).await.unwrap();
    let call = asked.recv().await.unwrap();
    call.tell(fakes::started(1)).await;
    let read = async {
        let mut bytes = [0; 1024];
        // A tenth of what would have to be read in time for an answer to a ping.
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert!(connection.read(&mut bytes).await.unwrap() > 0);
            assert!(!call.is_dropped());
        }
    };
    tokio::select! {
        () = read => {}
        () = call.flood() => panic!("the call is dropped"),
    }
}

/// A close of the client's is answered with its code, and nothing is left running.
#[tokio::test(start_paused = true)]
async fn a_close_is_answered_and_ends_every_lane() {
    let (gateway, mut asked) = fakes::steered();
    let bearer = format!("authorization: Bearer {ALL_SCOPES}");
    let lines = [&UPGRADE[..], &[&bearer]].concat();
    let (_, connection) = handshake(&gateway, "/v1/stream", &lines).await;
    let mut bytes = Vec::new();
    for id in ["a", "b"] {
        bytes.extend(frame(
            TEXT,
            lanes::create(id, chat_body()).to_string().as_bytes(),
        ));
    }
    bytes.extend(frame(0x88, &3000_u16.to_be_bytes()));
    assert_eq!(closed_after(connection, &bytes).await, 3000);
    for _ in 0..2 {
        asked.recv().await.unwrap().dropped().await;
    }
}
