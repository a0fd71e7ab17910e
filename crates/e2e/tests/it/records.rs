//! What a request leaves behind: counts that settle when its answer ends.

use std::time::Duration;

use fathom_e2e::{Cluster, eventually};

use crate::in_both_wirings;
use crate::requests::chat;

in_both_wirings! {
    /// Part of LIFE-4
    async fn nothing_is_left_of_a_hundred_requests_half_of_which_are_abandoned(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_millis(1))
            .start()
            .await
            .unwrap();
        let client = cluster.client();
        let requests = (0..100).map(|i| {
            let client = client.clone();
            async move {
                let mut stream = client.chat_stream(chat("hi")).await.unwrap();
                let mut pieces = 0;
                while let Some(chunk) = stream.next().await {
                    chunk.unwrap();
                    pieces += 1;
                    if i % 2 == 1 && pieces > i / 4 {
                        return;
                    }
                }
                assert_eq!(pieces, 35);
            }
        });
        futures::future::join_all(requests).await;
        eventually("every slot is free", Duration::from_secs(5), || cluster.load().running == 0).await;
    }
}
