use crate::harness::shared;

/// A name of a large model must not hide what really answers.
#[tokio::test]
async fn the_list_of_models_says_what_stands_behind_each_name() {
    let server = shared().await;
    let list = server.client().models().await.unwrap();
    let names: Vec<_> = list.data.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(names, ["deepseek-chat", "deepseek-code", "deepseek-math"]);
    for model in &list.data {
        let backing = &model.fathom;
        assert_eq!(backing.backend.as_deref(), Some("local"));
        assert_eq!(
            backing.weights.as_deref(),
            Some("SmolLM2-135M-Instruct-Q4_1")
        );
        assert_eq!(backing.weights_context_length, Some(8192));
        assert_eq!(backing.context_length, 8192);
    }
    let registered: Vec<_> = list
        .data
        .iter()
        .map(|model| model.fathom.registered_context_length)
        .collect();
    assert_eq!(registered, [32_768, 16_384, 8192]);
}

#[tokio::test]
async fn readiness_and_liveness_are_told_on_the_admin_port_alone() {
    let server = shared().await;
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(
            server.admin("admin.sock", path).await.unwrap().0,
            200,
            "{path}"
        );
        let public = reqwest::get(format!("{}{path}", server.base_url()))
            .await
            .unwrap();
        assert_eq!(public.status(), 404, "{path}");
    }
}
