//! A greylister (RFC 6647) that Postfix asks by its policy protocol (its `SMTPD_POLICY_README`): who comes for the first time is put off, who comes
//! back is let through.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::error::LabError;
use crate::layout::Layout;

const LINE_LIMIT: u64 = 4_096;
const LINES: usize = 200;
/// Postfix keeps its connection for a while.
const IDLE_LIMIT: Duration = Duration::from_secs(600);
/// What was seen is forgotten when it gets more.
const KNOWN: usize = 10_000;

/// Client, sender and recipient.
type Seen = Arc<Mutex<HashSet<[String; 3]>>>;

/// Opens its port.
pub async fn start(layout: &Layout) -> Result<(), LabError> {
    let listener = TcpListener::bind(layout.greylist()).await.map_err(LabError::io(format!("binding {}", layout.greylist())))?;
    let seen = Seen::default();
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                if let Err(error) = answer(stream, &seen).await {
                    tracing::debug!(%error, "greylister");
                }
            });
        }
    });
    Ok(())
}

async fn answer(mut stream: TcpStream, seen: &Seen) -> io::Result<()> {
    let (from, mut to) = stream.split();
    let mut from = BufReader::new(from);
    loop {
        let mut who = <[String; 3]>::default();
        for _ in 0..LINES {
            let mut line = String::new();
            timeout(IDLE_LIMIT, (&mut from).take(LINE_LIMIT).read_line(&mut line)).await??;
            match line.trim_end().split_once('=') {
                Some(("client_address", value)) => value.clone_into(&mut who[0]),
                Some(("sender", value)) => value.clone_into(&mut who[1]),
                Some(("recipient", value)) => value.clone_into(&mut who[2]),
                Some(_) => {}
                None if line.is_empty() => return Ok(()),
                None => break,
            }
        }
        let action = if is_new(seen, who) { "DEFER_IF_PERMIT Greylisted, come back later" } else { "DUNNO" };
        to.write_all(format!("action={action}\n\n").as_bytes()).await?;
    }
}

fn is_new(seen: &Seen, who: [String; 3]) -> bool {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.len() >= KNOWN {
        seen.clear();
    }
    seen.insert(who)
}
