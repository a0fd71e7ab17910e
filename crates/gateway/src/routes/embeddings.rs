//! `POST /v1/embeddings`

use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::State};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fathom_api::embeddings::{Embedding, EmbeddingList, EmbeddingRequest, EmbeddingUsage, Vector};
use fathom_proto::ErrorCode;
use fathom_proto::inference::{Embeddings, Usage};

use crate::Gateway;
use crate::answer::choice_index;
use crate::error::ApiError;
use crate::identity::Session;
use crate::json::Json;
use crate::lifetime::Lifetime;
use crate::record::Record;
use crate::request::{self, Encoding};

/// Turns texts into vectors.
pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Extension(record): Extension<Record>,
    Json(request): Json<EmbeddingRequest>,
) -> Result<Response, ApiError> {
    let user = request::user(&request.extra);
    let (request, encoding) = request::from_embedding(request)?;
    let model = request.model.clone();
    let inputs = request.inputs.len();
    let mut lifetime = Lifetime::begin(&gateway, &session, &model)?;
    let context = lifetime.context(&session, &record, user);
    let answer = gateway.inference.embed(request, context);
    let Embeddings {
        vectors,
        prompt_tokens,
    } = {
        let _waiting = record.asks();
        lifetime.run(answer).await?
    };
    record.set_model(model.clone());
    record.set_usage(Usage {
        prompt_tokens,
        ..Usage::default()
    });
    if vectors.len() != inputs {
        return Err(ApiError::new(
            ErrorCode::WorkerFailed,
            "the worker did not answer with one vector for each text",
        ));
    }
    let data = vectors.into_iter().enumerate();
    let answer = EmbeddingList {
        object: "list".into(),
        data: data
            .map(|(index, vector)| Embedding {
                object: "embedding".into(),
                index: choice_index(index),
                embedding: encode(vector, encoding),
            })
            .collect(),
        model: model.as_str().into(),
        usage: EmbeddingUsage {
            prompt_tokens,
            total_tokens: prompt_tokens,
        },
    };
    Ok(axum::Json(answer).into_response())
}

fn encode(vector: Vec<f32>, encoding: Encoding) -> Vector<'static> {
    match encoding {
        Encoding::Float => Vector::Floats(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.into_iter().flat_map(f32::to_le_bytes).collect();
            Vector::Base64(BASE64_STANDARD.encode(bytes).into())
        }
    }
}
