//! The server under measurement: this same program as `cmg serve` on a temporary folder, or one that runs already.
//!
//! # Promise
//!
//! A started server ends with its [`Server`], whatever becomes of the run, and its folder goes with it. It listens on
//! this machine alone, with keys that nobody else knows.

use super::client::Endpoint;
use super::{BenchError, Target};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take.
const START: Duration = Duration::from_secs(60);
/// How long a stop may take before it is ended by force.
const STOP: Duration = Duration::from_secs(20);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Lines of a dead server's log that are shown.
const LAST_LINES: usize = 20;
/// Variables of the caller's environment that would change whom the measured server talks to or how strict it is.
const NOT_INHERITED: [&str; 5] = ["ENVIRONMENT", "DEBUG", "SECRET_KEY_FILE", "OPENROUTER_API_KEY", "DATABASE_URL"];

/// The measured server.
#[derive(Debug)]
pub(super) enum Gate {
    /// Started for this run.
    Own(Box<Server>),
    /// Somebody else's.
    Running(Endpoint),
}

/// A server that was started for this run.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    folder: tempfile::TempDir,
    endpoint: Endpoint,
}

impl Gate {
    /// The server that the command line names, or a new one with these variables in its environment.
    pub(super) fn open(target: &Target, extra: &[(&str, String)]) -> Result<Self, BenchError> {
        match &target.url {
            Some(url) => {
                let endpoint = Endpoint::parse(url, target.key.as_deref().unwrap_or_default())?;
                await_ready(&endpoint, Instant::now() + Duration::from_secs(5), || Ok(()))?;
                Ok(Self::Running(endpoint))
            }
            None => Ok(Self::Own(Box::new(Server::start(target.data_dir.as_deref(), extra)?))),
        }
    }

    /// Where it listens.
    pub(super) fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Own(server) => &server.endpoint,
            Self::Running(endpoint) => endpoint,
        }
    }

    /// Its resident memory in KiB, where it is ours and the system tells.
    pub(super) fn rss_kib(&self) -> Option<u64> {
        match self {
            Self::Own(server) => rss_kib(server.child.id()),
            Self::Running(_) => None,
        }
    }

    /// The processor time that it has used, user and system, where it is ours and the system tells; to 10 ms.
    pub(super) fn cpu(&self) -> Option<Duration> {
        match self {
            Self::Own(server) => cpu(&fs::read_to_string(format!("/proc/{}/stat", server.child.id())).ok()?),
            Self::Running(_) => None,
        }
    }

    /// The outcome of a run; where it went wrong because our server died, with the server's last words.
    pub(super) fn explain<T>(&mut self, outcome: Result<T, BenchError>) -> Result<T, BenchError> {
        let Self::Own(server) = self else { return outcome };
        match (outcome, server.last_words()) {
            (Err(error), Some(words)) => Err(BenchError::Failed(format!("{error}\n{words}"))),
            (Ok(_), Some(words)) => Err(BenchError::Failed(words)),
            (outcome, None) => outcome,
        }
    }
}

impl Server {
    fn start(parent: Option<&Path>, extra: &[(&str, String)]) -> Result<Self, BenchError> {
        let failed = |what: &str, error: std::io::Error| BenchError::Failed(format!("{what}: {error}"));
        let folder = match parent {
            Some(parent) => tempfile::Builder::new().prefix("cmg-bench-").tempdir_in(parent),
            None => tempfile::Builder::new().prefix("cmg-bench-").tempdir(),
        };
        let folder = folder.map_err(|error| failed("cannot make a temporary folder", error))?;
        let key = format!("cmg_{}", random_text()?);
        let child = spawn(folder.path(), &key, extra).map_err(|error| failed("cannot start `cmg serve`", error))?;
        // From here on the server ends with this value, also when it never gets ready.
        let mut server = Self { child, folder, endpoint: Endpoint::local(0, &key) };
        let deadline = Instant::now() + START;
        let port = server.await_port(deadline)?;
        server.endpoint = Endpoint::local(port, &key);
        let endpoint = server.endpoint.clone();
        await_ready(&endpoint, deadline, || server.must_live())?;
        Ok(server)
    }

    /// The port that it wrote down.
    fn await_port(&mut self, deadline: Instant) -> Result<u16, BenchError> {
        loop {
            let text = fs::read_to_string(self.folder.path().join("port")).unwrap_or_default();
            if let Some(port) = text.trim().parse().ok().filter(|port| *port != 0) {
                return Ok(port);
            }
            self.must_live()?;
            if Instant::now() > deadline {
                let log = self.log_tail();
                return Err(BenchError::Failed(format!("the server did not listen within {START:?}\n{log}")));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn must_live(&mut self) -> Result<(), BenchError> {
        self.last_words().map_or(Ok(()), |words| Err(BenchError::Failed(words)))
    }

    /// How it ended and what it last said, if it has ended.
    fn last_words(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("the server ended by itself ({status}); its last lines:\n{}", self.log_tail()))
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.folder.path().join("server.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if ask_to_stop(&self.child) {
            let deadline = Instant::now() + STOP;
            while Instant::now() < deadline {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(LOOK);
            }
        }
        // It did not want to; nothing that it holds is of any worth.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, key: &str, extra: &[(&str, String)]) -> std::io::Result<Child> {
    let log = File::create(folder.join("server.log"))?;
    let secret = random_text().map_err(|error| std::io::Error::other(error.to_string()))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("serve").current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command
        .env("DATABASE_URL", format!("sled:{}", folder.join("data").display()))
        .env("SERVER_HOST", "127.0.0.1")
        .env("SERVER_PORT", "0")
        .env("CMG_PORT_FILE", folder.join("port"))
        .env("SECRET_KEY", secret)
        .env("BOOTSTRAP_API_KEY", key)
        .env("LOG_LEVEL", "warn")
        .env("RATE_LIMIT_REQUESTS", "0");
    command.envs(extra.iter().map(|(name, value)| (name, value))).spawn()
}

/// Asks for `/readyz` until it answers 200.
fn await_ready(
    endpoint: &Endpoint,
    deadline: Instant,
    mut still_worth_it: impl FnMut() -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    let mut connection = endpoint.connection();
    loop {
        let problem = match connection.get("/readyz") {
            Ok(answer) if answer.is_success() => return Ok(()),
            Ok(answer) => answer.excerpt(),
            Err(error) => error.to_string(),
        };
        still_worth_it()?;
        if Instant::now() > deadline {
            return Err(BenchError::Failed(format!("the server at {} does not get ready: {problem}", endpoint.url())));
        }
        std::thread::sleep(LOOK);
    }
}

/// 256 random bits as 64 hexadecimal digits.
fn random_text() -> Result<String, BenchError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| BenchError::Failed(format!("no randomness: {error}")))?;
    Ok(bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Sends SIGTERM; false where that cannot be done.
#[cfg(unix)]
fn ask_to_stop(child: &Child) -> bool {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())
}

#[cfg(not(unix))]
fn ask_to_stop(_: &Child) -> bool {
    false
}

/// The resident memory of a process in KiB, where the system has `/proc`.
fn rss_kib(process: u32) -> Option<u64> {
    read_rss(&fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn read_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The processor time in a line of `/proc/PID/stat`: fields 14 and 15, in hundredths of a second (proc(5)).
fn cpu(stat: &str) -> Option<Duration> {
    // The name, in brackets, may hold anything; what follows its last bracket does not.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let (user, system) = (fields.nth(11)?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    Some(Duration::from_millis((user + system).saturating_mul(10)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_its_line_alone() {
        assert_eq!(read_rss("Name:\tcmg\nVmHWM:\t  999 kB\nVmRSS:\t  52340 kB\nThreads:\t4\n"), Some(52_340));
        for status in ["", "VmRSS:", "VmRSS:\t12 MB", "VmRSS:\tmany kB"] {
            assert_eq!(read_rss(status), None, "{status:?}");
        }
    }

    #[test]
    fn processor_time_is_read_behind_a_name_of_any_kind() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 99 1 1";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu("7 (a) S 1"), None);
    }

    #[test]
    fn keys_are_long_url_safe_and_never_the_same() {
        let (one, other) = (random_text().expect("randomness"), random_text().expect("randomness"));

        assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(one, other);
    }
}
