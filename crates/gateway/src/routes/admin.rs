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

use fathom_proto::identity::Scope;

use super::Route;
use crate::openapi::methods::{delete, get, post};
use crate::policy::Policy;

/// What every path here begins with.
pub const PREFIX: &str = "/admin/v1/";

/// The routes of administration.
pub fn table() -> Vec<Route> {
    let admin = Policy::Scope(Scope::Admin);
    vec![
        (
            "/admin/v1/tenants",
            admin,
            get("List tenants.", tenants::list).post("Make a tenant.", tenants::create),
        ),
        (
            "/admin/v1/tenants/{id}",
            admin,
            get("Describe a tenant.", tenants::retrieve).patch("Change a tenant.", tenants::update),
        ),
        (
            "/admin/v1/clients",
            admin,
            get("List clients.", clients::list).post("Make a client.", clients::create),
        ),
        (
            "/admin/v1/clients/{id}",
            admin,
            get("Describe a client.", clients::retrieve).patch("Change a client.", clients::update),
        ),
        (
            "/admin/v1/clients/{id}/secrets",
            admin,
            post("Give a client one more secret.", clients::add_secret),
        ),
        (
            "/admin/v1/clients/{id}/secrets/{secret}",
            admin,
            delete("End a secret of a client.", clients::remove_secret),
        ),
        (
            "/admin/v1/keys",
            admin,
            get("List API keys.", keys::list).post("Make an API key.", keys::create),
        ),
        (
            "/admin/v1/keys/{id}",
            admin,
            get("Describe an API key.", keys::retrieve).patch("Change an API key.", keys::update),
        ),
        (
            "/admin/v1/limits",
            admin,
            get("List limits.", limits::list)
                .put("Set the limits of a target.", limits::set)
                .delete("Lift the limits of a target.", limits::remove),
        ),
        (
            "/admin/v1/signing-keys",
            admin,
            get("List signing keys.", signing_keys::list)
                .post("Make the next signing key.", signing_keys::rotate),
        ),
        (
            "/admin/v1/signing-keys/{kid}",
            admin,
            delete("End a signing key and its tokens.", signing_keys::retire),
        ),
        (
            "/admin/v1/audit",
            admin,
            get("Read the log of changes.", audit::list),
        ),
        (
            "/admin/v1/models",
            admin,
            get("List models with their versions.", models::list)
                .post("Make a model.", models::create),
        ),
        (
            "/admin/v1/models/{id}",
            admin,
            get("Describe a model and its versions.", models::retrieve)
                .patch("Change a model.", models::update),
        ),
        (
            "/admin/v1/models/{id}/deploy",
            admin,
            post("Try a version out.", models::deploy),
        ),
        (
            "/admin/v1/models/{id}/promote",
            admin,
            post(
                "Let the version that is tried out answer all.",
                models::promote,
            ),
        ),
        (
            "/admin/v1/models/{id}/rollback",
            admin,
            post("Let an earlier version answer.", models::roll_back),
        ),
        (
            "/admin/v1/models/{id}/abort",
            admin,
            post("End a trial.", models::abort),
        ),
        (
            "/admin/v1/models/{id}/versions",
            admin,
            get("List the versions of a model.", models::versions),
        ),
        (
            "/admin/v1/models/{id}/history",
            admin,
            get("Read the changes of a model.", models::history),
        ),
    ]
}
