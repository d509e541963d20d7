//! Between a client and Postfix: passes everything on, changed only before TLS hides it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::layout::BACKEND_NAME;

const LINE_LIMIT: u64 = 64 * 1024;

/// What is changed on the way.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The name shown instead of Postfix's own.
    pub name: String,
    /// What the greeting says behind the name, instead of Postfix's own words.
    pub greeting: Option<&'static str>,
    /// Whether STARTTLS is offered.
    pub starttls: bool,
    /// How long every answer waits.
    pub delay: Duration,
}

/// Connects a client with the server behind.
pub async fn relay(client: TcpStream, backend: SocketAddr, filter: &Filter, implicit_tls: bool) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut server = TcpStream::connect(backend).await?;
    server.set_nodelay(true)?;
    let mut client = client;
    if implicit_tls {
        tokio::time::sleep(filter.delay).await;
        tokio::io::copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let (secured, to_client) = (AtomicBool::new(false), Mutex::new(to_client));
    tokio::select! {
        done = commands(from_client, to_server, &to_client, filter, &secured) => done,
        done = replies(from_server, &to_client, filter, &secured) => done,
    }
}

/// The client's side, by lines until TLS begins.
async fn commands<W: AsyncWrite + Unpin>(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    back: &Mutex<W>,
    filter: &Filter,
    secured: &AtomicBool,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut from).take(LINE_LIMIT).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        if line.trim_ascii().eq_ignore_ascii_case(b"STARTTLS") {
            if filter.starttls {
                // Set before Postfix can answer: everything behind its answer is TLS.
                secured.store(true, Ordering::SeqCst);
                to.write_all(&line).await?;
                break;
            }
            back.lock().await.write_all(b"502 5.5.1 Error: command not implemented\r\n").await?;
            continue;
        }
        to.write_all(&line).await?;
    }
    tokio::io::copy_buf(&mut from, &mut to).await.map(drop)
}

/// The server's side, reply by reply until TLS begins.
async fn replies<W: AsyncWrite + Unpin>(from: impl AsyncRead + Unpin, to: &Mutex<W>, filter: &Filter, secured: &AtomicBool) -> io::Result<()> {
    let mut from = BufReader::new(from);
    loop {
        let mut reply: Vec<String> = Vec::new();
        loop {
            let mut line = Vec::new();
            if (&mut from).take(LINE_LIMIT).read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            let last = line.get(3) != Some(&b'-');
            reply.push(String::from_utf8_lossy(&line).into_owned());
            if last {
                break;
            }
        }
        tokio::time::sleep(filter.delay).await;
        let mut to = to.lock().await;
        to.write_all(filter.reply(reply).as_bytes()).await?;
        if secured.load(Ordering::SeqCst) {
            return tokio::io::copy_buf(&mut from, &mut *to).await.map(drop);
        }
    }
}

impl Filter {
    fn reply(&self, mut lines: Vec<String>) -> String {
        if !self.starttls {
            lines.retain(|line| !line.get(4..).is_some_and(|rest| rest.trim_end().eq_ignore_ascii_case("STARTTLS")));
            if let Some(last) = lines.last_mut() {
                last.replace_range(3..4, " ");
            }
        }
        if let Some(first) = lines.first_mut().filter(|line| line.starts_with('2')) {
            // A name comes first only in the greeting: to EHLO the server answers 250.
            *first = match self.greeting.filter(|_| first.starts_with("220 ") && first.contains(BACKEND_NAME)) {
                Some(words) => format!("220 {} {words}\r\n", self.name),
                None => first.replacen(BACKEND_NAME, &self.name, 1),
            };
        }
        lines.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starttls_is_taken_out_wherever_it_stands() {
        let filter = Filter { name: "mx.example".into(), greeting: Some("ESMTP Other"), starttls: false, delay: Duration::ZERO };
        assert_eq!(filter.reply(vec!["220 mail.lab.test ESMTP\r\n".to_owned()]), "220 mx.example ESMTP Other\r\n");
        let reply = ["250-mail.lab.test\r\n".to_owned(), "250-SIZE 1\r\n".to_owned(), "250 STARTTLS\r\n".to_owned()];
        assert_eq!(filter.reply(reply.to_vec()), "250-mx.example\r\n250 SIZE 1\r\n");
    }
}
