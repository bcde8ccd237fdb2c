//! `cmg serve`: builds the parts in order, runs, and takes them down in reverse order.
//!
//! ```text
//! settings → log → listen (alive, not ready) → recovery → ready
//! signal   → not ready → requests in flight finish → stop listening → actors stop
//! ```
//!
//! # Invariants
//!
//! - It listens before recovery: `/healthz` answers 200 and `/readyz` 503 meanwhile.
//! - After a first signal no new request reaches memory; a second one ends the process at once,
//!   which loses nothing that was acknowledged.

use crate::cli;
use crate::http::app::App;
use crate::http::{configure, edge};
use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App as Service, HttpServer};
use cmg_actors::System;
use cmg_config::{Config, ConfigErrors, Sources};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout_at};

/// The variable that names the file for the port.
const PORT_FILE: &str = "CMG_PORT_FILE";
/// How long a client may take over the head of its first request.
const HEAD: Duration = Duration::from_secs(5);
/// How long what a refused client still sends is read, so that it gets to see the refusal.
const LINGER: Duration = Duration::from_secs(3);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections of one worker at most.
const CONNECTIONS: usize = 8192;
/// How often a drain looks whether all is done.
const LOOK: Duration = Duration::from_millis(5);

/// Reads the settings as every command does.
///
/// # Errors
///
/// All that is wrong with them, at once.
pub fn load(file: Option<PathBuf>) -> Result<Config, ConfigErrors> {
    Config::load(&Sources::of_process(file))
}

/// Serves until a signal.
#[must_use]
pub fn serve(file: Option<PathBuf>) -> ExitCode {
    let config = match load(file) {
        Ok(config) => config,
        Err(errors) => {
            cli::complain(&errors.to_string());
            return ExitCode::from(2);
        }
    };
    crate::telemetry::start(&config);
    small_pages();
    match actix_web::rt::System::new().block_on(run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Has the system give memory out in small pages: in huge ones an idle server takes 120 MB in place of 48, since the
/// allocator's arenas are touched here and there. Recalls were as fast (medians of two runs each way).
fn small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay on");
    }
}

async fn run(config: Config) -> Result<(), String> {
    let app = Data::new(App::new(config));
    let mut signals = Signals::new().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let (server, address) = listen(&app).map_err(|error| {
        let server = &app.config.server;
        format!("cannot listen on {}:{}: {error}", server.host, server.port)
    })?;
    let handle = server.handle();
    actix_web::rt::spawn(server);
    tracing::info!(target: "cmg::start", url = format!("http://{address}"), version = env!("CARGO_PKG_VERSION"), "listening");
    write_port_file(address.port()).map_err(|error| format!("cannot write the file of {PORT_FILE}: {error}"))?;
    let system = tokio::select! {
        started = System::start(&app.config) => started.map_err(|error| error.to_string())?,
        () = signals.next() => {
            handle.stop(false).await;
            return Ok(());
        }
    };
    let directory = system.directory();
    if let Ok(answers) = directory.gateway().ledger().read(|state| Vec::from(state.answers.clone())).await {
        app.answers.restore(answers);
    }
    app.gate.open(directory);
    tracing::info!(target: "cmg::start", took_ms = u64::try_from(app.started.elapsed().as_millis()).unwrap_or(u64::MAX), "ready");
    signals.next().await;
    app.gate.close();
    tracing::info!(target: "cmg::start", in_flight = app.gate.in_flight(), "stopping");
    tokio::select! {
        () = stop(&app, &handle, system) => tracing::info!(target: "cmg::start", "stopped"),
        () = signals.next() => tracing::warn!(target: "cmg::start", "a second signal: ended at once"),
    }
    Ok(())
}

/// The server, listening already, and where.
fn listen(app: &Data<App>) -> io::Result<(Server, SocketAddr)> {
    let settings = &app.config.server;
    let shared = app.clone();
    let mut server =
        HttpServer::new(move || Service::new().app_data(shared.clone()).wrap(from_fn(edge::edge)).configure(configure))
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD)
            .client_disconnect_timeout(LINGER)
            .tcp_nodelay(true)
            .h1_allow_half_closed(false)
            .max_connections(CONNECTIONS)
            .shutdown_timeout(settings.shutdown_seconds)
            .disable_signals();
    if settings.workers > 0 {
        server = server.workers(settings.workers);
    }
    let server = server.bind((settings.host.as_str(), settings.port))?;
    let address = server.addrs().first().copied().ok_or_else(|| io::Error::other("no address"))?;
    Ok((server.run(), address))
}

/// Lets requests in flight finish, then takes the parts down in reverse order.
async fn stop(app: &Data<App>, handle: &ServerHandle, system: System) {
    let end = Instant::now() + Duration::from_secs(app.config.server.shutdown_seconds);
    let done = async {
        while app.gate.in_flight() > 0 {
            sleep(LOOK).await;
        }
        // What is answered may still be on its way out; idle connections are closed at once.
        handle.stop(true).await;
    };
    if timeout_at(end, done).await.is_err() {
        tracing::warn!(target: "cmg::start", in_flight = app.gate.in_flight(), "cut off after server.shutdown_seconds");
    }
    system.stop().await;
}

/// SIGTERM and SIGINT, which mean the same.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Writes the port where `CMG_PORT_FILE` says, whole or not at all.
fn write_port_file(port: u16) -> io::Result<()> {
    let Some(path) = std::env::var_os(PORT_FILE).filter(|path| !path.is_empty()) else { return Ok(()) };
    let path = PathBuf::from(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut draft, port.to_string().as_bytes())?;
    draft.persist(&path).map_err(|error| error.error)?;
    Ok(())
}
