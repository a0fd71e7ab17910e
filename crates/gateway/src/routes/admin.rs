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

use axum::routing::{delete, get, post};
use fathom_proto::identity::Scope;

use super::Route;
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
            get(tenants::list).post(tenants::create),
        ),
        (
            "/admin/v1/tenants/{id}",
            admin,
            get(tenants::retrieve).patch(tenants::update),
        ),
        (
            "/admin/v1/clients",
            admin,
            get(clients::list).post(clients::create),
        ),
        (
            "/admin/v1/clients/{id}",
            admin,
            get(clients::retrieve).patch(clients::update),
        ),
        (
            "/admin/v1/clients/{id}/secrets",
            admin,
            post(clients::add_secret),
        ),
        (
            "/admin/v1/clients/{id}/secrets/{secret}",
            admin,
            delete(clients::remove_secret),
        ),
        ("/admin/v1/keys", admin, get(keys::list).post(keys::create)),
        (
            "/admin/v1/keys/{id}",
            admin,
            get(keys::retrieve).patch(keys::update),
        ),
        (
            "/admin/v1/limits",
            admin,
            get(limits::list).put(limits::set).delete(limits::remove),
        ),
        (
            "/admin/v1/signing-keys",
            admin,
            get(signing_keys::list).post(signing_keys::rotate),
        ),
        (
            "/admin/v1/signing-keys/{kid}",
            admin,
            delete(signing_keys::retire),
        ),
        ("/admin/v1/audit", admin, get(audit::list)),
        (
            "/admin/v1/models",
            admin,
            get(models::list).post(models::create),
        ),
        (
            "/admin/v1/models/{id}",
            admin,
            get(models::retrieve).patch(models::update),
        ),
        ("/admin/v1/models/{id}/deploy", admin, post(models::deploy)),
        (
            "/admin/v1/models/{id}/promote",
            admin,
            post(models::promote),
        ),
        (
            "/admin/v1/models/{id}/rollback",
            admin,
            post(models::roll_back),
        ),
        ("/admin/v1/models/{id}/abort", admin, post(models::abort)),
        (
            "/admin/v1/models/{id}/versions",
            admin,
            get(models::versions),
        ),
        ("/admin/v1/models/{id}/history", admin, get(models::history)),
    ]
}
