//! `POST /v1/embeddings`

use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::State};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fathom_api::embeddings::{Embedding, EmbeddingList, EmbeddingRequest, EmbeddingUsage, Vector};
use fathom_proto::inference::Embeddings;

use crate::Gateway;
use crate::answer::choice_index;
use crate::embedding::{Embedded, embed};
use crate::error::ApiError;
use crate::identity::Session;
use crate::protobuf::{self, Asked, Format};
use crate::record::Record;
use crate::request::Encoding;

/// Turns texts into vectors.
pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Extension(record): Extension<Record>,
    Asked { request, answer }: Asked<EmbeddingRequest>,
) -> Result<Response, ApiError> {
    let embedded = embed(&gateway, &session, &record, request, None).await?;
    if answer == Format::Protobuf {
        return Ok(protobuf::embeddings(embedded));
    }
    let Embedded {
        model,
        embeddings: Embeddings {
            vectors,
            prompt_tokens,
        },
        encoding,
    } = embedded;
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
