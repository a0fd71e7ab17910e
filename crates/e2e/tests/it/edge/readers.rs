//! LIFE-3 and LIFE-5 through all services: whoever does not read, or goes, frees the engine.

use std::time::Duration;

use fathom_e2e::{Cluster, eventually};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::in_both_wirings;
use crate::requests::chat;

const LIMIT: Duration = Duration::from_secs(20);

/// A long stream, of which the first bytes are read. What is not read stays with the server.
async fn stream(cluster: &Cluster) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let address = cluster.base_url.trim_start_matches("http://");
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let key = cluster.demo.api_key.expose_secret();
    let body = r#"{"model": "deepseek-chat", "stream": true, "max_tokens": 20000,
        "messages": [{"role": "user", "content": "hi"}]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut beginning = [0; 12];
    stream.read_exact(&mut beginning).await.unwrap();
    assert_eq!(&beginning, b"HTTP/1.1 200");
    stream
}

in_both_wirings! {
    /// LIFE-5: a reader that takes nothing is dropped, its generation ends, and others go on.
    async fn life_5_a_reader_that_stops_frees_its_slot(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| {
                sim.tokens = u32::MAX;
                sim.inter_token = Duration::from_micros(100);
            })
            .config(|config| {
                config.gateway.limits.write_timeout = Some(Duration::from_secs(1));
            })
            .start()
            .await
            .unwrap();
        let _stopped = stream(&cluster).await;
        let mut request = chat("hi");
        request.max_tokens = Some(300);
        let client = cluster.client();
        let mut other = client.chat_stream(request).await.unwrap();
        let mut pieces = 0;
        while let Some(piece) = other.next().await {
            piece.unwrap();
            pieces += 1;
        }
        assert!(pieces >= 300, "{pieces}");
        let freed = eventually("the slot is free", LIMIT, || cluster.load().running == 0).await;
        println!("freed after {freed:?}");
    }

    /// LIFE-3: a client that closes its half has gone.
    async fn life_3_a_client_that_closes_its_half_is_gone(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| {
                sim.tokens = u32::MAX;
                sim.inter_token = Duration::from_millis(20);
            })
            .start()
            .await
            .unwrap();
        let mut half = stream(&cluster).await;
        eventually("it runs", LIMIT, || cluster.load().running == 1).await;
        half.shutdown().await.unwrap();
        let freed = eventually("the slot is free", LIMIT, || cluster.load().running == 0).await;
        println!("freed after {freed:?}");
    }
}
