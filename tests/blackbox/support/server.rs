//! The real binary in a folder of its own, on a port that the system picks.

use super::client::Client;
use super::wait_for;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The key that exists from the first start on, for workspace `default`.
pub(crate) const API_KEY: &str = "cmg_bbTestBootstrapKey-0123456789_abcdefghijkl-A";
/// Opens `/admin/api`.
pub(crate) const ADMIN_TOKEN: &str = "bb-admin-token-5f1c9d7e";
/// Seals what is stored.
pub(crate) const SECRET_KEY: &str = "bb-secret-key-9c41e0b7a2d85f36c7d1";

/// Seconds that a start or a stop may take on a busy machine.
const PATIENCE: u64 = 60;

/// The binary under test; `CMG_BIN` names another one, such as a release.
pub(crate) fn binary() -> &'static str {
    static BINARY: OnceLock<String> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var("CMG_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_cmg").to_owned()))
}

/// A program that ended: what it said and how.
pub(crate) struct Run {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it printed.
    pub(crate) out: String,
    /// What it complained about.
    pub(crate) err: String,
}

impl Run {
    /// All it said.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// Whether it ended by saying no: 1 (failed) or 2 (wrong use, wrong settings), and no signal, no panic.
    pub(crate) fn refused(&self) -> bool {
        matches!(self.code(), Some(1 | 2)) && !self.said().contains("panicked")
    }

    /// Its exit code; a signal is none.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// A command of the binary with these variables and no other ones, in this folder.
pub(crate) fn command(folder: &Path, env: &[(String, String)], args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args).env_clear().current_dir(folder).stdin(Stdio::null());
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(env.iter().map(|(name, value)| (name, value)));
    command
}

/// Runs a command of the binary to its end.
pub(crate) fn run(folder: &Path, env: &[(String, String)], args: &[&str]) -> Run {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let no = RUNS.fetch_add(1, Ordering::Relaxed);
    let (out, err) = (folder.join(format!("run-{no}.out")), folder.join(format!("run-{no}.err")));
    let mut child = command(folder, env, args)
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .spawn()
        .expect("the binary can be run");
    let status = ended(&mut child, &format!("`cmg {}` to end", args.join(" ")));
    let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    Run { status, out: read(&out), err: read(&err) }
}

/// Waits until a process ends; one that does not is killed, and the test fails.
fn ended(child: &mut Child, what: &str) -> ExitStatus {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(PATIENCE);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if std::time::Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("waited {PATIENCE} seconds for {what}");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The variables of a server, as owned pairs.
pub(crate) fn pairs(env: &[(&str, &str)]) -> Vec<(String, String)> {
    env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A server that runs, or ran and can run again, on one folder.
pub(crate) struct Server {
    folder: PathBuf,
    env: Vec<(String, String)>,
    /// The process, while it runs.
    child: Option<Child>,
    /// Ends the server and removes the folder when this process is gone, however it went.
    guard: Option<Child>,
    port: u16,
    /// Where `strace` notes the syncs, if it watches.
    trace: Option<PathBuf>,
}

impl Server {
    /// Starts on an empty folder.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts on an empty folder, with more or other variables.
    pub(crate) fn start_with(env: &[(&str, &str)]) -> Self {
        let mut server = Self::at_rest(env);
        server.launch();
        server
    }

    /// A folder of its own and nothing that runs yet.
    pub(crate) fn at_rest(env: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("cmg-blackbox-").tempdir().unwrap().keep();
        let data = format!("sled:{}", folder.join("data").display());
        let port_file = folder.join("port").display().to_string();
        let mut all = pairs(&[
            ("ENVIRONMENT", "test"),
            ("SERVER_HOST", "127.0.0.1"),
            ("SERVER_PORT", "0"),
            ("CMG_SERVER_WORKERS", "2"),
            ("RATE_LIMIT_REQUESTS", "0"),
            ("DATABASE_URL", &data),
            ("CMG_PORT_FILE", &port_file),
            ("SECRET_KEY", SECRET_KEY),
            ("ADMIN_TOKEN", ADMIN_TOKEN),
            ("BOOTSTRAP_API_KEY", API_KEY),
        ]);
        for (name, value) in pairs(env) {
            all.retain(|(known, _)| *known != name);
            all.push((name, value));
        }
        Self { folder, env: all, child: None, guard: None, port: 0, trace: None }
    }

    /// Starts the process, and waits until it says that it is ready.
    pub(crate) fn launch(&mut self) {
        assert!(self.child.is_none(), "the test starts a server that runs already");
        let _ = fs::remove_file(self.folder.join("port"));
        let log = || File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut child = self.serve().stdout(log()).stderr(log()).spawn().unwrap();
        let port = wait_for("the server to write its port", PATIENCE, || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended ({status}) before it was ready:\n{}", self.log());
            }
            fs::read_to_string(self.folder.join("port")).ok()?.trim().parse().ok()
        });
        self.port = port;
        self.guard = Some(self.watch(child.id()));
        self.child = Some(child);
        wait_for("`/readyz` to answer 200", PATIENCE, || {
            let answer = self.anonymous().try_get("/readyz").ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// `cmg serve`, watched by `strace` if so wished: it stays a grandchild, so that our child is the server itself.
    fn serve(&self) -> Command {
        let plain = command(&self.folder, &self.env, &["serve"]);
        let Some(trace) = &self.trace else { return plain };
        let mut watched = Command::new("strace");
        watched.args(["-D", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"]).arg(trace).args([binary(), "serve"]);
        watched.env_clear().current_dir(&self.folder).stdin(Stdio::null());
        watched.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        watched
    }

    /// Watches the system calls that write to disk for good, from the next start on.
    pub(crate) fn watch_syncs(&mut self) {
        self.trace = Some(self.folder.join("trace"));
    }

    /// How many syncs there were so far that succeeded.
    pub(crate) fn syncs(&self) -> usize {
        let trace = fs::read_to_string(self.trace.as_ref().expect("a server that is watched")).unwrap_or_default();
        trace.lines().filter(|line| line.ends_with("= 0")).count()
    }

    /// A process that outlives this one by a moment: its input ends when we do.
    fn watch(&self, pid: u32) -> Child {
        Command::new("sh")
            .args(["-c", "read _; kill -9 \"$0\" 2>/dev/null; rm -rf \"$1\"", &pid.to_string()])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn dismiss_guard(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            guard.kill().unwrap();
            guard.wait().unwrap();
        }
    }

    /// Ends the process as `kill -9` does: it learns nothing of it.
    pub(crate) fn kill9(&mut self) {
        self.dismiss_guard();
        let mut child = self.child.take().expect("a server that runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks the process to stop; it must end well.
    pub(crate) fn stop(&mut self) {
        self.dismiss_guard();
        let mut child = self.child.take().expect("a server that runs");
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "the server had ended before it was asked to:\n{}", self.log());
        let status = ended(&mut child, "the server to stop after SIGTERM");
        assert_eq!(status.code(), Some(0), "a server that is asked to stop ends with 0:\n{}", self.log());
    }

    /// Stops in good order and starts again on the same folder; the port changes.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.launch();
    }

    /// Whether the process still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Sets or replaces a variable for the next start.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Runs another command of the binary with this server's variables.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        run(&self.folder, &self.env, args)
    }

    /// Where the server answers.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder that everything of this server stands in.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Everything it logged, over all its starts.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }

    /// A client without any key.
    pub(crate) fn anonymous(&self) -> Client {
        Client::new(self.url(), None)
    }

    /// A client of workspace `default`.
    pub(crate) fn client(&self) -> Client {
        self.with_key(API_KEY)
    }

    /// A client with this bearer token.
    pub(crate) fn with_key(&self, key: &str) -> Client {
        Client::new(self.url(), Some(key.to_owned()))
    }

    /// A client of the admin API.
    pub(crate) fn admin(&self) -> Client {
        self.with_key(ADMIN_TOKEN)
    }

    /// Makes a key; the whole answer of the admin API.
    pub(crate) fn new_key(&self, request: &Value) -> Value {
        self.admin().post("/admin/api/keys", request).done()
    }

    /// A client of a workspace of its own.
    pub(crate) fn workspace(&self, name: &str) -> Client {
        let made = self.new_key(&json!({"workspace_id": name, "name": "a test"}));
        self.with_key(made["key"].as_str().expect("a new key is shown once, in `key`"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(mut guard) = self.guard.take() {
            let _ = guard.kill();
            let _ = guard.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(4000);
            let last = log.get(from..).unwrap_or(&log);
            let _ = writeln!(std::io::stderr(), "--- the server's last lines\n{last}");
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
