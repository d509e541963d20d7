//! The programs a lab starts: each in a process group of its own, ended with the lab whatever ends the lab.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::LabError;
use crate::layout::Layout;

/// How long a program may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How long a helper command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// Runs a program until standard input closes: for one that changes its user, at which the kernel forgets `--pdeathsig`.
pub const GUARD: &str =
    "exec 3<&0; \"$@\" </dev/null & p=$!; trap 'kill -TERM $p' TERM; cat <&3 >/dev/null & wait $!; kill -TERM $p 2>/dev/null; wait $p";

/// Programs that run until this is dropped.
#[derive(Debug, Default)]
pub struct Children(Vec<Child>);

impl Children {
    /// Starts a program in the foreground and in the lab's directory, its output in `<name>.log`. Returns its process id.
    ///
    /// Its standard input stays open as long as the lab lives: `GUARD` watches that. For the others,
    /// `setpriv --pdeathsig` makes the kernel end it when the thread that calls this ends, so that a killed lab leaves nothing behind: call it
    /// from the lab's own thread.
    pub fn start(&mut self, layout: &Layout, name: &str, program: &str, args: &[&str]) -> Result<u32, LabError> {
        let guarded = [&["--pdeathsig", "KILL", "--", program], args].concat();
        self.start_unguarded(layout, name, "setpriv", &guarded)
    }

    /// The same without `--pdeathsig`.
    pub fn start_unguarded(&mut self, layout: &Layout, name: &str, program: &str, args: &[&str]) -> Result<u32, LabError> {
        let log = File::create(layout.path(&format!("{name}.log"))).map_err(LabError::io(format!("{name}.log")))?;
        let errors = log.try_clone().map_err(LabError::io(format!("{name}.log")))?;
        let child = Command::new(program)
            .args(args)
            .process_group(0)
            .current_dir(&layout.dir)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(LabError::io(format!("starting {program}")))?;
        let id = child.id();
        self.0.push(child);
        Ok(id)
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in self.0.iter().rev() {
            signal_group(child.id(), "CONT");
            signal_group(child.id(), "TERM");
        }
        let until = Instant::now() + GRACE;
        while self.0.iter_mut().any(|child| matches!(child.try_wait(), Ok(None))) && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
        for child in &mut self.0 {
            signal_group(child.id(), "KILL");
            if let Err(error) = child.wait() {
                tracing::warn!(%error, "a program of the lab could not be waited for");
            }
        }
    }
}

/// The end of each program's log: what to show when the start fails.
pub fn log_tails(layout: &Layout) -> String {
    let mut tails = String::new();
    for name in ["nsd.log", "unbound.log", "rbldnsd.log", "postfix.log", "mail.log", "dovecot.log"] {
        let Ok(text) = std::fs::read_to_string(layout.path(name)) else { continue };
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(5)..] {
            tails.push_str(&format!("\n  {name}: {line}"));
        }
    }
    tails
}

/// Signals a process group through the shell: the workspace forbids the unsafe call.
pub fn signal_group(id: u32, signal: &str) {
    let done = Command::new("sh").args(["-c", "kill -$1 -$2 2>/dev/null", "sh", signal, &id.to_string()]).stdin(Stdio::null()).status();
    if let Err(error) = done {
        tracing::warn!(%error, id, signal, "could not signal");
    }
}

/// Runs a helper command to its end and returns what it printed.
pub async fn run(program: &str, args: &[&str], input: Option<&str>) -> Result<String, LabError> {
    use tokio::io::AsyncWriteExt;
    let failed = |detail: String| LabError::Program { program: program.to_owned(), detail };
    let mut command = tokio::process::Command::new(program);
    command
        .args(args)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let work = async {
        let mut child = command.spawn()?;
        if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(text.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(COMMAND_LIMIT, work)
        .await
        .map_err(|_| LabError::Timeout(program.to_owned()))?
        .map_err(LabError::io(format!("running {program}")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(failed(format!("{} {}", text.trim(), String::from_utf8_lossy(&output.stderr).trim()).trim().to_owned()))
}
