//! What a handler's own signature says of it: what its extractors read, what its answer is, how it
//! can fail. A type without a word to say here cannot be part of a handler of the table.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use fathom_proto::ErrorCode;
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;

use super::Operation;
use super::operation::Answer;
use crate::error::ApiError;

/// An extractor, and what it says of the requests that its handler takes.
pub trait Input {
    /// Says it.
    fn describe(_: &mut Operation) {}
}

/// An answer, and what it says of itself.
pub trait Output {
    /// Says it.
    fn describe(operation: &mut Operation);
}

/// An error, and what it says of itself.
pub trait Failure {
    /// Says it.
    fn describe(operation: &mut Operation);
}

/// A handler; `A` tells the numbers of its arguments apart.
pub trait Described<A> {
    /// Says what its signature does.
    fn describe(operation: &mut Operation);
}

macro_rules! describe_handlers {
    ($(($($argument:ident),*))+) => {$(
        impl<F, G, R, $($argument),*> Described<($($argument,)*)> for F
        where
            F: FnOnce($($argument),*) -> G,
            G: Future<Output = R>,
            R: Output,
            $($argument: Input,)*
        {
            fn describe(operation: &mut Operation) {
                $($argument::describe(operation);)*
                R::describe(operation);
            }
        }
    )+};
}

describe_handlers! {
    ()
    (A1)
    (A1, A2)
    (A1, A2, A3)
    (A1, A2, A3, A4)
    (A1, A2, A3, A4, A5)
    (A1, A2, A3, A4, A5, A6)
}

// What is not of the request, or what every request has.
impl<S> Input for State<S> {}
impl<E> Input for Extension<E> {}
impl Input for HeaderMap {}

impl Input for Path<String> {
    fn describe(operation: &mut Operation) {
        operation.failures.push(ErrorCode::NotFound);
    }
}

impl<T: Output, E: Failure> Output for Result<T, E> {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
        E::describe(operation);
    }
}

impl<T: JsonSchema> Output for axum::Json<T> {
    fn describe(operation: &mut Operation) {
        operation.answers_json::<T>();
    }
}

/// The status of the handlers that answer with nothing else.
impl Output for StatusCode {
    fn describe(operation: &mut Operation) {
        operation.answers.push(Answer::new(204, "It is done."));
    }
}

/// 200 and no more.
impl Output for () {
    fn describe(operation: &mut Operation) {
        operation.answers.push(Answer::new(200, "It is done."));
    }
}

/// It may be anything; the table says what.
impl Output for Response {
    fn describe(_: &mut Operation) {}
}

/// What a handler calls may fail, be away, or be too slow.
impl Failure for ApiError {
    fn describe(operation: &mut Operation) {
        operation.failures.push(ErrorCode::Unavailable);
    }
}
