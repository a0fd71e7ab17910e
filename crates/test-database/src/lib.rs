//! Fresh databases for tests: a file, or a database of its own on the PostgreSQL server that
//! `make test` runs. No other crate's code is in it, so that every crate may test with it.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test without its database has failed"
)]

use std::thread;

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;

/// An empty database, gone when it is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    /// What to connect to, as its owner.
    pub url: String,
    on_server: Option<OnServer>,
    _folder: Option<TempDir>,
}

/// Where on a server it is.
#[derive(Debug)]
struct OnServer {
    maintenance: String,
    name: String,
}

impl TestDatabase {
    /// One of each kind, for what must hold on both.
    pub async fn each() -> [Self; 2] {
        [Self::sqlite(), Self::postgres().await]
    }

    /// A file that is made when it is first opened, in a folder that is not there yet.
    #[must_use]
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/fathom.db");
        Self {
            url: format!("sqlite://{}?mode=rwc", file.display()),
            on_server: None,
            _folder: Some(folder),
        }
    }

    /// A database on the server of `FATHOM_TEST_POSTGRES`.
    pub async fn postgres() -> Self {
        let maintenance = server();
        let mut connection = connect(&maintenance).await;
        let unique = "SELECT 'test_' || replace(gen_random_uuid()::text, '-', '')";
        let name: String = sqlx::query_scalar(unique)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        run(&mut connection, format!("CREATE DATABASE {name}")).await;
        let (address, _) = maintenance.rsplit_once('/').unwrap();
        Self {
            url: format!("{address}/{name}"),
            on_server: Some(OnServer { maintenance, name }),
            _folder: None,
        }
    }

    /// The URL for another role of the server.
    ///
    /// # Panics
    /// On SQLite, which has no roles.
    #[must_use]
    pub fn url_as(&self, role: &str) -> String {
        let (Some((scheme, _)), Some((_, address))) =
            (self.url.split_once("://"), self.url.split_once('@'))
        else {
            panic!("no roles in {}", self.url);
        };
        format!("{scheme}://{role}@{address}")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(OnServer { maintenance, name }) = &self.on_server else {
            return;
        };
        // A runtime cannot be blocked on within another one, but in another thread.
        thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let mut connection = connect(maintenance).await;
                    run(
                        &mut connection,
                        format!("DROP DATABASE {name} WITH (FORCE)"),
                    )
                    .await;
                });
            });
        });
    }
}

async fn connect(url: &str) -> AnyConnection {
    install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

/// Names of databases cannot be bound; these are our own.
async fn run(connection: &mut AnyConnection, statement: String) {
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
}

/// The maintenance database of the server.
#[expect(
    clippy::disallowed_methods,
    reason = "only the test run knows where the server is"
)]
fn server() -> String {
    let name = "FATHOM_TEST_POSTGRES";
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make test`"))
}
