//! `/admin/v1`: the ports `Administration` and `Models` over HTTP, for callers with the scope
//! `admin`. The caller's own bearer goes along with every call to auth, which checks it by itself.

mod answer;
mod audit;
mod clients;
mod keys;
mod limits;
mod models;
pub mod problem;
mod request;
mod signing_keys;
mod tenants;

use fathom_proto::ErrorCode;
use fathom_proto::identity::Scope;

use super::Route;
use crate::openapi::methods::{delete, get, post};
use crate::policy::Policy;

/// What every path here begins with.
pub const PREFIX: &str = "/admin/v1/";

/// The routes of administration.
pub fn table() -> Vec<Route> {
    let admin = Policy::Scope(Scope::Admin);
    let routes = vec![
        (
            "/admin/v1/tenants",
            get("List tenants.", tenants::list).post("Make a tenant.", tenants::create),
        ),
        (
            "/admin/v1/tenants/{id}",
            get("Describe a tenant.", tenants::retrieve).patch("Change a tenant.", tenants::update),
        ),
        (
            "/admin/v1/clients",
            get("List clients.", clients::list).post("Make a client.", clients::create),
        ),
        (
            "/admin/v1/clients/{id}",
            get("Describe a client.", clients::retrieve).patch("Change a client.", clients::update),
        ),
        (
            "/admin/v1/clients/{id}/secrets",
            post("Give a client one more secret.", clients::add_secret),
        ),
        (
            "/admin/v1/clients/{id}/secrets/{secret}",
            delete("End a secret of a client.", clients::remove_secret),
        ),
        (
            "/admin/v1/keys",
            get("List API keys.", keys::list).post("Make an API key.", keys::create),
        ),
        (
            "/admin/v1/keys/{id}",
            get("Describe an API key.", keys::retrieve).patch("Change an API key.", keys::update),
        ),
        (
            "/admin/v1/limits",
            get("List limits.", limits::list)
                .put("Set the limits of a target.", limits::set)
                .delete("Lift the limits of a target.", limits::remove),
        ),
        (
            "/admin/v1/signing-keys",
            get("List signing keys.", signing_keys::list)
                .post("Make the next signing key.", signing_keys::rotate),
        ),
        (
            "/admin/v1/signing-keys/{kid}",
            delete("End a signing key and its tokens.", signing_keys::retire),
        ),
        (
            "/admin/v1/audit",
            get("Read the log of changes.", audit::list),
        ),
        (
            "/admin/v1/models",
            get("List models with their versions.", models::list)
                .post("Make a model.", models::create)
                .fails(CONFLICT),
        ),
        (
            "/admin/v1/models/{id}",
            get("Describe a model and its versions.", models::retrieve)
                .patch("Change a model.", models::update)
                .fails(CONFLICT),
        ),
        (
            "/admin/v1/models/{id}/deploy",
            post("Try a version out.", models::deploy).fails(CONFLICT),
        ),
        (
            "/admin/v1/models/{id}/promote",
            post(
                "Let the version that is tried out answer all.",
                models::promote,
            )
            .fails(CONFLICT),
        ),
        (
            "/admin/v1/models/{id}/rollback",
            post("Let an earlier version answer.", models::roll_back).fails(CONFLICT),
        ),
        (
            "/admin/v1/models/{id}/abort",
            post("End a trial.", models::abort).fails(CONFLICT),
        ),
        (
            "/admin/v1/models/{id}/versions",
            get("List the versions of a model.", models::versions),
        ),
        (
            "/admin/v1/models/{id}/history",
            get("Read the changes of a model.", models::history),
        ),
    ];
    let routes = routes.into_iter();
    routes
        .map(|(path, methods)| (path, admin, methods.all_fail(REFUSALS)))
        .collect()
}

/// What the services behind may say of any of them.
const REFUSALS: &[ErrorCode] = &[ErrorCode::InvalidRequest, ErrorCode::NotFound];

/// What else the router may say of a change of a model.
const CONFLICT: &[ErrorCode] = &[ErrorCode::Conflict];
