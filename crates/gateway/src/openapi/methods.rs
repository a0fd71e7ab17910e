//! The handlers of a path. This is how the table of routes names one, so that there is none without
//! a word on what it does.

use axum::handler::Handler;
use axum::routing::MethodRouter;
use fathom_proto::ErrorCode;
use http::Method;
use schemars::JsonSchema;

use super::{Answer, Described, Operation, SchemaOf};
use crate::Gateway;

/// A handler for each method that a path takes, with what the document says of it.
#[derive(Default)]
pub struct Methods {
    /// What answers.
    pub router: MethodRouter<Gateway>,
    /// What is said of it.
    pub operations: Vec<Operation>,
}

macro_rules! methods {
    ($($name:ident: $method:ident;)+) => {
        impl Methods {
            $(
                /// Takes this method; `summary` says what it does.
                pub fn $name<H, M, A>(mut self, summary: &'static str, handler: H) -> Self
                where
                    H: Handler<M, Gateway> + Described<A>,
                    M: 'static,
                {
                    let mut operation = Operation::new(Method::$method, summary);
                    H::describe(&mut operation);
                    self.operations.push(operation);
                    self.router = self.router.$name(handler);
                    self
                }
            )+
        }
    };
}

methods! {
    get: GET;
    post: POST;
    put: PUT;
    patch: PATCH;
    delete: DELETE;
}

macro_rules! paths {
    ($($name:ident)+) => {
        $(
            /// A path that takes this method.
            pub fn $name<H, M, A>(summary: &'static str, handler: H) -> Methods
            where
                H: Handler<M, Gateway> + Described<A>,
                M: 'static,
            {
                Methods::default().$name(summary, handler)
            }
        )+
    };
}

paths! { get post delete }

/// What a handler's signature does not say, of the method that was named last.
impl Methods {
    /// It answers 200 with JSON of this type.
    pub fn answers<T: JsonSchema>(self) -> Self {
        self.last(Operation::answers_json::<T>)
    }

    /// It answers 200 with an event stream too, whose events are of this type.
    pub fn streams<T: JsonSchema>(self) -> Self {
        self.last(Operation::answers_events::<T>)
    }

    /// It answers 200 with this message of Protocol Buffers too.
    pub fn answers_message(self, name: &'static str) -> Self {
        self.last(|operation| operation.answers_message(name))
    }

    /// It answers 200 with a stream of these messages too.
    pub fn streams_messages(self, name: &'static str) -> Self {
        self.last(|operation| operation.streams_messages(name))
    }

    /// It answers 200 with what has no type here.
    pub fn answers_media(self, media: &'static str) -> Self {
        self.last(|operation| operation.answers_media(media))
    }

    /// It answers in this way too.
    pub fn also(self, answer: Answer) -> Self {
        self.last(|operation| operation.answers.push(answer))
    }

    /// The form that it reads.
    pub fn form(self, schema: SchemaOf) -> Self {
        self.last(|operation| {
            let media = "application/x-www-form-urlencoded";
            operation.body.push((media, schema));
        })
    }

    /// It can fail in these ways.
    pub fn fails(self, codes: &[ErrorCode]) -> Self {
        self.last(|operation| operation.failures.extend(codes))
    }

    /// Each of its methods can fail in these ways.
    pub fn all_fail(mut self, codes: &[ErrorCode]) -> Self {
        for operation in &mut self.operations {
            operation.failures.extend(codes);
        }
        self
    }

    /// Whether one of the methods answers with an event stream where that is asked for.
    pub fn is_streamed(&self) -> bool {
        self.operations.iter().any(Operation::is_streamed)
    }

    /// The same with a layer around the handlers.
    pub fn within(mut self, layer: fn(MethodRouter<Gateway>) -> MethodRouter<Gateway>) -> Self {
        self.router = layer(self.router);
        self
    }

    fn last(mut self, change: impl FnOnce(&mut Operation)) -> Self {
        if let Some(operation) = self.operations.last_mut() {
            change(operation);
        }
        self
    }
}
