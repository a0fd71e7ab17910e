//! A client of Fathom's REST API and its event streams. It keeps connections open and reads
//! streams as they come; it does not retry: the caller knows what may be asked twice.
//!
//! # Layout
//!
//! - [`Client`]: one method per endpoint
//! - [`EventStream`]: an answer that comes in pieces
//! - [`Error`]: what went wrong, with the server's own words

mod error;
mod event_stream;

use fathom_api::chat::{ChatChunk, ChatCompletion, ChatRequest};
use fathom_api::completions::{Completion, CompletionRequest};
use fathom_api::embeddings::{EmbeddingList, EmbeddingRequest};
use fathom_api::models::{Model, ModelList};
use fathom_api::oauth::TokenResponse;
use fathom_api::sampling::StreamOptions;
use reqwest::{RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

pub use error::Error;
pub use event_stream::EventStream;

/// A client with one credential; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    bearer: SecretString,
}

impl Client {
    /// A client of the server at `base_url`, an origin such as `http://127.0.0.1:8080`, with an
    /// API key or an access token.
    #[must_use]
    pub fn new(base_url: impl Into<String>, bearer: SecretString) -> Self {
        Self {
            http: reqwest::Client::new(),
            base_url: base_url.into(),
            bearer,
        }
    }

    /// Continues a conversation.
    ///
    /// # Errors
    /// [`Error`]: the server's refusal, or a broken connection.
    pub async fn chat(&self, request: &ChatRequest) -> Result<ChatCompletion<'static>, Error> {
        read(self.post("/v1/chat/completions").json(request)).await
    }

    /// Continues a conversation, piece by piece; the counts come with the last piece.
    ///
    /// # Errors
    /// [`Error`]: the server's refusal, or a broken connection.
    pub async fn chat_stream(
        &self,
        mut request: ChatRequest,
    ) -> Result<EventStream<ChatChunk<'static>>, Error> {
        request.stream = Some(true);
        request.stream_options = Some(StreamOptions {
            include_usage: true,
            ..StreamOptions::default()
        });
        let response = send(self.post("/v1/chat/completions").json(&request)).await?;
        Ok(EventStream::new(response))
    }

    /// Continues a text.
    ///
    /// # Errors
    /// [`Error`]: the server's refusal, or a broken connection.
    pub async fn complete(
        &self,
        request: &CompletionRequest,
    ) -> Result<Completion<'static>, Error> {
        read(self.post("/v1/completions").json(request)).await
    }

    /// Continues a text, piece by piece; the counts come with the last piece.
    ///
    /// # Errors
    /// [`Error`]: the server's refusal, or a broken connection.
    pub async fn complete_stream(
        &self,
        mut request: CompletionRequest,
    ) -> Result<EventStream<Completion<'static>>, Error> {
        request.stream = Some(true);
        request.stream_options = Some(StreamOptions {
            include_usage: true,
            ..StreamOptions::default()
        });
        let response = send(self.post("/v1/completions").json(&request)).await?;
        Ok(EventStream::new(response))
    }

    /// Turns texts into vectors.
    ///
    /// # Errors
    /// [`Error`]: the server's refusal, or a broken connection.
    pub async fn embeddings(
        &self,
        request: &EmbeddingRequest,
    ) -> Result<EmbeddingList<'static>, Error> {
        read(self.post("/v1/embeddings").json(request)).await
    }

    /// Every model.
    ///
    /// # Errors
    /// [`Error`]: the server's refusal, or a broken connection.
    pub async fn models(&self) -> Result<ModelList, Error> {
        read(self.get("/v1/models")).await
    }

    /// One model.
    ///
    /// # Errors
    /// [`Error`]: the server's refusal, or a broken connection.
    pub async fn model(&self, id: &str) -> Result<Model, Error> {
        read(self.get(&format!("/v1/models/{id}"))).await
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http
            .get(format!("{}{path}", self.base_url))
            .bearer_auth(self.bearer.expose_secret())
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.http
            .post(format!("{}{path}", self.base_url))
            .bearer_auth(self.bearer.expose_secret())
    }
}

/// Exchanges client credentials for an access token (RFC 6749, section 4.4).
///
/// # Errors
/// [`Error`]: the server's refusal, or a broken connection.
pub async fn fetch_token(
    base_url: &str,
    client_id: &str,
    client_secret: &SecretString,
) -> Result<TokenResponse, Error> {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("client_secret", client_secret.expose_secret()),
    ];
    read(
        reqwest::Client::new()
            .post(format!("{base_url}/oauth/token"))
            .form(&form),
    )
    .await
}

async fn send(request: RequestBuilder) -> Result<Response, Error> {
    let response = request.send().await?;
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(Error::refused(response).await)
    }
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Error> {
    let body = send(request).await?.bytes().await?;
    serde_json::from_slice(&body).map_err(Error::Unreadable)
}
