//! Scores.

use super::fakes::SCORED;
use super::*;

async fn score(body: Value) -> Answer {
    send(routes(gateway()), post("/v1/feedback", body)).await
}

#[tokio::test]
async fn an_answer_is_scored_by_its_id_or_that_of_its_request() {
    for id in ["chatcmpl-", "cmpl-", ""].map(|prefix| format!("{prefix}{SCORED}")) {
        for value in [json!(1), json!(-1.0), json!(0.5), json!(true), json!(false)] {
            let answer = score(json!({"id": id, "score": value})).await;
            assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
        }
    }
}

#[tokio::test]
async fn what_is_no_score_is_refused_by_name() {
    for (body, part) in [
        (json!({"id": SCORED, "score": 1.5}), "from -1 to 1"),
        (json!({"id": SCORED, "score": "good"}), "score"),
        (json!({"id": SCORED, "score": null}), "score"),
        (json!({"id": SCORED}), "score"),
        (json!({"score": 1}), "id"),
        (
            json!({"id": SCORED, "score": 1, "comment": "well done"}),
            "comment",
        ),
    ] {
        let answer = score(body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
        assert_eq!(answer.error_code(), "invalid_request");
        assert!(answer.body.contains(part), "{}", answer.body);
        assert!(!answer.body.contains("well done"));
    }
}

#[tokio::test]
async fn an_id_that_is_nobodys_is_not_found() {
    for id in ["", "chatcmpl-", "0198", &"x".repeat(10_000)] {
        let answer = score(json!({"id": id, "score": 1})).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.error_code(), "not_found");
    }
}
