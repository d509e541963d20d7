//! Whether a command that is sent ahead of TLS is obeyed under it (CVE-2011-0411).

use super::{
    conversation::{Talk, offers},
    wire::WireError,
};

/// STARTTLS and NOOP in one packet. Whether the NOOP is answered under TLS is told by counting, not by waiting: if it is, each reply is one late.
pub(super) async fn obeys(talk: &mut Talk<'_>) -> Result<bool, String> {
    talk.greeting().await.map_err(|end| end.reason)?;
    talk.ehlo().await.map_err(|end| end.reason)?;
    if !offers(&talk.report.extensions, "STARTTLS") {
        return Err("STARTTLS was not offered in the second conversation".to_owned());
    }
    // A server that refuses or hangs up because of what follows does the right thing.
    let reply = match talk.wire.ask_ahead("STARTTLS", "NOOP").await {
        Ok(reply) => reply,
        Err(WireError::Closed | WireError::Reset) => return Ok(false),
        Err(error) => return Err(format!("after STARTTLS: {error}")),
    };
    if reply.code != 220 {
        return Ok(false);
    }
    // The answer to the NOOP may come in clear before TLS, where the handshake meets it.
    if let Err(end) = talk.handshake().await {
        // Postfix hangs up on what it reads behind STARTTLS.
        if talk.handshake_cut {
            return Ok(false);
        }
        return Err(format!("TLS does not begin after a command sent ahead: {}", end.reason));
    }
    let broke = |error: WireError| format!("under TLS: {error}");
    let first = match talk.wire.ask(&format!("EHLO {}", talk.prober.net.ehlo_name())).await {
        Ok(reply) => reply,
        Err(WireError::Closed | WireError::Reset) => return Ok(false),
        Err(error) => return Err(broke(error)),
    };
    if first.lines.len() > 1 || first.class() != 2 {
        return Ok(false);
    }
    // One line: the NOOP's reply, or that of a server without extensions. The reply to RSET has one line, that to EHLO more.
    let second = talk.wire.ask("RSET").await.map_err(broke)?;
    if second.lines.len() > 1 {
        talk.wire.reply().await.map_err(broke)?;
        return Ok(true);
    }
    Ok(false)
}
