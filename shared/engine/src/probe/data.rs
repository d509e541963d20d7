//! What a server does with a message: whether a line end that is LF alone ends it (SMTP smuggling, CVE-2023-51764), and whether a recipient that it
//! took is refused only then. Both ask with a message that nobody is to get: it says of itself that it has been through more hops than any server
//! lets pass (RFC 5321 6.3 asks for at least 100), comes from the empty sender, so that no bounce leaves the server, and goes to the domain whose
//! owner had it asked. Servers refuse it. Sendmail takes it and reports it to its local postmaster, so none is sent to a server that says that it is
//! Sendmail. Only a server without loop detection would deliver it, and its text says what it is.

use tokio::time::Instant;
use waypost_types::DomainName;

use super::{ProbeTarget, Prober, asked, conversation::Talk, reply::Reply, wire::WireError};

/// More than the 100 that RFC 5321 6.3 asks servers to let pass at least.
const HOPS: usize = 120;
/// How the message is shown in the transcript: its hundred lines tell nobody anything.
const SHOWN: &str = "(a test message that has been through too many hops to be delivered";

/// Why nothing is known of Sendmail.
const SENDMAIL: &str =
    "the server says that it is Sendmail, which takes a message of too many hops and reports it to its postmaster, so that none is sent to it";

/// What a server made of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// It refuses the recipient that it had taken, with this reply.
    Refused(String),
    /// Anything else: it refuses the message for its hops, as it should, or takes it, or puts it off.
    Else,
    /// The message was not sent; why.
    Untold(String),
}

/// Sends the message for a recipient that the server took at RCPT although nobody has it. The conversation is in step afterwards.
pub(super) async fn late_refusal(talk: &mut Talk<'_>, recipient: &str) -> Result<Made, WireError> {
    if is_sendmail(talk).await? {
        return Ok(Made::Untold(SENDMAIL.to_owned()));
    }
    for command in ["RSET", "MAIL FROM:<>", &format!("RCPT TO:<{recipient}>")] {
        let reply = talk.wire.ask(command).await?;
        // It took the same a moment ago, so either answer may be the passing one.
        if reply.class() != 2 {
            return Ok(Made::Untold(format!("in an envelope of its own, {recipient} is not taken any more: {}", reply.text())));
        }
    }
    let mut reply = talk.wire.ask("DATA").await?;
    if reply.class() == 3 {
        let text = format!("{}\r\n.\r\n", message(talk.prober.net.ehlo_name(), recipient));
        talk.wire.put_message(text, &format!("{SHOWN}, and its end)")).await?;
        reply = talk.wire.reply().await?;
    }
    Ok(if asked::says_no_such_user(&reply) { Made::Refused(reply.text()) } else { Made::Else })
}

/// Whether greeting or HELP say that it is Sendmail.
async fn is_sendmail(talk: &mut Talk<'_>) -> Result<bool, WireError> {
    let says = |text: &str| text.to_ascii_lowercase().contains("sendmail");
    Ok(talk.report.banner.as_deref().is_some_and(says) || says(&talk.wire.ask("HELP").await?.text()))
}

/// Whether LF alone ends a message, in a conversation of its own; the reply by which that is known. Where it does not, the message is never
/// ended: the connection is.
pub(super) async fn bare_lf(prober: &Prober, target: &ProbeTarget, talk: &mut Talk<'_>, domain: &DomainName) -> Result<Option<String>, String> {
    talk.open().await.map_err(|end| end.reason)?;
    let broke = |error: WireError| format!("the conversation broke off: {error}");
    if is_sendmail(talk).await.map_err(broke)? {
        talk.wire.quit(true).await;
        return Err(SENDMAIL.to_owned());
    }
    // It has to be taken (RFC 5321 4.5.1), and whose it is may know what this is about.
    let recipient = format!("postmaster@{}", domain.as_str());
    for (command, class) in [("MAIL FROM:<>", 2), (format!("RCPT TO:<{recipient}>").as_str(), 2), ("DATA", 3)] {
        let reply = talk.wire.ask(command).await.map_err(broke)?;
        if reply.class() != class {
            talk.wire.quit(true).await;
            return Err(format!("{} does not take a message for {recipient} from us: {}", target.host, reply.text()));
        }
    }
    // Where the first of them ends the message, what follows is a command that does nothing.
    let text = format!("{}\n.\nNOOP\n.\r\n", message(prober.net.ehlo_name(), &recipient));
    talk.wire.put_message(text, &format!("{SHOWN}; behind it LF.LF and LF.CRLF, and no CRLF.CRLF)")).await.map_err(broke)?;
    let begun = Instant::now();
    let answer = talk.wire.reply().await;
    match answer {
        Ok(reply) => {
            talk.wire.quit(false).await;
            judge(&reply)
        }
        // It waits for the end of the message, as it should.
        Err(WireError::Silent(_)) if begun.elapsed() * 2 > prober.limits.reply_idle => {
            talk.wire.hang_up().await;
            Ok(None)
        }
        // Some hang up on who does not know how lines end.
        Err(WireError::Closed | WireError::Reset) => Ok(None),
        Err(error) => {
            talk.wire.hang_up().await;
            Err(broke(error))
        }
    }
}

/// What a reply says that comes before the message has ended by the standard.
pub(super) fn judge(reply: &Reply) -> Result<Option<String>, String> {
    let text = reply.text();
    let lower = text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    // 5.4.6 (RFC 3463) and the words for it: it has judged the message.
    let is_loop = matches!(asked::enhanced(reply), Some("5.4.6" | "4.4.6" | "5.4.14"))
        || says(&["too many hops", "hop count", "mail loop", "looping"])
        || (says(&["too many"]) && says(&["received"]));
    if says(&["bare", "<lf>", "line feed", "linefeed", "newline", "line ending"]) || reply.code == 521 {
        return Ok(None);
    }
    if reply.class() == 2 || (is_loop && reply.class() >= 4) {
        return Ok(Some(text));
    }
    Err(format!("the server answers before the message ends, and not clearly because of its line ends: {text}"))
}

/// A message up to its last line, without the CRLF behind it.
pub(super) fn message(from: &str, to: &str) -> String {
    let hop = |hop: usize| format!("Received: from hop{hop}.{from} by hop{}.{from}; Thu, 1 Jan 1970 00:00:00 +0000\r\n", hop + 1);
    let received = (1..=HOPS).map(hop).collect::<Vec<String>>().concat();
    format!(
        "{received}From: Waypost <postmaster@{from}>\r\nTo: <{to}>\r\nSubject: Waypost test: this message should have been refused\r\n\
         Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nAuto-Submitted: auto-generated\r\n\r\n\
         Waypost asks this mail server, for the owner of its domain, what it does with a message, once a day.\r\n\
         The message claims {HOPS} hops, so that servers refuse it as a loop (RFC 5321 6.3).\r\n\
         If it came to you as it is, the server does not, and mail can go round in it for ever. In a report about a message that could not\r\n\
         be delivered, all is well."
    )
}
