//! A real Postfix with configuration, queue and logs of its own, beside whatever the machine runs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::certs::Authority;
use crate::error::LabError;
use crate::layout::{BACKEND_NAME, LAB_DOMAIN, Layout, mkdir, write};
use crate::process::{Children, GUARD, run};

/// The mailbox that may submit.
pub const USER: &str = "user@lab.test";
/// Its password.
pub const PASSWORD: &str = "secret-lab";
/// What it may log in with; the modules for these are Debian's `libsasl2-modules`.
const MECHANISMS: &str = "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256";
/// So much higher are the ports where Postfix takes old TLS.
pub const OLD_TLS: u16 = 10_000;
/// So much higher are the ports where Postfix knows another password of the mailbox.
pub const OTHER_PASSWORD: u16 = 20_000;
/// So much higher is the port where Postfix asks the greylister about recipients.
pub const GREYLISTING: u16 = 30_000;
/// So much higher are the ports where Postfix knows RSA key exchange alone.
pub const RSA_ONLY: u16 = 40_000;
/// So much higher is the port where a line end that is LF alone ends a message, as it did before 2024.
pub const BARE_LF: u16 = 50_000;
/// So much higher is the port where every recipient is taken at RCPT and refused after DATA.
pub const LATE_REFUSAL: u16 = 60_000;
const LIBEXEC: &str = "/usr/lib/postfix/sbin";

/// Starts Postfix and waits until all three ports answer. Returns the data of a TLSA record that pins its key.
pub async fn start(layout: &Layout, authority: &Authority, children: &mut Children) -> Result<String, LabError> {
    let pin = authority.write_backend(layout)?;
    directories(layout)?;
    // Debian's Postfix looks for smtpd.conf only there.
    mkdir(&layout.path("postfix/sasl"))?;
    logins(layout, "smtpd", PASSWORD).await?;
    logins(layout, "changed", "changed-meanwhile").await?;
    write(&layout.path("postfix/main.cf"), &main_cf(layout))?;
    write(&layout.path("postfix/master.cf"), &master_cf(layout))?;
    // The shell itself must outlive the lab for a moment, so it has no `--pdeathsig`: it ends when its input does.
    let master = format!("{LIBEXEC}/master");
    children.start_unguarded(layout, "postfix", "sh", &["-c", GUARD, "sh", &master, "-d", "-c", &layout.text("postfix")])?;
    let until = Instant::now() + Duration::from_secs(8);
    for port in [25, 587] {
        while !greets(layout, port).await {
            if Instant::now() > until {
                return Err(LabError::Timeout(format!("Postfix on port {port}; see {}", layout.text("mail.log"))));
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
    Ok(pin)
}

/// What Postfix knows the mailbox by where its `smtpd_sasl_path` has this name.
async fn logins(layout: &Layout, name: &str, password: &str) -> Result<(), LabError> {
    let database = layout.text(&format!("postfix/sasl/{name}.db"));
    let settings = format!("pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: {MECHANISMS}\nsasldb_path: {database}\n");
    write(&layout.path(&format!("postfix/sasl/{name}.conf")), &settings)?;
    let (user, realm) = USER.split_once('@').unwrap_or((USER, LAB_DOMAIN));
    run("saslpasswd2", &["-p", "-c", "-f", &database, "-u", realm, user], Some(password)).await?;
    fs::set_permissions(&database, fs::Permissions::from_mode(0o640)).map_err(LabError::io("the logins"))?;
    chown(&database, Some(id_of("/etc/passwd", "postfix")?), None).map_err(LabError::io("the logins"))
}

async fn greets(layout: &Layout, port: u16) -> bool {
    let greeting = async {
        let mut stream = TcpStream::connect((layout.postfix(), port)).await?;
        let mut start = [0; 3];
        stream.read_exact(&mut start).await.map(|_| start)
    };
    matches!(tokio::time::timeout(Duration::from_secs(5), greeting).await, Ok(Ok(start)) if &start == b"220")
}

/// The numeric id of a user or group: both files have it in the third column.
pub fn id_of(file: &str, name: &str) -> Result<u32, LabError> {
    let text = fs::read_to_string(file).map_err(LabError::io(file))?;
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|columns| columns.first() == Some(&name))
        .and_then(|columns| columns.get(2)?.parse().ok())
        .ok_or_else(|| LabError::Invalid(format!("{file} has no {name}: is Postfix installed?")))
}

fn directories(layout: &Layout) -> Result<(), LabError> {
    let (postfix, postdrop) = (id_of("/etc/passwd", "postfix")?, id_of("/etc/group", "postdrop")?);
    mkdir(&layout.path("postfix"))?;
    for name in ["spool", "spool/pid"] {
        mkdir(&layout.path(name))?;
    }
    let own = |name: &str, group: Option<u32>, mode: u32| {
        let path = layout.path(name);
        mkdir(&path)?;
        chown(&path, Some(postfix), group).map_err(LabError::io(name))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(LabError::io(name))
    };
    own("postfix-data", None, 0o700)?;
    for name in ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"] {
        own(&format!("spool/{name}"), None, 0o700)?;
    }
    own("spool/maildrop", Some(postdrop), 0o730)?;
    own("spool/public", Some(postdrop), 0o710)
}

fn main_cf(layout: &Layout) -> String {
    let dir = layout.dir.display();
    let sink = layout.sink().ip();
    // `inet_interfaces` knows only addresses that an interface has; master.cf names the ones to listen on.
    format!(
        "compatibility_level = 3.6\nmyhostname = {BACKEND_NAME}\nmydomain = {LAB_DOMAIN}\nmyorigin = {LAB_DOMAIN}\n\
         queue_directory = {dir}/spool\ndata_directory = {dir}/postfix-data\ndaemon_directory = {LIBEXEC}\ncommand_directory = /usr/sbin\n\
         maillog_file = {dir}/mail.log\nmaillog_file_prefixes = {dir}\nmail_owner = postfix\nsetgid_group = postdrop\n\
         inet_interfaces = all\ninet_protocols = ipv4\nsmtpd_banner = $myhostname ESMTP\nsmtputf8_enable = yes\nsmtpd_peername_lookup = no\n\
         mynetworks = {address}/32\nmydestination =\nlocal_recipient_maps =\nalias_maps =\nalias_database =\n\
         # Parents match their subdomains: every domain that a lab can lease is relayed, nothing else.\n\
         relay_domains = test, example, invalid\nrelay_transport = smtp:[{sink}]:25\ndefault_transport = smtp:[{sink}]:25\ndisable_dns_lookups = yes\n\
         smtp_host_lookup = native\nsmtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination\n\
         smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {dir}/postfix-tls.pem\nsmtpd_tls_auth_only = yes\nsmtpd_tls_loglevel = 1\n\
         smtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_mandatory_protocols = >=TLSv1.2\nsmtpd_tls_exclude_ciphers = aNULL\n\
         smtp_tls_security_level = none\nsmtpd_sasl_type = cyrus\nsmtpd_sasl_path = smtpd\n\
         smtpd_sasl_local_domain = {LAB_DOMAIN}\nsmtpd_client_connection_count_limit = 0\nsmtpd_client_connection_rate_limit = 0\n\
         smtpd_forbid_bare_newline = normalize\nsmtpd_error_sleep_time = 0\nsmtpd_soft_error_limit = 1000\nsmtpd_hard_error_limit = 1000\nin_flow_delay = 0\ndefault_process_limit = 100\n\
         minimal_backoff_time = 2s\nmaximal_backoff_time = 5s\nqueue_run_delay = 2s\nsmtp_destination_concurrency_failed_cohort_limit = 0\n",
        address = layout.postfix(),
    )
}

/// Beside each port, the same service with what Postfix takes by itself: old TLS and suites without a certificate. Beside those where mailboxes
/// log in, one that knows another password; beside port 25 one that greylists, and two that treat messages badly. And each without forward secrecy.
fn master_cf(layout: &Layout) -> String {
    let address = layout.postfix();
    let greylist = layout.greylist();
    let rsa = format!(
        "  -o smtpd_tls_chain_files={}/postfix-rsa.pem\n  -o smtpd_tls_protocols=>=TLSv1.2,<=TLSv1.2\n  \
         -o smtpd_tls_mandatory_protocols=>=TLSv1.2,<=TLSv1.2\n  -o smtpd_tls_exclude_ciphers=aNULL,kEECDH,kEDH\n",
        layout.dir.display()
    );
    let old = "  -o smtpd_tls_protocols=>=TLSv1\n  -o smtpd_tls_mandatory_protocols=>=TLSv1\n  -o smtpd_tls_exclude_ciphers=\n";
    format!(
        "{address}:10025 inet n - n - - smtpd\n{old}\
         {address}:10465 inet n - n - - smtpd\n{old}  -o smtpd_tls_wrappermode=yes\n  -o smtpd_sasl_auth_enable=yes\n\
         {address}:10587 inet n - n - - smtpd\n{old}  -o smtpd_tls_security_level=encrypt\n  -o smtpd_sasl_auth_enable=yes\n\
         {address}:20465 inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n  -o smtpd_sasl_auth_enable=yes\n  -o smtpd_sasl_path=changed\n\
         {address}:20587 inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n  -o smtpd_sasl_auth_enable=yes\n  -o smtpd_sasl_path=changed\n\
         {address}:30025 inet n - n - - smtpd\n  -o smtpd_recipient_restrictions=check_policy_service,inet:{greylist}\n\
         {address}:40025 inet n - n - - smtpd\n{rsa}\
         {address}:40465 inet n - n - - smtpd\n{rsa}  -o smtpd_tls_wrappermode=yes\n  -o smtpd_sasl_auth_enable=yes\n\
         {address}:40587 inet n - n - - smtpd\n{rsa}  -o smtpd_tls_security_level=encrypt\n  -o smtpd_sasl_auth_enable=yes\n\
         {address}:50025 inet n - n - - smtpd\n  -o smtpd_forbid_bare_newline=no\n\
         {address}:60025 inet n - n - - smtpd\n  \
         -o {{ smtpd_end_of_data_restrictions = check_recipient_access static:{{550 5.1.1 no such user here}} }}\n\
         {address}:25 inet n - n - - smtpd\n\
         {address}:465 inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n  -o smtpd_sasl_auth_enable=yes\n\
         {address}:587 inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n  -o smtpd_sasl_auth_enable=yes\n\
         pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\ntlsmgr unix - - n 1000? 1 tlsmgr\n\
         rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\n\
         verify unix - - n - 1 verify\nflush unix n - n 1000? 0 flush\nproxymap unix - - n - - proxymap\nproxywrite unix - - n - 1 proxymap\n\
         smtp unix - - n - - smtp\nrelay unix - - n - - smtp\nshowq unix n - n - - showq\nerror unix - - n - - error\nretry unix - - n - - error\n\
         discard unix - - n - - discard\nlocal unix - n n - - local\nvirtual unix - n n - - virtual\nanvil unix - - n - 1 anvil\n\
         scache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n"
    )
}
