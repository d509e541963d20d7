//! A real Dovecot with configuration, mailboxes and log of its own: IMAP and POP3, each well and badly, by the address that is asked.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::certs::{Authority, Flavour};
use crate::error::LabError;
use crate::layout::{LAB_DOMAIN, Layout, mkdir, write};
use crate::postfix::{PASSWORD, USER, id_of};
use crate::process::Children;

/// Names below the lab's domain, each with the last octet of its address: what is right or wrong about it is in the configuration.
pub const HOSTS: [(&str, u8); 4] = [("mailbox", 143), ("mailbox-expired", 144), ("mailbox-lax", 145), ("mailbox-clear", 146)];

/// Starts Dovecot and waits until both protocols answer.
pub async fn start(layout: &Layout, authority: &Authority, children: &mut Children) -> Result<(), LabError> {
    let names: Vec<String> = HOSTS.iter().map(|(name, _)| format!("{name}.{LAB_DOMAIN}")).collect();
    authority.write_server(layout, "dovecot-tls.pem", &names, Flavour::Good)?;
    authority.write_server(layout, "dovecot-expired.pem", &names, Flavour::Expired)?;
    for name in ["dovecot", "dovecot/run", "dovecot/state", "dovecot/home"] {
        mkdir(&layout.path(name))?;
    }
    let dovecot = id_of("/etc/passwd", "dovecot")?;
    chown(layout.path("dovecot/home"), Some(dovecot), None).map_err(LabError::io("dovecot/home"))?;
    let users = layout.path("dovecot/users");
    write(&users, &format!("{USER}:{{PLAIN}}{PASSWORD}\n"))?;
    fs::set_permissions(&users, fs::Permissions::from_mode(0o640)).map_err(LabError::io("dovecot/users"))?;
    chown(&users, Some(dovecot), None).map_err(LabError::io("dovecot/users"))?;
    write(&layout.path("dovecot/dovecot.conf"), &configuration(layout))?;
    children.start(layout, "dovecot", "dovecot", &["-F", "-c", &layout.text("dovecot/dovecot.conf")])?;
    let until = Instant::now() + Duration::from_secs(8);
    for (port, greeting) in [(143, b"* OK"), (110, b"+OK ")] {
        while !greets(layout.mailbox(HOSTS[0].1), port, greeting).await {
            if Instant::now() > until {
                return Err(LabError::Timeout(format!("Dovecot on port {port}; see {}", layout.text("dovecot.log"))));
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
    Ok(())
}

async fn greets(address: Ipv4Addr, port: u16, wanted: &[u8; 4]) -> bool {
    let greeting = async {
        let mut stream = TcpStream::connect((address, port)).await?;
        let mut start = [0; 4];
        stream.read_exact(&mut start).await.map(|_| start)
    };
    matches!(tokio::time::timeout(Duration::from_secs(5), greeting).await, Ok(Ok(start)) if &start == wanted)
}

/// Well kept by default, and otherwise by address: an expired certificate, passwords in clear beside TLS, no TLS at all. A client on the same address
/// would count as secured; loopback's come from 127.0.0.1.
fn configuration(layout: &Layout) -> String {
    let dir = layout.dir.display();
    let [well, expired, lax, clear] = HOSTS.map(|(_, octet)| layout.mailbox(octet));
    format!(
        "base_dir = {dir}/dovecot/run\nstate_dir = {dir}/dovecot/state\nlog_path = /dev/stderr\nprotocols = imap pop3\nlisten = {well}, {expired}, {lax}, {clear}\n\
         ssl = required\nssl_cert = <{dir}/dovecot-tls.pem\nssl_key = <{dir}/dovecot-tls.pem\nssl_min_protocol = TLSv1.2\n\
         disable_plaintext_auth = yes\nauth_mechanisms = plain login\nauth_failure_delay = 0\n\
         passdb {{\n  driver = passwd-file\n  args = {dir}/dovecot/users\n}}\n\
         userdb {{\n  driver = static\n  args = uid=dovecot gid=dovecot home={dir}/dovecot/home/%u\n}}\n\
         mail_location = maildir:~/mail\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n\
         local {expired} {{\n  ssl_cert = <{dir}/dovecot-expired.pem\n  ssl_key = <{dir}/dovecot-expired.pem\n}}\n\
         local {lax} {{\n  ssl = yes\n  disable_plaintext_auth = no\n}}\n\
         local {clear} {{\n  ssl = no\n  disable_plaintext_auth = no\n}}\n"
    )
}
