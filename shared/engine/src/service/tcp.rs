//! A TCP port: that it takes connections, and what it says first where that is asked. Nothing is sent.

use std::{net::IpAddr, time::Duration};

use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, timeout_at},
};
use waypost_types::{outcome::ServiceLook, service::Words};

use super::{Server, connect, judged};
use crate::{
    audit::rules::{Remark, remark},
    probe::{Prober, ms},
    text::shown,
};

/// Bytes that are read of what a server says.
const MOST_BYTES: usize = 4096;
/// How long it may take to say it.
const PATIENCE: Duration = Duration::from_secs(15);
/// Characters of it that are shown.
const SHOWN: usize = 200;

/// Connects to one address, and hears what it says first.
pub(super) async fn look(prober: &Prober, server: Server<'_>, words: &Words, address: IpAddr) -> ServiceLook {
    let started = Instant::now();
    let (mut stream, connected) = match connect(prober, server, address).await {
        Ok(connected) => connected,
        Err(look) => return look,
    };
    let mut look = ServiceLook { address: Some(address), ..ServiceLook::default() };
    look.stage_ms.connect = Some(connected);
    let Server { host, port } = server;
    let mut remarks = Vec::new();
    let mut fine = format!("{host} takes connections on port {port}");
    if words.begins_with.is_some() || words.contains.is_some() {
        let begun = Instant::now();
        let (said, ended) = hear(&mut stream, words).await;
        look.stage_ms.banner = Some(ms(begun));
        look.banner = (!said.is_empty()).then(|| shown(&said, SHOWN));
        match unfit(words, &said, &ended) {
            Some(why) => remarks.push(told(server, &said, &why)),
            None => fine = format!("{host} answers on port {port} as expected"),
        }
    }
    look.stage_ms.total = Some(ms(started));
    judged(look, remarks, host, fine)
}

fn told(server: Server<'_>, said: &[u8], why: &str) -> Remark {
    let Server { host, port } = server;
    let heard = if said.is_empty() { String::new() } else { format!(": “{}”", shown(said, 80)) };
    remark("tcp.words", host, format!("On port {port}, {host} {why}{heard}"))
}

/// What is wrong with what was said; nothing where it is as expected.
fn unfit(words: &Words, said: &[u8], ended: &str) -> Option<String> {
    if let Some(start) = words.begins_with.as_deref().filter(|start| !said.starts_with(start.as_bytes())) {
        return Some(if start.as_bytes().starts_with(said) { ended.to_owned() } else { format!("does not begin with “{start}”") });
    }
    let text = words.contains.as_deref().filter(|text| !holds(said, text))?;
    Some(if said.is_empty() { ended.to_owned() } else { format!("does not say “{text}”") })
}

fn holds(said: &[u8], text: &str) -> bool {
    text.is_empty() || said.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Reads until it is told whether it fits; and how it ended.
async fn hear(stream: &mut TcpStream, words: &Words) -> (Vec<u8>, String) {
    let until = Instant::now() + PATIENCE;
    let mut said = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        match timeout_at(until, stream.read(&mut chunk)).await {
            Err(_) => return (said, format!("does not say what is expected within {} seconds", PATIENCE.as_secs())),
            Ok(Err(error)) => return (said, format!("breaks the connection off before it says what is expected ({})", error.kind())),
            Ok(Ok(0)) => return (said, "closes the connection before it says what is expected".to_owned()),
            Ok(Ok(read)) => said.extend_from_slice(&chunk[..read]),
        }
        let start = words.begins_with.as_deref().unwrap_or_default().as_bytes();
        // It can not begin in that way any more.
        let hopeless = !said.starts_with(&start[..start.len().min(said.len())]);
        let fits = said.starts_with(start) && words.contains.as_deref().is_none_or(|text| holds(&said, text));
        if hopeless || fits || said.len() >= MOST_BYTES {
            said.truncate(MOST_BYTES);
            return (said, "does not say what is expected".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fit_where_they_begin_and_hold_what_is_expected() {
        let words = |begins: &str, contains: &str| Words {
            begins_with: (!begins.is_empty()).then(|| begins.to_owned()),
            contains: (!contains.is_empty()).then(|| contains.to_owned()),
        };
        for (begins, contains, said, why) in [
            ("220 ", "", "220 mail.example ESMTP", None),
            ("220 ", "ESMTP", "220 mail.example ESMTP", None),
            ("220 ", "POP", "220 mail.example ESMTP", Some("does not say “POP”")),
            ("220 ", "", "554 no", Some("does not begin with “220 ”")),
            ("220 ", "", "22", Some("ended")),
            ("220 ", "", "", Some("ended")),
            ("", "OK", "", Some("ended")),
            ("", "OK", "+OK", None),
        ] {
            assert_eq!(unfit(&words(begins, contains), said.as_bytes(), "ended").as_deref(), why, "{begins} {contains} {said}");
        }
    }
}
