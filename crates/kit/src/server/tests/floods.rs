//! EDGE-9 and EDGE-10: HTTP/2 clients that make work. Others are in the end-to-end tests, against
//! a client that breaks the protocol.

use axum::http::Request;

use super::*;

/// A request of HTTP/2.
pub fn get(path: &str) -> Request<()> {
    Request::get(format!("http://test{path}")).body(()).unwrap()
}

/// EDGE-10: a client is told how many streams it may open.
#[tokio::test]
async fn edge_10_streams_have_a_number() {
    let never = axum::routing::get(std::future::pending::<()>);
    let server = Server::start(Router::new().route("/", never), Limits::default());
    let (client, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    let mut connection = std::pin::pin!(connection);
    let ready = async {
        let mut client = client.ready().await.unwrap();
        let _request = client.send_request(get("/"), true).unwrap();
        let mut asked = 1;
        while client.current_max_send_streams() > 1_000 {
            tokio::task::yield_now().await;
            asked += 1;
            assert!(asked < 1_000_000, "no settings");
        }
        client.current_max_send_streams()
    };
    let most = tokio::select! {
        most = ready => most,
        _ = connection.as_mut() => panic!("the connection has ended"),
    };
    assert_eq!(most, 128);
}

/// EDGE-9: streams that are reset as soon as they begin end their connection, and nothing else.
#[tokio::test]
async fn edge_9_rapid_resets_end_their_connection_alone() {
    let never = axum::routing::get(std::future::pending::<()>);
    let server = Server::start(hello().route("/never", never), Limits::default());
    for count in [100, 1_000, 20_000] {
        let (mut client, connection) = h2::client::handshake(server.connect().await).await.unwrap();
        let resets = async {
            for _ in 0..count {
                let Ok(ready) = client.clone().ready().await else {
                    return;
                };
                client = ready;
                let Ok((_, mut stream)) = client.send_request(get("/never"), false) else {
                    return;
                };
                stream.send_reset(h2::Reason::CANCEL);
            }
        };
        let both = async { tokio::join!(connection, resets) };
        let ended = timeout(LIMIT, both).await;
        if count > 1_000 {
            let (ended, ()) = ended.expect("the connection stays open");
            println!("{count} resets: {ended:?}");
        }
        assert!(server.ask(REQUEST).await.ends_with("hello"));
    }
}
