//! Sends a request to the least loaded worker of its model.

use std::sync::Arc;

use fathom_proto::inference::{GenerateRequest, RequestContext, TokenStream};
use fathom_proto::{Error as PublicError, ErrorCode};

use crate::Error;
use crate::connection::Connection;
use crate::models::Models;
use crate::registry::Workers;
use crate::settled::{Dispatch, Settled};

/// Starts the generation on the least loaded worker; on the next one if that cannot be reached,
/// since nothing has run then. Any other failure is the answer.
pub(crate) async fn generate(
    models: &Models,
    workers: &Workers,
    mut request: GenerateRequest,
    context: RequestContext,
) -> Result<TokenStream, PublicError> {
    let model = request.model.clone();
    let Some(allowed) = models.context_length(&model) else {
        return Err(Error::ModelNotFound { model }.into());
    };
    request.context_length = Some(
        request
            .context_length
            .map_or(allowed, |asked| asked.min(allowed)),
    );
    let mut unreachable: Vec<Arc<Connection>> = Vec::new();
    while let Some(load) = workers.pick(&model, &unreachable) {
        let connection = load.connection().clone();
        let dispatch = Dispatch::new(&model, load);
        let started = connection
            .inference
            .generate(request.clone(), context.clone())
            .await;
        match started {
            Ok(stream) => return Ok(Box::pin(Settled::new(stream, dispatch))),
            Err(error) => {
                dispatch.settle(error.code.row().name);
                if error.code != ErrorCode::Unavailable {
                    return Err(error);
                }
                workers.forget(&connection);
                unreachable.push(connection);
            }
        }
    }
    Err(Error::NoWorker { model }.into())
}
